/** A server of one's own, on scratch data, to be killed and started again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const START_MS_MAX = 60_000

/** None of them: the database is embedded. */
export interface Services {
  databaseUrl?: string
  natsUrl?: string
}

/** It ended instead of starting; the message is what it said. */
export class StartRefused extends Error {}

export class ScratchServer {
  readonly folder: string
  url = ''
  readonly #command: readonly string[]
  readonly #services: Services
  #process: ChildProcess | undefined
  #errors = ''
  #isRemoved = false

  /**
   * `command` starts a server; its data is kept in a new folder `within` that one, unless it is
   * given a database.
   */
  constructor(command: readonly string[], within: string, services: Services = {}) {
    this.folder = mkdtempSync(join(within, 'parley-verify-'))
    this.#command = command
    this.#services = services
  }

  /** At the same address as before, if it was there before. Rejects with `StartRefused`. */
  async start(): Promise<void> {
    // Whoever kills it now and then may not have heard yet that it is over.
    if (this.#isRemoved) throw new StartRefused('It was removed.')
    const [program, ...args] = this.#command
    const { databaseUrl: DATABASE_URL = '', natsUrl: NATS_URL = '' } = this.#services
    const port = this.url === '' ? '0' : new URL(this.url).port
    const given = { HOST: '127.0.0.1', PORT: port, DATA_DIR: this.folder, LOG_LEVEL: 'error' }
    // What the environment names belongs to another server than this one.
    const services = { PUBLIC_URL: '', DATABASE_URL, DATABASE_REPLICA_URL: '', NATS_URL }
    const env = { ...process.env, ...services, ...given }
    this.#errors = ''
    const child = spawn(program!, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process = child
    child.stderr!.on('data', (chunk) => {
      this.#errors = (this.#errors + chunk).slice(-2_000)
    })
    this.url = await new Promise<string>((resolve, reject) => {
      const fail = (why: string) => reject(new StartRefused(`The server does not start: ${why}`))
      const timer = setTimeout(() => fail('it takes too long.'), START_MS_MAX)
      let printed = ''
      child.stdout!.on('data', (chunk) => {
        printed += chunk
        const address = /listening on (http:\S+)/.exec(printed)?.[1]
        if (address !== undefined) resolve(address)
      })
      child.on('error', ({ message }) => fail(message))
      // All that it has said is there once its pipes are closed.
      child.on('close', (code) => {
        clearTimeout(timer)
        fail(`${this.#errors.replace('Parley could not start.', '').trim()} (exit code ${code})`)
      })
    })
  }

  /** `kill -9`: nothing is finished, nothing is flushed. */
  async kill(): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }

  async remove(): Promise<void> {
    this.#isRemoved = true
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
