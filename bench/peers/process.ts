/**
 * A peer's processes: started pinned, in a scratch folder of their own, on a free port; counted
 * together; ended together.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Subprocess, spawn } from 'bun'
import { freePort } from '../../test/services/ports.ts'
import { pinned } from '../machine.ts'
import { treesOf } from '../process-tree.ts'

const START_MS_MAX = 30_000
const STOP_MS_MAX = 5_000
const RETRY_MS = 20
/** Kept of what it says; the rest is of no help. */
const OUTPUT_CHARACTERS_MAX = 4_000
/** Debian puts servers where an ordinary user's shell does not look. */
const FOLDERS = [process.env.PATH, '/usr/sbin', '/usr/local/sbin'].join(':')

/** What a peer makes of its folder and port. */
export interface Plan {
  command: readonly string[]
  env?: Record<string, string>
  /** Written into the scratch folder before the start; by name. */
  files?: Record<string, string>
}

export class PeerProcess {
  #output = ''
  readonly #process: Subprocess<'ignore', 'pipe', 'pipe'>

  /**
   * Starts what `plan` describes and waits until its port accepts. Rejects with what it said, if it
   * ends before that or takes longer than `START_MS_MAX`; then nothing of it is left.
   */
  static async start(
    core: number | undefined,
    plan: (folder: string, port: number) => Plan,
  ): Promise<PeerProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'parley-peer-'))
    const port = await freePort()
    const peer = new PeerProcess(core, folder, port, plan(folder, port))
    try {
      await peer.#accepting()
    } catch (error) {
      await peer.stop()
      throw error
    }
    return peer
  }

  private constructor(
    core: number | undefined,
    readonly folder: string,
    readonly port: number,
    { command, env, files = {} }: Plan,
  ) {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    this.#process = spawn({
      cmd: pinned(core, command),
      cwd: folder,
      env: { ...process.env, ...env },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    void this.#collect(this.#process.stdout)
    void this.#collect(this.#process.stderr)
    process.once('exit', this.#abandon)
  }

  /** Of all its processes that run now, the first one first. */
  get pids(): number[] {
    return treesOf([this.#process.pid])
  }

  /** What it said last. */
  get output(): string {
    return this.#output.trim()
  }

  get ended(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null
  }

  /** Leaves neither processes nor files behind. */
  async stop(): Promise<void> {
    // Taken before the first one ends: the others are then nobody's children.
    const { pids } = this
    this.#process.kill('SIGTERM')
    const timer = setTimeout(() => killAll(pids), STOP_MS_MAX)
    await this.#process.exited
    clearTimeout(timer)
    process.removeListener('exit', this.#abandon)
    killAll(pids)
    rmSync(this.folder, { recursive: true, force: true })
  }

  readonly #abandon = (): void => {
    killAll(this.pids)
    rmSync(this.folder, { recursive: true, force: true })
  }

  async #accepting(): Promise<void> {
    const deadline = performance.now() + START_MS_MAX
    while (!(await accepts(this.port))) {
      if (this.ended) throw new Error(`It ended while starting: ${this.output}`)
      if (performance.now() > deadline)
        throw new Error(`It did not listen within ${START_MS_MAX / 1_000} s: ${this.output}`)
      await Bun.sleep(RETRY_MS)
    }
  }

  async #collect(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder()
    for await (const chunk of stream)
      this.#output = (this.#output + decoder.decode(chunk)).slice(-OUTPUT_CHARACTERS_MAX)
  }
}

/** The path of a program, also where servers are kept; undefined if it is not installed. */
export function findProgram(name: string): string | undefined {
  return Bun.which(name, { PATH: FOLDERS }) ?? undefined
}

/** The first match of `pattern` in what a program says of itself; undefined if it says nothing. */
export function readVersion(command: readonly string[], pattern: RegExp): string | undefined {
  const { stdout, stderr } = Bun.spawnSync({ cmd: [...command], stdin: 'ignore' })
  return pattern.exec(`${stdout}\n${stderr}`)?.[1]
}

/** Of an npm package of this project; undefined if it is not installed. */
export function packageVersion(name: string): string | undefined {
  const path = join(import.meta.dir, '../../node_modules', name, 'package.json')
  if (!existsSync(path)) return undefined
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
}

function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has ended by itself.
    }
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
