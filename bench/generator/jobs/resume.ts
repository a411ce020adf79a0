/**
 * *resume*: everyone is cut off at once, misses something and comes back. In four steps:
 *
 * 1. *Gather.* The readers join their rooms; one poster posts a few rounds, a post in each room.
 * 2. *Cut.* In the middle of a round all readers are reset. The poster goes on until each room has
 *    the posts that are to be missed. So readers stand where they happened to be cut, not all at
 *    the same seq.
 * 3. *Wait*, if the server is to be killed: bench does that on the mark `posted`; here the poster
 *    notices, and the port is tried until somebody listens again.
 * 4. *Return.* All readers come back, spread evenly over a second, and resume each room from their
 *    own cursor. Who is refused comes again: after `Retry-After` if the server let it not in, after
 *    a moment if the connection failed. It ends when everyone has everything, and a little later,
 *    so that what comes twice is seen, too.
 */
import type { Percentiles } from '../../record.ts'
import { Faults, Histogram } from '../../stats.ts'
import { roomsOf } from '../crowd.ts'
import type { Dialect, DialectSetup } from '../dialect.ts'
import { listening } from '../listening.ts'
import type { JobContext } from '../main.ts'
import { type Audience, Member } from '../member.ts'
import { Opening } from '../opening.ts'
import { RoundPoster } from '../round-poster.ts'
import { received } from '../tcp.ts'
import type { UpgradeRefused } from '../websocket.ts'

export interface ResumeJob {
  kind: 'resume'
  port: number
  /** Path of the module with `createDialect`. */
  dialect: string
  /** With a token for each reader. */
  setup: DialectSetup
  readers: number
  roomsEach: number
  /** Of the database: a cursor belongs to one. */
  epoch: string
  /** Posts in each room before the cut, and after it. */
  seenPosts: number
  missedPosts: number
  /** The server is killed and started again on the same port after the mark `posted`. */
  killed: boolean
  /** All readers come back within this time. */
  returnMs: number
  /** The longest that the return may take; what is missing then is lost. */
  returnMsMax: number
}

/** Marks, besides `posted`: the first reader comes back; the last has everything, or time is up. */
export const RESUME_MARKS = {
  posted: 'posted',
  returning: 'returning',
  returned: 'returned',
} as const

export interface ResumeResult {
  /** How long each reader that has everything took, from the first one's return on. */
  sinceFirstMs: Percentiles
  /** The same, each from its own planned return on. */
  sinceOwnMs: Percentiles
  readers: number
  /** Readers that have everything. */
  complete: number
  /** Events that came in the return, counted for each reader. */
  deliveries: number
  receivedBytes: number
  lost: number
  twice: number
  /** Handshakes, and subscriptions, that were told to come later. */
  refused: number
  refusedRooms: number
  /** Connections that failed or ended in the return, and were made again. */
  failed: number
  generatorCpuS: number
  faults: string[]
  faultCount: number
}

const TRY_AGAIN_MS = 100
/** Who cannot wait for less than a second must not be told to wait for nothing. */
const RETRY_AFTER_S = 1
const LATE_COPIES_MS = 500
const PROGRESS_MS = 500

export function resume(job: ResumeJob, context: JobContext): Promise<ResumeResult> {
  return new Blackout(job, context).run()
}

class Reader extends Member {
  /** Rooms that lack something. */
  missing = 0
  /** When it comes back, on the loop's clock. */
  returnsAtMs = 0
  readonly #blackout: Blackout

  constructor(index: number, rooms: readonly number[], dialect: Dialect, blackout: Blackout) {
    super(index, rooms, dialect, blackout)
    this.#blackout = blackout
  }

  override delivered(room: number, first: number, last: number, numbers?: Int32Array): void {
    const place = this.rooms.indexOf(room)
    const before = this.next[place]!
    super.delivered(room, first, last, numbers)
    this.#blackout.moved(this, before, this.next[place]!)
  }
}

