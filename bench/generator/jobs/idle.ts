/**
 * *idle*: many connections that follow a few rooms and say nothing. In three steps:
 *
 * 1. *Ramp.* They come in groups of the same size. After each the server is left alone for a
 *    while; then bench, on the mark `settled N`, reads its memory.
 * 2. *Rest.* Nothing happens but heartbeats, which are answered. Bench reads the server's CPU at
 *    the marks `resting` and `rested`.
 * 3. *Wake.* One post in the room that everybody follows, a few times, each after all is quiet
 *    again: how long until the last has it.
 *
 * Several generators, each with a server of its own, take these steps together: after each mark
 * they wait for a turn that bench gives to all of them. Only the first of them posts.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Percentiles } from '../../record.ts'
import { Faults, Histogram } from '../../stats.ts'
import { roomsOf } from '../crowd.ts'
import type { Dialect, DialectSetup } from '../dialect.ts'
import type { JobContext } from '../main.ts'
import { type Audience, Member } from '../member.ts'
import { Opening } from '../opening.ts'
import { pinged } from '../websocket.ts'

export interface IdleJob {
  kind: 'idle'
  port: number
  /** Path of the module with `createDialect`. */
  dialect: string
  /** With a token for each connection. Everybody follows the first room. */
  setup: DialectSetup
  connections: number
  /** Of each connection, the first room included. */
  roomsEach: number
  /** The connections come in so many groups. */
  groups: number
  settleMs: number
  restMs: number
  wakes: number
  /** How long everyone may take to be told. */
  wakeMsMax: number
  /** If there are several: where turns are given, and whether it is this one's to post. */
  together?: { folder: string; posts: boolean }
}

/** A file by this name gives the turn; what it says is when to post, in ms since 1970. */
export const turnAfter = (mark: string): string => mark.replaceAll(' ', '-')

export const IDLE_MARKS = {
  settled: (connections: number): string => `settled ${connections}`,
  resting: 'resting',
  rested: 'rested',
  waking: (n: number): string => `waking ${n}`,
} as const

export interface IdleResult {
  connections: number
  /** From the first connect of each group until the last of it had joined its rooms, summed up. */
  rampS: number
  /** Pings that came, and were answered, during the rest. */
  pings: number
  /** From the post on until each connection has it; one for each wake. */
  wakesMs: Percentiles[]
  generatorCpuS: number
  /** Connections that were not delivered what was posted. */
  lost: number
  twice: number
  faults: string[]
  faultCount: number
}

const EVERYBODY = 0
/** Long enough for bench to look between two things that it is to tell apart. */
const LOOK_MS = 300
const BETWEEN_WAKES_MS = 1_000
const TURN_CHECK_MS = 5
/** Longer than the slowest generator may take for its part of a step. */
const TURN_MS_MAX = 300_000

export function idle(job: IdleJob, context: JobContext): Promise<IdleResult> {
  return new Night(job, context).run()
}

class Night implements Audience {
  readonly #job: IdleJob
  readonly #context: JobContext
  readonly #dialect: Dialect
  readonly #members: Member[]
  readonly #opening: Opening
  readonly #faults = new Faults()
  #wake = new Histogram()
  #wokenAtMs = 0
  #awake = 0
  #lost = 0
  #twice = 0

  constructor(job: IdleJob, context: JobContext) {
    this.#job = job
    this.#context = context
    this.#dialect = context.createDialect(job.setup)
    this.#opening = new Opening(context.loop, job.port)
    const { connections, setup } = job
    const others = { from: 1, rooms: setup.rooms.length - 1, roomsEach: job.roomsEach - 1 }
    this.#members = roomsOf({ connections, ...others }).map(
      (rooms, i) => new Member(i, [EVERYBODY, ...rooms], this.#dialect, this),
    )
  }

