/**
 * A hub with everything around it made of paper: a log that answers late or not at all, a bus that
 * rings when the test says so, readers that stall. Time passes in turns of the event loop.
 */
import { expect, spyOn } from 'bun:test'
import { encodeEvent } from '../../src/events.ts'
import type { Bus, LiveEvent } from '../../src/live/bus.ts'
import { Feed, type FeedStart } from '../../src/live/feed.ts'
import type { Format } from '../../src/live/format.ts'
import { Hub } from '../../src/live/hub.ts'
import { liveEvent } from '../../src/live/live-event.ts'
import { Reader } from '../../src/live/reader.ts'
import type { Slice } from '../../src/live/slice.ts'
import type { TailLimits } from '../../src/live/tail.ts'
import { createLog } from '../../src/log.ts'
import { createMetrics } from '../../src/metrics.ts'
import type { EncodedEvents, Range, Store } from '../../src/store/store.ts'
import type { Seq, StoredEvent } from '../../src/types.ts'
import { firstSeqs } from '../contracts/store-home.ts'

export const ROOM = 'rRRRRRRRRRRRRRRRR'

export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Lets turns pass until it holds; fails if it never does. */
export async function eventually(holds: () => boolean, what: string, turnsMax = 20_000) {
  for (let i = 0; i < turnsMax; i++) {
    if (holds()) return
    await turn()
  }
  throw new Error(`never: ${what}`)
}

interface HeldTimer {
  work: () => void
  ms: number
}

/** Where the timers are set that are held: other tests' servers and clients have some, too. */
const HELD = /\/src\/live\/(hub|lane|holes)\.ts/

/**
 * Timers of lanes and holes that go off when the test says so, however long the machine stands
 * still.
 */
export class HeldTimers {
  /** For how long each was set. */
  readonly setForMs: number[] = []
  #held: HeldTimer[] = []
  readonly #setReally = globalThis.setTimeout
  readonly #spy = spyOn(globalThis, 'setTimeout')

  constructor() {
    this.#spy.mockImplementation(((work: () => void, ms: number, ...given: unknown[]) => {
      if (!HELD.test(new Error().stack ?? '')) return this.#setReally(work, ms, ...given)
      const timer = { work, ms }
      this.#held.push(timer)
      this.setForMs.push(ms)
      return { unref: () => this.#leave(timer) }
    }) as never)
  }

  /** One that does not keep the process alive only tidies up: nobody waits for it. */
  #leave(timer: HeldTimer): void {
    this.#held.splice(this.#held.indexOf(timer), 1)
    this.setForMs.splice(this.setForMs.indexOf(timer.ms), 1)
  }

  /** All that are set go off. */
  goOff(): void {
    for (const { work } of this.#held.splice(0)) work()
  }

  [Symbol.dispose](): void {
    this.#spy.mockRestore()
  }
}

export class World {
  readonly log: StoredEvent[] = []
  readonly hub: Hub
  readonly store: Store
  readonly metrics = createMetrics()
  /** Turns a read takes; the answer is what was there when it began, or when it ended. */
  readTurns = 0
  answersLate = false
  /** How many of the next reads fail. */
  failures = 0
  reads = 0
  /** Which timelines the bus was told to bring. */
  readonly opened = new Set<string>()

  constructor(
    tail: TailLimits = { eventsMax: 8, bytesMax: 100_000, totalBytesMax: 1_000_000 },
    idleMax = 0,
    holeWaitMs = 0,
  ) {
    this.store = {
      epoch: 'E1',
      listEncoded: (timeline: string, range: Range) =>
        this.#read(() => encoded(this.#list(timeline, range))),
      heads: (ids: string[]) =>
        this.#read(() => ids.map((id) => (id === ROOM ? this.log.length : 0))),
    } as unknown as Store
    const bus = {
      connected: true,
      open: (id: string) => void this.opened.add(id),
      close: (id: string) => void this.opened.delete(id),
    } as unknown as Bus
    this.hub = new Hub({
      ...{ store: this.store, bus, tail, tickMsMax: 0, idleMax, holeWaitMs },
      ...{ log: createLog('silent'), metrics: this.metrics },
      // Standing still, so that each flush comes with the next turn.
      clock: { now: () => 0, monotonicMs: () => 0 },
    })
  }

