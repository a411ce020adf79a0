/** Which NATS it is: it says so to whoever connects, before anything is asked of them. */
import { connect } from 'node:net'
import { parseNatsUrl } from '../live/nats-address.ts'

const ANSWER_MS_MAX = 5_000
const LINE_CHARS_MAX = 65_536

/** `2.9.10`. Rejects with a sentence for people if no NATS answers at the first address. */
export function natsVersion(url: string): Promise<string> {
  const [address] = parseNatsUrl(url).servers as [string]
  const { hostname, port } = new URL(`nats://${address}`)
  const socket = connect({ host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port) })
  return new Promise<string>((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`NATS at ${address} cannot be used: ${why}.`))
    let line = ''
    socket.setTimeout(ANSWER_MS_MAX, () => fail(`no answer within ${ANSWER_MS_MAX} ms`))
    socket.on('error', ({ message }) => fail(message))
    socket.on('close', () => fail('it hangs up'))
    socket.on('data', (chunk) => {
      line += chunk
      const version = /^INFO .*"version":"([^"]+)"[^\n]*\n/.exec(line)?.[1]
      if (version !== undefined) resolve(version)
      else if (line.includes('\n') || line.length > LINE_CHARS_MAX) fail('it is another service')
    })
  }).finally(() => socket.destroy())
}
