/** `parley` as it is typed in a shell. */
import { type Subprocess, spawn } from 'bun'
import { ServerProcess, until, within } from '../harness.ts'

/** On a machine that does other things, too. */
const COMMAND_MS_MAX = 20_000

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

/** What a server says that does not start; one that does is killed, and that is a failure. */
export function failsToServe(settings: Record<string, string>): Promise<Ended> {
  const running = new Running(['serve'], { PORT: '0', ...settings })
  const ended = within(running.ended, 'the server refuses to start', COMMAND_MS_MAX)
  return ended.finally(() => running.kill())
}

/** A command under way, with what it has said so far. */
export class Running {
  readonly ended: Promise<Ended>
  readonly #process: Subprocess<'ignore', 'pipe', 'pipe'>
  #errors = ''
  #hasEnded = false

  constructor(args: string[], settings: Record<string, string> = {}) {
    this.#process = spawn({
      cmd: [...ServerProcess.command, ...args],
      env: { ...process.env, ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.ended = this.#end()
  }

  /** Resolves when it has said this on standard error; rejects if it ends without. */
  async says(text: RegExp): Promise<void> {
    const said = () => text.test(this.#errors)
    await until(() => said() || this.#hasEnded, `it says ${text}`, COMMAND_MS_MAX)
    if (!said()) throw new Error(`it ended without saying ${text}: ${this.#errors}`)
  }

  kill(): void {
    this.#process.kill('SIGKILL')
  }

  async #end(): Promise<Ended> {
    const printed = new Response(this.#process.stdout).text()
    const decoder = new TextDecoder()
    for await (const chunk of this.#process.stderr)
      this.#errors += decoder.decode(chunk, { stream: true })
    const code = await this.#process.exited
    this.#hasEnded = true
    return { code, printed: await printed, errors: this.#errors }
  }
}
