/**
 * Cuts the power at every moment at which somebody had just been told something, and looks what a
 * store finds then. What was told, as an acknowledgement or as an event, must be there.
 *
 * 1. *Talk.* People talk to a server that strace watches; each message has a text of its own.
 * 2. *Replay.* What the server did is gone through again, call by call, in the kernel's order.
 * 3. *Cut.* Before each change of the disk that follows a telling, the files are rebuilt with what
 *    was synced, and once more with some of the rest, by chance.
 * 4. *Judge.* Our own store opens them, and the checker compares: what was told by then counts as
 *    acknowledged, anything else as unknown.
 */
import { existsSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SqliteDatabase } from '../../src/store/sqlite-database.ts'
import { faultsOf } from '../../src/verify/checker.ts'
import type { Attempt } from '../../src/verify/history.ts'
import { scratchFolder } from '../harness.ts'
import { Load } from '../promises/load.ts'
import { type DiskEvent, TracedServer } from './disk-trace.ts'
import { type Fate, PowerCutDisk } from './power-cut.ts'

/** What is kept of that which was not synced, beside nothing. */
const FATES: readonly Fate[] = ['all kept', 'the first ones kept', 'some kept', 'torn']
const EVENTS_MAX = 1_000_000

export interface CutOptions {
  strace: string
  /** Of the server; its own without it. */
  command?: readonly string[]
  /** Posts acknowledged in each life of the server, at least. Every life but the last is killed. */
  postsPerLife: number
  lives: number
  random: () => number
  progress?: (line: string) => void
}

export interface Cuts {
  /** Different states of the disk that were rebuilt, with `told` posts in all. */
  cuts: number
  told: number
  /** How often SQLite's log was begun, anew or for the first time. */
  logs: number
  faults: string[]
}

export async function cutEverywhere(options: CutOptions): Promise<Cuts> {
  const root = scratchFolder()
  // Its making is part of what is watched.
  const folder = join(root.path, 'parley', 'data')
  const rebuilt = join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), `parley-cut-${process.pid}`)
  const lives: TracedServer[] = []
  try {
    const { load, faults } = await talk(options, folder, lives)
    if (faults.length > 0) return { cuts: 0, told: 0, logs: 0, faults }
    const judge = new Judge(root.path, folder, rebuilt, load, options)
    for (const life of lives) for await (const event of life.events()) judge.take(event)
    return judge.end()
  } finally {
    for (const life of lives) await life.remove()
    root.remove()
    rmSync(rebuilt, { recursive: true, force: true })
  }
}

async function talk(options: CutOptions, folder: string, lives: TracedServer[]) {
  const begin = async () => {
    const life = await TracedServer.start(options.strace, folder, options.command)
    lives.push(life)
    return life
  }
  const server = {
    get url() {
      return lives.at(-1)!.server.url
    },
  }
  await begin()
  const load = await Load.start(server, { inFlight: 2 })
  for (let life = 1; life < options.lives; life++) {
    await load.goesOn(options.postsPerLife, 120_000)
    await lives.at(-1)!.kill()
    await begin()
  }
  await load.goesOn(options.postsPerLife, 120_000)
  const faults = await load.faults()
  await lives.at(-1)!.kill()
  return { load, faults }
}

class Judge {
  readonly #disk: PowerCutDisk
  readonly #folder: string
  readonly #rebuilt: string
  readonly #options: CutOptions
  readonly #attempts: readonly Attempt[]
  readonly #timelines: readonly string[]
  readonly #textAt = new Map<string, string>()
  readonly #told = new Set<string>()
  readonly #faults: string[] = []
  #toldSince = false
  #cuts = 0
  #logs = 0

  constructor(root: string, folder: string, rebuilt: string, load: Load, options: CutOptions) {
    this.#disk = new PowerCutDisk(root)
    this.#folder = folder
    this.#rebuilt = rebuilt
    this.#options = options
    this.#attempts = load.run.attempts
    this.#timelines = load.spots.map(({ timeline }) => timeline)
    for (const { timeline, seq, text } of this.#attempts)
      if (seq !== undefined) this.#textAt.set(`${timeline} ${seq}`, text)
  }

  take(event: DiskEvent): void {
    if (event.kind === 'sent') this.#hear(event.bytes.toString())
    else {
      if (this.#toldSince) this.#cut()
      if (event.kind === 'written' && event.at === 0 && event.path.endsWith('-wal')) this.#logs += 1
      this.#disk.apply(event)
    }
  }

  end(): Cuts {
    if (this.#toldSince) this.#cut()
    const untold = this.#attempts.filter(
      ({ seq, text }) => seq !== undefined && !this.#told.has(text),
    )
    if (untold.length > 0)
      this.#faults.push(`${untold.length} acknowledgements are not in the trace`)
    return { cuts: this.#cuts, told: this.#told.size, logs: this.#logs, faults: this.#faults }
  }

  /** What leaves the server says that something is stored: as a message, or as a post's reply. */
  #hear(sent: string): void {
    const before = this.#told.size
    for (const [, text] of sent.matchAll(/"text":"(text \d+ of [^"]+)"/g)) this.#told.add(text!)
    for (const [, timeline, seq] of sent.matchAll(/"ok":\{"timeline":"([^"]+)","seq":(\d+)/g)) {
      const text = this.#textAt.get(`${timeline} ${seq}`)
      if (text !== undefined) this.#told.add(text)
    }
    if (this.#told.size > before) this.#toldSince = true
  }

  #cut(): void {
    this.#toldSince = false
    this.#cuts += 1
    const { random, progress } = this.#options
    const fate = FATES[Math.floor(random() * FATES.length)]!
    for (const one of ['nothing kept', fate] as const) {
      this.#disk.rebuild(this.#folder, this.#rebuilt, one, random)
      const where = `cut ${this.#cuts}, ${this.#told.size} posts told, ${one}`
      for (const what of this.#wrong()) this.#faults.push(`${where}: ${what}`)
    }
    progress?.(`${this.#cuts} cuts, ${this.#told.size} posts told, ${this.#faults.length} faults`)
  }

  #wrong(): string[] {
    const attempts = this.#attempts.map((one) =>
      one.outcome === 'ok' && !this.#told.has(one.text)
        ? { ...one, outcome: 'unknown' as const }
        : one,
    )
    try {
      const { log, loss } = readRebuilt(this.#rebuilt, this.#timelines)
      // A cut spoils nothing that was synced, so nothing may look as if it had.
      if (loss !== undefined) return [`a false alarm: ${loss}`]
      return faultsOf({ attempts, log, readings: [] }).map(({ kind, what }) => `${kind}: ${what}`)
    } catch (error) {
      return [`it does not open: ${(error as Error).message}`]
    }
  }
}

/** What our own store finds in a folder; and whether it thinks that something is missing. */
export function readRebuilt(folder: string, timelines: readonly string[]) {
  const database = SqliteDatabase.openWriter(folder)
  try {
    const log = new Map<string, { seq: number; text: string }[]>()
    for (const timeline of timelines) {
      const events = JSON.parse(database.list(timeline, { after: 0, limit: EVENTS_MAX }))
      const texts = events.map(({ seq, body }: { seq: number; body: string }) => ({
        seq,
        text: JSON.parse(body).text as string,
      }))
      log.set(timeline, texts)
    }
    return { log, epoch: database.epoch(), loss: database.loss }
  } finally {
    database.close()
  }
}