class Blackout implements Audience {
  readonly #job: ResumeJob
  readonly #context: JobContext
  readonly #readers: Reader[]
  readonly #opening: Opening
  readonly #faults = new Faults()
  readonly #sinceFirst = new Histogram()
  readonly #sinceOwn = new Histogram()
  readonly #poster: RoundPoster
  #step: 'gather' | 'cut' | 'return' = 'gather'
  #firstAtMs = 0
  #complete = 0
  #deliveries = 0
  #lost = 0
  #twice = 0
  #refused = 0
  #refusedRooms = 0
  #failed = 0

  constructor(job: ResumeJob, context: JobContext) {
    const dialect = context.createDialect(job.setup)
    this.#job = job
    this.#context = context
    this.#opening = new Opening(context.loop, job.port)
    const { readers, roomsEach, setup } = job
    const rooms = roomsOf({ connections: readers, from: 0, rooms: setup.rooms.length, roomsEach })
    this.#readers = rooms.map((joined, i) => new Reader(i, joined, dialect, this))
    this.#poster = new RoundPoster(dialect, {
      ...{ index: readers, rooms: setup.rooms.length, rounds: this.#seqs },
      onAcknowledged: (count) => {
        if (count === job.seenPosts * setup.rooms.length) this.#cut()
      },
      fault: (text) => this.#faults.add(text),
    })
  }

  async run(): Promise<ResumeResult> {
    this.#progress('gathering')
    const { loop } = this.#context
    const { port, killed } = this.#job
    await this.#opening.open(this.#readers)
    await this.#poster.open(loop, port)
    this.#poster.begin()
    await this.#poster.done
    this.#context.tell({ mark: RESUME_MARKS.posted })
    if (killed) {
      await this.#poster.gone
      await listening(loop, port)
    }
    const cpuBefore = process.cpuUsage()
    const bytesBefore = received.bytes
    this.#context.tell({ mark: RESUME_MARKS.returning })
    await this.#return()
    const { user, system } = process.cpuUsage(cpuBefore)
    this.#context.tell({ mark: RESUME_MARKS.returned })
    const receivedBytes = received.bytes - bytesBefore
    await this.#context.loop.sleep(LATE_COPIES_MS)
    this.#countMissing()
    return this.#result(receivedBytes, (user + system) / 1e6)
  }

  get #seqs(): number {
    return this.#job.seenPosts + this.#job.missedPosts
  }

  #cut(): void {
    this.#step = 'cut'
    for (const reader of this.#readers) {
      reader.close()
      reader.missing = reader.next.filter((next) => next <= this.#seqs).length
      if (reader.missing < reader.rooms.length)
        this.#faults.add(`reader ${reader.index} had everything before the cut`)
    }
  }

  async #return(): Promise<void> {
    const { returnMs, returnMsMax } = this.#job
    this.#step = 'return'
    this.#firstAtMs = performance.now()
    for (const [i, reader] of this.#readers.entries())
      reader.returnsAtMs = this.#firstAtMs + (i / this.#readers.length) * returnMs
    let next = 0
    const openDue = () => {
      const nowMs = performance.now()
      while (next < this.#readers.length && this.#readers[next]!.returnsAtMs <= nowMs)
        this.#open(this.#readers[next++]!)
      if (next < this.#readers.length)
        this.#context.loop.at(this.#readers[next]!.returnsAtMs, openDue)
    }
    openDue()
    const endMs = this.#firstAtMs + returnMsMax
    let toldMs = this.#firstAtMs
    while (this.#complete < this.#readers.length && performance.now() < endMs) {
      await this.#context.loop.sleep(1)
      if (performance.now() - toldMs < PROGRESS_MS) continue
      toldMs = performance.now()
      this.#progress('resuming')
    }
  }

  #open(reader: Reader): void {
    reader.open(this.#context.loop, this.#job.port)
  }

  joined(): void {
    if (this.#step === 'gather') this.#opening.joined()
  }

  resumeText(reader: Member, room: number): string {
    if (this.#step === 'gather') return ''
    const after = reader.next[reader.rooms.indexOf(room)]! - 1
    return `,"after":${after},"epoch":${JSON.stringify(this.#job.epoch)}`
  }

  delivered(room: number, first: number, last: number, numbers?: Int32Array): void {
    for (const [i, n] of numbers!.entries())
      if (n !== first + i - 1) this.#faults.add(`event ${first + i} of room ${room} is post ${n}`)
    if (this.#step === 'return') this.#deliveries += last + 1 - first
  }

  outOfSequence(
    { index }: Member,
    room: number,
    next: number,
    [first, last]: readonly [number, number],
  ): void {
    if (first > next) this.#lost += first - next
    else this.#twice += Math.min(next, last + 1) - first
    this.#faults.add(`reader ${index} got ${first} of room ${room} and not ${next}`)
  }

  /** What is to come next for a reader, in one of its rooms, was `before` and is `after`. */
  moved(reader: Reader, before: number, after: number): void {
    if (this.#step === 'return' && before <= this.#seqs && after > this.#seqs)
      this.#completed(reader)
  }

  /** One room of this reader's has all that was posted. */
  #completed(reader: Reader): void {
    reader.missing -= 1
    if (reader.missing > 0) return
    const nowMs = performance.now()
    this.#complete += 1
    this.#sinceFirst.record(nowMs - this.#firstAtMs)
    this.#sinceOwn.record(nowMs - reader.returnsAtMs)
  }

  #countMissing(): void {
    for (const { next, index } of this.#readers) {
      const missing = next.reduce((sum, one) => sum + Math.max(0, this.#seqs + 1 - one), 0)
      if (missing === 0) continue
      this.#lost += missing
      this.#faults.add(`reader ${index} still lacks ${missing} events`)
    }
  }

  refused(reader: Reader, { status, retryAfterS, message }: UpgradeRefused): void {
    if (this.#step !== 'return' || status !== 503) return this.lost(reader, message)
    this.#refused += 1
    const afterMs = (retryAfterS ?? RETRY_AFTER_S) * 1_000
    this.#context.loop.at(performance.now() + afterMs, () => this.#open(reader))
  }

  joinLater(afterS: number, again: () => void): void {
    this.#refusedRooms += 1
    this.#context.loop.at(performance.now() + Math.max(afterS * 1_000, TRY_AGAIN_MS), again)
  }

  lost(member: Member, why: string): void {
    if (this.#step === 'gather') this.#opening.failed(why)
    if (this.#step !== 'return') return this.#faults.add(`a reader was cut off: ${why}`)
    this.#failed += 1
    this.#context.loop.at(performance.now() + TRY_AGAIN_MS, () =>
      member.open(this.#context.loop, this.#job.port),
    )
  }

  /** Readers post nothing. */
  acknowledged(room: number): void {
    this.#faults.add(`a post in room ${room} was acknowledged that nobody made`)
  }

  fault(text: string): void {
    this.#faults.add(text)
  }

  #progress(phase: string): void {
    const atS = this.#step === 'return' ? (performance.now() - this.#firstAtMs) / 1_000 : 0
    const perSecond = atS === 0 ? 0 : this.#complete / atS
    this.#context.tell({ progress: { phase, atS, ofS: 0, perSecond } })
  }

  #result(receivedBytes: number, generatorCpuS: number): ResumeResult {
    return {
      sinceFirstMs: this.#sinceFirst.percentiles,
      sinceOwnMs: this.#sinceOwn.percentiles,
      readers: this.#readers.length,
      complete: this.#complete,
      deliveries: this.#deliveries,
      receivedBytes,
      lost: this.#lost,
      twice: this.#twice,
      refused: this.#refused,
      refusedRooms: this.#refusedRooms,
      failed: this.#failed,
      generatorCpuS,
      faults: this.#faults.texts,
      faultCount: this.#faults.count,
    }
  }
}
