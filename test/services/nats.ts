/** A `nats-server` of a test's own, on a free port, to be killed, held still and restarted. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Subprocess, spawn, which } from 'bun'
import { scratchFolder, until, within } from '../harness.ts'
import { findOrInstall } from './install.ts'
import { freePort } from './ports.ts'

/** The program, or undefined if it cannot be had: skip the tests that need it. */
export function findNatsServer(): Promise<string | undefined> {
  return findOrInstall({ program: 'nats-server', debianPackage: 'nats-server' })
}

/** However the test ends; without such a command, a test that is killed leaves it behind. */
const ENDS_WITH_THE_TEST = which('setpriv') === null ? [] : ['setpriv', '--pdeathsig=KILL']

export class NatsServer {
  /** `127.0.0.1:port`; stays the same over restarts. */
  address = ''
  readonly #program: string
  readonly #port: number
  readonly #options: readonly string[]
  readonly #folder = scratchFolder()
  #process!: Subprocess

  private constructor(program: string, options: readonly string[], port: number) {
    this.#program = program
    this.#port = port
    this.#options = options
  }

  /** With options of its command line, for example `['--auth', 'token']`. */
  static async start(program: string, options: readonly string[] = []): Promise<NatsServer> {
    const server = new NatsServer(program, options, await freePort())
    await server.restart()
    return server
  }

  get url(): string {
    return `nats://${this.address}`
  }

  get pid(): number {
    return this.#process.pid
  }

  async restart(): Promise<void> {
    const where = [
      ...['--addr', '127.0.0.1', '--port', String(this.#port)],
      ...['--ports_file_dir', this.#folder.path],
    ]
    this.#process = spawn({
      cmd: [...ENDS_WITH_THE_TEST, this.#program, ...where, ...this.#options],
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'ignore',
    })
    this.address = await until(() => this.#readAddress(), 'nats-server listens')
  }

  /** The file that it writes once it listens, named after its process. */
  #readAddress(): string | undefined {
    const { path } = this.#folder
    const name = readdirSync(path).find((one) => one.endsWith(`_${this.#process.pid}.ports`))
    if (name === undefined) return undefined
    const text = readFileSync(join(path, name), 'utf8')
    return /nats:\/\/([\d.]+:\d+)/.exec(text)?.[1]
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process.kill(signal)
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    await within(this.#process.exited, 'nats-server ends')
  }

  async remove(): Promise<void> {
    await this.kill()
    this.#folder.remove()
  }
}
