/**
 * This process's live timelines, and what they know. The bus brings events of a commit: the next
 * one in sequence goes into its timeline's tail; one already there is ignored; past a hole, the
 * store is read up to it. Only this raises `head`, in order and without holes. Whoever reads the
 * timeline is told by a lane (`lane.ts`) or reads up to the head by a feed (`feed.ts`).
 */
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Range, Store } from '../store/store.ts'
import type { Seq, TimelineId } from '../types.ts'
import type { Bus, LiveEvent } from './bus.ts'
import type { Feed } from './feed.ts'
import { Heads } from './heads.ts'
import { Holes } from './holes.ts'
import { Lane } from './lane.ts'
import type { Reader } from './reader.ts'
import { cut, type Slice } from './slice.ts'
import { Starts } from './starts.ts'
import { TailBudget, type TailLimits } from './tail.ts'
import { LiveTimeline } from './timeline.ts'

/** Events read from the store at a time. */
const READ_EVENTS = 200
/** Events taken from a tail to make a slice of; more of the usual size would not fit into one. */
const TAIL_EVENTS = 512
/** Slices of one read that are kept for others who missed the same. */
const READ_SLICES_SHARED = 8
/**
 * How long slices are remembered for others who come for the same, and how many in all timelines:
 * some ten megabytes of text as chat usually is, a hundred at the worst.
 */
const SHARED_MS = 2_000
const SHARED_SLICES_MAX = 2_000
/** Events that wait for a timeline's head to be known; past it only the last one waits. */
export const EARLY_EVENTS_MAX = 1_000
/** Timelines with more readers than this have a lane of their own. */
const WIDE_READERS = 1_000

export interface HubOptions {
  store: Store
  bus: Bus
  clock: Clock
  log: Log
  metrics: Metrics
  tail: TailLimits
  /** Timelines kept though nobody needs them, so that whoever comes back finds their tails. */
  idleMax: number
  /** The longest that events are gathered, in milliseconds. */
  tickMsMax: number
  /** How late a ring may be before what it would have brought is read from the store. */
  holeWaitMs: number
}

export class Hub {
  readonly #options: HubOptions
  readonly #timelines = new Map<TimelineId, LiveTimeline>()
  /** Those of them that nobody needs, the longest idle first. */
  readonly #idle = new Set<LiveTimeline>()
  readonly #budget: TailBudget
  readonly #narrow: Lane
  readonly #wide: Lane
  readonly #starts: Starts
  readonly #heads: Heads
  readonly #holes: Holes
  /** Timelines with slices to share, and how many these have been. */
  readonly #sharing = new Set<LiveTimeline>()
  #shared = 0
  /** Where trimming for the common budget goes on. */
  #trimming: Iterator<LiveTimeline> | undefined

