/**
 * This process's live timelines, and how a committed event reaches their readers:
 *
 * 1. *Accept.* The bus brings events of a commit. The next one in sequence goes into its timeline's
 *    tail; one already there is ignored; past a hole, the store is read up to it.
 * 2. *Gather.* A timeline with news is put on the list for the next flush. The flush comes at once
 *    when the last one was cheap; under load it waits about as long as the last one took, so that
 *    flushing never takes more than half of the loop and frames grow instead of their number.
 * 3. *Flush.* For each timeline on the list, one frame for each format, with all events gathered,
 *    is handed to every live reader. Then feeds that were joining become live.
 *
 * Only step 1 raises `head` and only step 3 raises `flushed`, in order and without holes. That is
 * why a live reader needs no cursor of its own: it stands at `flushed`.
 */
import type { Clock } from '../clock.ts'
import { encodeEvent } from '../events.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Store } from '../store/store.ts'
import type { Seq, StoredEvent, TimelineId } from '../types.ts'
import type { Bus, LiveEvent } from './bus.ts'
import { slices } from './format.ts'
import type { TailLimits } from './tail.ts'
import { LiveTimeline } from './timeline.ts'

/** Events read from the store at a time. */
const READ_EVENTS = 200
/** Wait before a hole that could not be read is tried again. */
const REFILL_MS = 1_000

export interface HubOptions {
  store: Store
  bus: Bus
  clock: Clock
  log: Log
  metrics: Metrics
  tail: TailLimits
  /** The longest that events are gathered, in milliseconds. */
  tickMsMax: number
}

export class Hub {
  readonly #options: HubOptions
  readonly #timelines = new Map<TimelineId, LiveTimeline>()
  #dirty: LiveTimeline[] = []
  #scheduled = false
  /** On the monotonic clock: no flush before this moment. */
  #notBefore = 0

  constructor(options: HubOptions) {
    this.#options = options
  }

  get epoch(): string {
    return this.#options.store.epoch
  }

  get size(): number {
    return this.#timelines.size
  }

  /**
   * The timeline with a known head, kept until `release`. Rejects if the store cannot be read. The
   * bus is opened before the head is read: an event is then either below the head or on its way.
   */
  async open(id: TimelineId): Promise<LiveTimeline> {
    let timeline = this.#timelines.get(id)
    if (timeline === undefined) {
      timeline = new LiveTimeline(id, this.#options.tail)
      this.#timelines.set(id, timeline)
      this.#options.bus.open(id)
      timeline.opened = this.#readHead(timeline)
    }
    timeline.users += 1
    try {
      if (timeline.early !== undefined) await timeline.opened
    } catch (error) {
      this.release(timeline)
      throw error
    }
    return timeline
  }

  release(timeline: LiveTimeline): void {
    timeline.users -= 1
    if (timeline.users > 0) return
    this.#options.bus.close(timeline.id)
    this.#timelines.delete(timeline.id)
  }

  /** The head in the log, which this node may be about to hear of. Releases it if it rejects. */
  async storedHead(timeline: LiveTimeline): Promise<Seq> {
    try {
      const [head = 0] = await this.#options.store.heads([timeline.id])
      return Math.max(head, timeline.head)
    } catch (error) {
      this.release(timeline)
      throw error
    }
  }

  async #readHead(timeline: LiveTimeline): Promise<void> {
    const [head = 0] = await this.#options.store.heads([timeline.id])
    timeline.head = head
    timeline.flushed = head
    const early = timeline.early ?? []
    timeline.early = undefined
    for (const event of early) this.#accept(timeline, event)
  }

  /** Phase 1. The bus's listener: events of one commit, in any state of order. */
  events(events: readonly LiveEvent[]): void {
    for (const event of events) {
      const timeline = this.#timelines.get(event.timeline)
      if (timeline === undefined) continue
      if (timeline.early !== undefined) timeline.early.push(event)
      else this.#accept(timeline, event)
    }
  }

  #accept(timeline: LiveTimeline, event: LiveEvent): void {
    if (event.seq <= timeline.head) return
    if (event.seq === timeline.head + 1) this.#push(timeline, event)
    else void this.#fill(timeline, event.seq)
  }

  /** Reads what is missing up to `seq`. However many ask, one reads. */
  async #fill(timeline: LiveTimeline, seq: Seq): Promise<void> {
    const alreadyReading = timeline.rumoured > 0
    timeline.rumoured = Math.max(timeline.rumoured, seq)
    if (alreadyReading) return
    while (timeline.users > 0 && timeline.head < timeline.rumoured) {
      try {
        const missing = await this.read(timeline.id, timeline.head)
        for (const event of missing) if (event.seq > timeline.head) this.#push(timeline, event)
        if (missing.length === 0) break
      } catch (error) {
        this.#options.log.warn(
          { err: error, timeline: timeline.id },
          'a hole could not be read yet',
        )
        await new Promise((resolve) => setTimeout(resolve, REFILL_MS))
      }
    }
    timeline.rumoured = 0
  }

  #push(timeline: LiveTimeline, event: LiveEvent): void {
    timeline.head = event.seq
    timeline.tail.push(event)
    this.#gather(timeline)
  }

  /** The next events after `seq` from the store, encoded, at most a page of them. */
  async read(id: TimelineId, after: Seq): Promise<LiveEvent[]> {
    const events = await this.#options.store.list(id, { after, limit: READ_EVENTS })
    return events.map(liveEvent)
  }

  /** Phase 2. */
  #gather(timeline: LiveTimeline): void {
    if (timeline.dirty) return
    timeline.dirty = true
    this.#dirty.push(timeline)
    if (this.#scheduled) return
    this.#scheduled = true
    const waitMs = this.#notBefore - this.#options.clock.monotonicMs()
    if (waitMs < 1) setImmediate(this.#flush)
    else setTimeout(this.#flush, waitMs)
  }

  /** Phase 3. */
  readonly #flush = (): void => {
    const { clock, metrics, tickMsMax } = this.#options
    const startedAt = clock.monotonicMs()
    const dirty = this.#dirty
    this.#dirty = []
    this.#scheduled = false
    let deliveries = 0
    for (const timeline of dirty) {
      timeline.dirty = false
      deliveries += this.#flushTimeline(timeline)
    }
    const endedAt = clock.monotonicMs()
    const tookMs = endedAt - startedAt
    this.#notBefore = endedAt + Math.min(tookMs, tickMsMax)
    metrics.deliveries.inc(deliveries)
    metrics.flushTime.observe(tookMs / 1_000)
  }

  #flushTimeline(timeline: LiveTimeline): number {
    const events = timeline.tail.after(timeline.flushed) ?? []
    const readers = timeline.live.size
    for (const slice of slices(events)) {
      const frames = new Map<string, string>()
      for (const feed of timeline.live) {
        const { format } = feed.reader
        let frame = frames.get(format.key)
        if (frame === undefined) {
          frame = format.frame(timeline.id, slice)
          frames.set(format.key, frame)
        }
        feed.reader.write(frame)
      }
    }
    timeline.flushed = timeline.head
    const joining = timeline.joining
    timeline.joining = []
    for (const feed of joining) feed.join()
    timeline.tail.trim(timeline.flushed)
    return readers * events.length
  }
}

export function liveEvent(event: StoredEvent): LiveEvent {
  return { timeline: event.timeline, seq: event.seq, json: encodeEvent(event) }
}