  async run(): Promise<IdleResult> {
    const cpuBefore = process.cpuUsage()
    const rampS = await this.#ramp()
    const pings = await this.#rest()
    const wakesMs: Percentiles[] = []
    for (let n = 0; n < this.#job.wakes; n++) wakesMs.push(await this.#wakeAll(n))
    const { user, system } = process.cpuUsage(cpuBefore)
    return {
      connections: this.#members.length,
      rampS,
      pings,
      wakesMs,
      generatorCpuS: (user + system) / 1e6,
      lost: this.#lost,
      twice: this.#twice,
      faults: this.#faults.texts,
      faultCount: this.#faults.count,
    }
  }

  async #ramp(): Promise<number> {
    const { connections, groups, settleMs } = this.#job
    const { loop, tell } = this.#context
    let rampMs = 0
    for (let group = 1; group <= groups; group++) {
      const from = Math.round(((group - 1) / groups) * connections)
      const to = Math.round((group / groups) * connections)
      const startedAt = performance.now()
      await this.#opening.open(this.#members.slice(from, to))
      const tookMs = performance.now() - startedAt
      rampMs += tookMs
      const perSecond = ((to - from) / tookMs) * 1_000
      tell({ progress: { phase: 'connecting', atS: rampMs / 1_000, ofS: 0, perSecond } })
      await loop.sleep(settleMs)
      await this.#mark(IDLE_MARKS.settled(to))
    }
    return rampMs / 1_000
  }

  async #rest(): Promise<number> {
    const { restMs } = this.#job
    const { loop, tell } = this.#context
    await this.#mark(IDLE_MARKS.resting)
    const before = pinged.count
    for (let atS = 1; atS <= restMs / 1_000; atS++) {
      const soFar = pinged.count
      await loop.sleep(1_000)
      const perSecond = pinged.count - soFar
      tell({ progress: { phase: 'resting', atS, ofS: restMs / 1_000, perSecond } })
    }
    const pings = pinged.count - before
    await this.#mark(IDLE_MARKS.rested)
    return pings
  }

  async #wakeAll(n: number): Promise<Percentiles> {
    const { loop } = this.#context
    this.#wake = new Histogram()
    this.#awake = 0
    this.#wokenAtMs = await this.#mark(IDLE_MARKS.waking(n))
    while (performance.now() < this.#wokenAtMs) await loop.sleep(0)
    if (this.#job.together?.posts !== false)
      this.#members[n % this.#members.length]!.send(this.#dialect.post(EVERYBODY, n))
    const endMs = this.#wokenAtMs + this.#job.wakeMsMax
    while (this.#awake < this.#members.length && performance.now() < endMs) await loop.sleep(1)
    await loop.sleep(BETWEEN_WAKES_MS)
    const missing = this.#members.filter(({ next }) => next[0] !== n + 2).length
    if (missing > 0) this.#faults.add(`${missing} connections were not told of post ${n}`)
    this.#lost += missing
    return this.#wake.percentiles
  }

  /** Resolves when it is time to go on, with when to begin, on the clock of this process. */
  async #mark(mark: string): Promise<number> {
    const { loop, tell } = this.#context
    const { together } = this.#job
    tell({ mark })
    if (together === undefined) {
      await loop.sleep(LOOK_MS)
      return performance.now()
    }
    const turn = join(together.folder, turnAfter(mark))
    const endMs = performance.now() + TURN_MS_MAX
    while (!existsSync(turn)) {
      if (performance.now() > endMs) throw new Error(`no turn came after ${mark}`)
      await loop.sleep(TURN_CHECK_MS)
    }
    return Number(readFileSync(turn, 'utf8')) - performance.timeOrigin
  }

  joined(): void {
    this.#opening.joined()
  }

  delivered(room: number, first: number, last: number, numbers?: Int32Array): void {
    this.#wake.record(performance.now() - this.#wokenAtMs)
    this.#awake += 1
    if (room !== EVERYBODY || first !== last || numbers![0] !== first - 1)
      this.#faults.add(`events ${first} to ${last} of room ${room} were not posted`)
  }

  outOfSequence(
    { index }: Member,
    room: number,
    next: number,
    [first, last]: readonly [number, number],
  ): void {
    if (first < next) this.#twice += Math.min(next, last + 1) - first
    this.#faults.add(`connection ${index} got ${first} of room ${room} and not ${next}`)
  }

  acknowledged(room: number, n: number, seq?: number): void {
    if (seq !== n + 1) this.#faults.add(`post ${n} in room ${room} was given seq ${seq}`)
  }

  lost({ index }: Member, why: string): void {
    this.#faults.add(`connection ${index} was lost: ${why}`)
    this.#opening.failed(why)
  }

  fault(text: string): void {
    this.#faults.add(text)
  }
}