  constructor(options: HubOptions) {
    const { clock, log, metrics, tickMsMax, holeWaitMs } = options
    this.#options = options
    this.#budget = new TailBudget(options.tail)
    this.#starts = new Starts(clock)
    this.#heads = new Heads(options.store)
    const onRound = (tookMs: number, deliveries: number) => {
      metrics.deliveries.inc(deliveries)
      metrics.flushTime.observe(tookMs / 1_000)
    }
    const lane = { hub: this, clock, tickMsMax, onRound }
    this.#narrow = new Lane(lane)
    this.#wide = new Lane(lane)
    this.#holes = new Holes({
      ...{ log, metrics, waitMs: holeWaitMs },
      isOpen: (timeline) => this.#timelines.get(timeline.id) === timeline,
      read: (id, after) => this.#read(id, after),
      push: (timeline, event) => this.#push(timeline, event),
    })
  }

  get epoch(): string {
    return this.#options.store.epoch
  }

  get size(): number {
    return this.#timelines.size
  }

  /** All that are open, those that nobody needs among them. */
  get timelines(): Iterable<LiveTimeline> {
    return this.#timelines.values()
  }

  /** True while a round of writing is under way that takes more than one turn. */
  get isWriting(): boolean {
    return this.#narrow.isWriting || this.#wide.isWriting
  }

  /** Characters in all tails. */
  get tailChars(): number {
    return this.#budget.chars
  }

  /**
   * The timeline with a known head, kept until `release`; at once if it is open. Rejects if the
   * store cannot be read. The bus is opened before the head is read: an event is then either below
   * the head or on its way.
   */
  open(id: TimelineId): LiveTimeline | Promise<LiveTimeline> {
    let timeline = this.#timelines.get(id)
    if (timeline === undefined) {
      timeline = new LiveTimeline(id, this.#budget)
      this.#timelines.set(id, timeline)
      timeline.opened = this.#readHead(timeline, this.#options.bus.open(id))
    }
    timeline.users += 1
    if (timeline.users === 1) this.#idle.delete(timeline)
    return timeline.early === undefined ? timeline : this.#opened(timeline)
  }

  async #opened(timeline: LiveTimeline): Promise<LiveTimeline> {
    try {
      await timeline.opened
    } catch (error) {
      this.release(timeline)
      throw error
    }
    return timeline
  }

  release(timeline: LiveTimeline): void {
    timeline.users -= 1
    if (timeline.users > 0) return
    // One whose head could not be read is of no use to anybody.
    if (timeline.early !== undefined) return this.#drop(timeline)
    this.#idle.add(timeline)
    if (this.#idle.size <= this.#options.idleMax) return
    const longest = this.#idle.values().next()
    if (!longest.done) this.#drop(longest.value)
  }

  #drop(timeline: LiveTimeline): void {
    this.#idle.delete(timeline)
    this.#options.bus.close(timeline.id)
    this.#timelines.delete(timeline.id)
    timeline.tail.drop()
  }

  /** Has a feed run, as soon as it is its turn. */
  start(feed: Feed): void {
    this.#starts.add(feed)
  }

  /** Ends a subscription, live or not. */
  unsubscribe(timeline: LiveTimeline, reader: Reader): void {
    const feed = reader.feedOf(timeline)
    if (feed !== undefined) return feed.close()
    timeline.leave(reader)
    if (!reader.ended) reader.cancel(timeline)
    this.release(timeline)
  }

  /** The head in the log, which this node may be about to hear of. Releases it if it rejects. */
  async storedHead(timeline: LiveTimeline): Promise<Seq> {
    try {
      const head = await this.#heads.read(timeline.id)
      this.heard(timeline, head)
      return Math.max(head, timeline.head)
    } catch (error) {
      this.release(timeline)
      throw error
    }
  }

  async #readHead(timeline: LiveTimeline, heard: Promise<void> | undefined): Promise<void> {
    if (heard !== undefined) await heard
    const head = await this.#heads.read(timeline.id)
    timeline.head = head
    timeline.flushed = head
    const early = timeline.early ?? []
    timeline.early = undefined
    for (const event of early) this.#accept(timeline, event)
  }

  /** The bus's listener: events of one commit, in any state of order. */
  events(events: readonly LiveEvent[]): void {
    for (const event of events) {
      const timeline = this.#timelines.get(event.timeline)
      if (timeline === undefined) continue
      if (timeline.early === undefined) this.#accept(timeline, event)
      else {
        // The last one tells how far the log goes; what was before it is then a hole like others.
        if (timeline.early.length >= EARLY_EVENTS_MAX) timeline.early = []
        timeline.early.push(event)
      }
    }
  }

  #accept(timeline: LiveTimeline, event: LiveEvent): void {
    if (event.seq <= timeline.head) return
    if (event.seq > timeline.head + 1) return this.#holes.add(timeline, event)
    this.#push(timeline, event)
    if (timeline.ahead !== undefined) this.#holes.followUp(timeline)
  }

  /** The log goes up to `seq` at least; what is missing will be read. */
  heard(timeline: LiveTimeline, seq: Seq): void {
    if (timeline.early === undefined) this.#holes.heard(timeline, seq)
  }

  #push(timeline: LiveTimeline, event: LiveEvent): void {
    timeline.head = event.seq
    timeline.charsAtHead += event.json.length
    timeline.tail.push(event)
    const lane = timeline.readers.length > WIDE_READERS ? this.#wide : this.#narrow
    lane.gather(timeline)
  }

  /**
   * A page of a timeline, if it is followed on this node and its tail has the page whole. It may
   * lag behind the log by what the bus has not brought yet: never by what this node has
   * acknowledged.
   */
  recent(id: TimelineId, range: Range): readonly LiveEvent[] | undefined {
    const timeline = this.#timelines.get(id)
    if (timeline === undefined || timeline.early !== undefined) return undefined
    const { tail, head, rumoured } = timeline
    // Past a hole there may be what this node has acknowledged.
    if (rumoured > head) return undefined
    // Whoever has more than this node has heard of has it from the log.
    if ('after' in range && range.after > head) return undefined
    return 'after' in range
      ? tail.after(range.after, range.limit)
      : tail.before(range.before, range.limit)
  }

  /**
   * The newest page, of at most `limit` events; in memory from then on, as long as the timeline is
   * kept. Rejects if the store cannot be read.
   */
  async newest(id: TimelineId, limit: number): Promise<readonly LiveEvent[]> {
    const timeline = await this.open(id)
    try {
      const known = this.recent(id, { before: Number.MAX_SAFE_INTEGER, limit })
      if (known !== undefined) return known
      const head = Math.max(timeline.head, timeline.rumoured)
      const events = await this.#read(id, Math.max(0, head - limit), limit)
      this.#keep(timeline, events)
      return events
    } finally {
      this.release(timeline)
    }
  }

  /** The next slice after `cursor`, below the head, if it is in memory. */
  next(timeline: LiveTimeline, cursor: Seq): Slice | undefined {
    const shared = timeline.findShared(cursor)
    if (shared !== undefined) return shared
    const [slice] = cut(timeline, timeline.tail.after(cursor, TAIL_EVENTS) ?? [])
    if (slice !== undefined) this.#share(timeline, [slice])
    return slice
  }

  #share(timeline: LiveTimeline, slices: readonly Slice[]): void {
    if (this.#shared >= SHARED_SLICES_MAX) this.#forgetShared()
    if (this.#shared === 0) setTimeout(this.#forgetShared, SHARED_MS).unref()
    this.#sharing.add(timeline)
    this.#shared += slices.length
    for (const slice of slices) timeline.share(slice)
  }

  readonly #forgetShared = (): void => {
    for (const timeline of this.#sharing) timeline.forgetShared()
    this.#sharing.clear()
    this.#shared = 0
  }

  /**
   * The next slice after `cursor` from the store. Readers that missed the same share one read.
   * Rejects if the store cannot be read, or does not have what must be there.
   */
  load(timeline: LiveTimeline, cursor: Seq): Promise<Slice> {
    const { loading } = timeline
    let slice = loading.get(cursor)
    if (slice === undefined) {
      slice = this.#load(timeline, cursor).finally(() => loading.delete(cursor))
      loading.set(cursor, slice)
    }
    return slice
  }

  async #load(timeline: LiveTimeline, cursor: Seq): Promise<Slice> {
    const known = this.next(timeline, cursor)
    if (known !== undefined) return known
    const events = await this.#read(timeline.id, cursor)
    const slices = cut(timeline, events)
    const [first] = slices
    if (first === undefined) throw new Error(`events after ${cursor} are missing`)
    this.#share(timeline, slices.slice(0, READ_SLICES_SHARED))
    this.#keep(timeline, events)
    return first
  }

  /** Events that were read and end where the tail begins, or at the head, are worth keeping. */
  #keep(timeline: LiveTimeline, events: readonly LiveEvent[]): void {
    timeline.tail.prepend(events, timeline.head)
    timeline.tail.trim(timeline.flushed)
  }

  /** The next events after `seq` from the store, encoded, at most a page of them. */
  async #read(id: TimelineId, after: Seq, limit = READ_EVENTS): Promise<LiveEvent[]> {
    const range = { after, limit }
    const { firstSeq, events } = await this.#options.store.listEncoded(id, range, null)
    return events.map((json, i) => ({ timeline: id, seq: firstSeq + i, json }))
  }

  /** After a round: keeps this tail within its limits, and all of them within theirs. */
  trim(timeline: LiveTimeline): void {
    timeline.tail.trim(timeline.flushed)
    if (this.#budget.exceeded) this.#trimNext()
  }

  /** Quiet timelines give way, too, one after the other. */
  #trimNext(): void {
    this.#trimming ??= this.#timelines.values()
    const { value, done } = this.#trimming.next()
    if (done) this.#trimming = undefined
    else value.tail.trim(value.flushed)
  }
}
