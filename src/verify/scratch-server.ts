/** A server of one's own, on a scratch folder, to be killed and started again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const START_MS_MAX = 60_000

export class ScratchServer {
  readonly folder: string
  url = ''
  readonly #command: readonly string[]
  #process: ChildProcess | undefined
  #errors = ''

  /** `command` starts a server; its data is kept in a new folder `within` that one. */
  constructor(command: readonly string[], within: string) {
    this.folder = mkdtempSync(join(within, 'parley-verify-'))
    this.#command = command
  }

  /** At the same address as before, if it was there before. Rejects with what it said. */
  async start(): Promise<void> {
    const [program, ...args] = this.#command
    const port = this.url === '' ? '0' : new URL(this.url).port
    const given = { HOST: '127.0.0.1', PORT: port, DATA_DIR: this.folder, LOG_LEVEL: 'error' }
    const env = { ...process.env, PUBLIC_URL: '', DATABASE_URL: '', NATS_URL: '', ...given }
    this.#errors = ''
    const child = spawn(program!, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process = child
    child.stderr!.on('data', (chunk) => {
      this.#errors = (this.#errors + chunk).slice(-2_000)
    })
    this.url = await new Promise<string>((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`The server does not start: ${why}`))
      const timer = setTimeout(() => fail('it takes too long.'), START_MS_MAX)
      let printed = ''
      child.stdout!.on('data', (chunk) => {
        printed += chunk
        const address = /listening on (http:\S+)/.exec(printed)?.[1]
        if (address !== undefined) resolve(address)
      })
      child.on('error', ({ message }) => fail(message))
      child.on('exit', (code) => fail(`exit code ${code}. ${this.#errors}`))
      child.on('close', () => clearTimeout(timer))
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
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
