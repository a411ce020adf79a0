/** `parley ready`: for health checks, where there is no curl. */
import type { Command } from './command.ts'

const TIMEOUT_MS = 5_000

export const readyCommand: Command = {
  name: 'ready',
  usage: '[--url URL]',
  about: 'Asks a running server (by default on PORT) whether it is ready; exit code 0 if it is.',
  options: { url: { type: 'string' } },
  async run({ url }, { port }) {
    const asked = `${url ?? `http://127.0.0.1:${port}`}/readyz`
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const response = await fetch(asked, { signal }).catch((error: Error) => {
      throw new Error(`${asked} does not answer: ${error.message}`)
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${asked} answers ${response.status}: ${text}`)
    console.log('ready')
  },
}
