/** `parley` as it is typed in a shell. */
import { type Subprocess, spawn } from 'bun'
import { ServerProcess } from '../harness.ts'

export interface Ended {
  code: number
  printed: string
  errors: string
}

/** Runs a command to its end. */
export async function parley(
  args: string[],
  settings: Record<string, string> = {},
): Promise<Ended> {
  return new Running(args, settings).ended
}

/** A command under way, with what it has said so far. */
export class Running {
  readonly ended: Promise<Ended>
  readonly #process: Subprocess<'ignore', 'pipe', 'pipe'>
  #errors = ''
  readonly #waiting = new Map<string, () => void>()

  constructor(args: string[], settings: Record<string, string> = {}) {
    this.#process = spawn({
      cmd: [...ServerProcess.command, ...args],
      env: { ...process.env, ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.ended = this.#end()
  }

  /** Resolves when it has said this on standard error; rejects if it ends without. */
  async says(text: string): Promise<void> {
    if (this.#errors.includes(text)) return
    const said = new Promise<void>((resolve) => this.#waiting.set(text, resolve))
    const ended = this.ended.then(({ errors }) => {
      if (!errors.includes(text)) throw new Error(`it ended without "${text}": ${errors}`)
    })
    await Promise.race([said, ended])
  }

  kill(): void {
    this.#process.kill('SIGKILL')
  }

  async #end(): Promise<Ended> {
    const printed = new Response(this.#process.stdout).text()
    const decoder = new TextDecoder()
    for await (const chunk of this.#process.stderr) {
      this.#errors += decoder.decode(chunk, { stream: true })
      for (const [text, resolve] of this.#waiting) if (this.#errors.includes(text)) resolve()
    }
    const code = await this.#process.exited
    return { code, printed: await printed, errors: this.#errors }
  }
}
