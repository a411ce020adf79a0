/**
 * A server under test: a process of its own on a core of its own, with fresh data and no limits.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Subprocess, spawn } from 'bun'
import { pinned } from './machine.ts'

const START_MS_MAX = 20_000
const STOP_MS_MAX = 12_000

/** For load: nobody is refused, nothing is written to the log but what goes wrong. */
const SETTINGS = {
  HOST: '127.0.0.1',
  PORT: '0',
  RATE_LIMITS: 'off',
  CONNECTIONS_PER_USER_MAX: '1000000',
  LOG_LEVEL: 'warn',
}

export interface ServerOptions {
  /** Path of the script, from the project's root. */
  script: string
  core: number | undefined
  /** A data folder of the caller's, who removes it; otherwise a fresh one, gone with the server. */
  folder?: string
  /** Settings besides those for load. */
  env?: Record<string, string>
  /** Where Bun is to leave a CPU profile, on request. */
  profileFolder?: string | undefined
}

/** An empty one, for whoever wants to put something in before a server starts. */
export function makeDataFolder(): string {
  return mkdtempSync(join(tmpdir(), 'parley-bench-'))
}

export class ServerProcess {
  url = ''
  #errors = ''
  readonly #freshFolder: string | undefined
  readonly #process: Subprocess<'ignore', 'pipe', 'pipe'>

  static async start(options: ServerOptions): Promise<ServerProcess> {
    const server = new ServerProcess(options)
    void server.#collectErrors()
    const timer = setTimeout(() => server.#process.kill('SIGKILL'), START_MS_MAX)
    server.url = await server.#readAddress().finally(() => clearTimeout(timer))
    return server
  }

  private constructor({ script, core, folder, env, profileFolder }: ServerOptions) {
    this.#freshFolder = folder === undefined ? makeDataFolder() : undefined
    const profile = profileFolder ? ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`] : []
    const path = join(import.meta.dir, '..', script)
    this.#process = spawn({
      cmd: pinned(core, [process.execPath, ...profile, path]),
      env: { ...process.env, ...SETTINGS, DATA_DIR: folder ?? this.#freshFolder, ...env },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    process.once('exit', this.#abandon)
  }

  get port(): number {
    return Number(new URL(this.url).port)
  }

  get pid(): number {
    return this.#process.pid
  }

  /** Stops it as an operator would, and rejects if it does not end in good order. */
  async stop(): Promise<void> {
    this.#process.kill('SIGTERM')
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), STOP_MS_MAX)
    const code = await this.#process.exited
    clearTimeout(timer)
    process.removeListener('exit', this.#abandon)
    this.#abandon()
    const errors = this.#errors.trim()
    if (code !== 0) throw new Error(`the server ended with ${code}: ${errors}`)
    if (errors !== '') throw new Error(`the server complained: ${errors.slice(0, 1_000)}`)
  }

  /** `kill -9`. Its data stay if the folder is the caller's. */
  async kill(): Promise<void> {
    process.removeListener('exit', this.#abandon)
    this.#abandon()
    await this.#process.exited
  }

  /** Leaves neither a process nor data behind, even if the run is broken off. */
  readonly #abandon = (): void => {
    this.#process.kill('SIGKILL')
    if (this.#freshFolder !== undefined) rmSync(this.#freshFolder, { recursive: true, force: true })
  }

  async #readAddress(): Promise<string> {
    let text = ''
    const decoder = new TextDecoder()
    for await (const chunk of this.#process.stdout) {
      text += decoder.decode(chunk)
      const address = /listening on (http:\S+)/.exec(text)?.[1]
      if (address !== undefined) return address
    }
    throw new Error(`the server did not start: ${this.#errors}`)
  }

  async #collectErrors(): Promise<void> {
    const decoder = new TextDecoder()
    for await (const chunk of this.#process.stderr) this.#errors += decoder.decode(chunk)
  }
}