  #list(timeline: string, range: Range): StoredEvent[] {
    if (timeline !== ROOM) return []
    if ('after' in range) return this.log.slice(range.after, range.after + range.limit)
    const end = Math.min(range.before - 1, this.log.length)
    return this.log.slice(Math.max(0, end - range.limit), end)
  }

  async #read<T>(look: () => T): Promise<T> {
    this.reads += 1
    const early = look()
    for (let i = 0; i < this.readTurns; i++) await turn()
    if (this.failures > 0) {
      this.failures -= 1
      throw new Error('the store is away')
    }
    return this.answersLate ? look() : early
  }

  get head(): Seq {
    return this.log.length
  }

  /** Commits events and tells nobody. */
  commit(count: number): LiveEvent[] {
    const news = firstSeqs(count).map((n) => {
      const seq = this.head + n
      const body = `{"text":"${seq}"}`
      return { timeline: ROOM, seq, type: 'message', author: 'u', at: seq, body }
    })
    this.log.push(...news)
    return news.map(liveEvent)
  }

  /** The bus brings these. */
  ring(events: readonly LiveEvent[]): void {
    this.hub.events(events)
  }

  /** Commits and tells, as the recorder does. */
  post(count = 1): void {
    this.ring(this.commit(count))
  }

  async follow(
    start: Omit<FeedStart, 'timeline'> = {},
    reader: PaperReader = new PaperReader(),
  ): Promise<PaperReader> {
    const feed = await Feed.open(this.hub, { timeline: ROOM, ...start }, reader)
    reader.began(this.hub, feed, start)
    this.hub.start(feed)
    return reader
  }
}

function encoded(events: readonly StoredEvent[]): EncodedEvents {
  return { firstSeq: events[0]?.seq ?? 0, events: events.map((event) => encodeEvent(event)) }
}

/** Frames are lists of seqs, the texts checked on the way. */
export function seqsFormat(key: string, made: () => void = () => {}): Format {
  return {
    key,
    frame: (timeline, events) => {
      complainUnless(timeline === ROOM && events.length > 0, `a frame of ${timeline}`)
      made()
      for (const { seq, json } of events)
        complainUnless(JSON.parse(json).text === `${seq}`, `${json} at ${seq}`)
      return JSON.stringify(events.map(({ seq }) => seq))
    },
  }
}

/**
 * What readers have complained of. A feed takes whatever a reader throws for a reason to end it, so
 * complaints are kept here, for the test to look at when it ends.
 */
export const complaints: string[] = []

function complainUnless(holds: boolean, what: string): void {
  if (!holds) complaints.push(what)
}

/**
 * A reader that notes what it is given, and complains of a hole, a repetition, or disturbance: of
 * being given anything while it is not ready, above all.
 */
export class PaperReader extends Reader {
  readonly format: Format
  readonly seqs: Seq[] = []
  readonly caughtUpAt: Seq[] = []
  feed!: Feed
  failure: unknown
  closed = false
  ready = true
  /** Whether it is still ready after each slice, from the first one on; then it always is. */
  readonly #answers: boolean[]
  #hub!: Hub
  #start = 0
  #wake: (() => void)[] = []

  constructor(format = seqsFormat('seqs'), answers: readonly boolean[] = []) {
    super()
    this.format = format
    this.#answers = [...answers]
  }

  began(hub: Hub, feed: Feed, { after, epoch }: Omit<FeedStart, 'timeline'>): void {
    this.#hub = hub
    this.feed = feed
    expect(feed.recovered).toBe(
      after === undefined || (after <= feed.head && (epoch ?? 'E1') === 'E1'),
    )
    this.#start = feed.recovered && after !== undefined ? after : feed.head
  }

  get cursor(): Seq {
    return this.seqs.at(-1) ?? this.#start
  }

  get ended(): boolean {
    return this.closed
  }

  /** On the timeline's list, and with no feed of its own. */
  get isLive(): boolean {
    const { timeline } = this.feed
    return timeline.readers.includes(this) && this.feedOf(timeline) === undefined
  }

  write(slices: readonly Slice[]): number {
    complainUnless(this.ready, 'written to though it was not ready')
    let taken = 0
    for (const slice of slices) {
      if (taken > 0 && !this.ready) break
      this.#take(slice.frame(this.format) as string)
      taken += 1
    }
    return taken
  }

  #take(frame: string): void {
    complainUnless(!this.closed, `${frame} after closing`)
    for (const seq of JSON.parse(frame) as Seq[]) {
      complainUnless(seq === this.cursor + 1, `${seq} after ${this.cursor}`)
      this.seqs.push(seq)
    }
    this.ready = this.#answers.shift() ?? true
  }

  get stalled(): boolean {
    return !this.ready
  }

  drained(): Promise<void> {
    if (this.closed || this.ready) return Promise.resolve()
    return new Promise((resolve) => {
      this.#wake.push(resolve)
    })
  }

  drain(): void {
    this.ready = true
    for (const wake of this.#wake.splice(0)) wake()
  }

  caughtUp(timeline: string, seq: Seq): void {
    complainUnless(timeline === ROOM, `caught up in ${timeline}`)
    complainUnless(!this.closed, 'caught up after closing')
    complainUnless(seq === this.cursor, `caught up at ${seq} with ${this.cursor}`)
    this.caughtUpAt.push(seq)
  }

  failed(error: unknown): void {
    complainUnless(!this.closed, 'failed after closing')
    this.failure = error
    this.close()
  }

  close(): void {
    this.closed = true
    this.due = undefined
    this.#hub.unsubscribe(this.feed.timeline, this)
    this.drain()
  }
}
