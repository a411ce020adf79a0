/**
 * One subscription's ordered stream. All transports read through this one, so order and recovery
 * are written once. A feed runs in three phases:
 *
 * 1. *Backfill.* From its cursor it reads up to the head, from the timeline's tail where that
 *    reaches back far enough, else from the store, at the pace the reader takes it.
 * 2. *Cutover.* When there is nothing left to read it tells the reader so and joins the live
 *    readers. Between the last look at the head and joining nothing is awaited, so no event can
 *    slip between.
 * 3. *Live.* The hub writes each flush's frame straight to the reader; the feed itself only waits
 *    to be closed.
 *
 * A reader that does not keep up is ended by its transport and resumes from its cursor; in no phase
 * is an event left out.
 */
import type { Seq, TimelineId } from '../types.ts'
import type { LiveEvent } from './bus.ts'
import { slices } from './format.ts'
import type { Hub } from './hub.ts'
import type { Reader } from './reader.ts'
import type { LiveFeed, LiveTimeline } from './timeline.ts'

/** Events taken from the tail at a time, so that one long backfill leaves room for others. */
const STEP_EVENTS = 256

export interface FeedStart {
  timeline: TimelineId
  /** Start after this seq; without it, at the head. */
  after?: Seq | undefined
  /** The epoch `after` belongs to; without it, the present one is assumed. */
  epoch?: string | undefined
}

export class Feed implements LiveFeed {
  readonly reader: Reader
  readonly timeline: LiveTimeline
  /** The timeline's head when this feed was opened. */
  readonly head: Seq
  /**
   * False if `after` cannot be honoured: it is of another epoch or beyond the head. Then nothing is
   * backfilled and events start after `head`.
   */
  readonly recovered: boolean
  /** The head this reader was last told of; for `heads` frames. */
  headTold: Seq
  readonly #hub: Hub
  #cursor: Seq
  #closed = false

  /** Finds out where to start. Nothing is written to the reader before `start`. */
  static async open(hub: Hub, start: FeedStart, reader: Reader): Promise<Feed> {
    const timeline = await hub.open(start.timeline)
    const { after = 0 } = start
    // History is read from the store, so its reader may know an event before this node has heard of
    // it.
    const head = after > timeline.head ? await hub.storedHead(timeline) : timeline.head
    return new Feed(hub, timeline, head, start, reader)
  }

  private constructor(
    hub: Hub,
    timeline: LiveTimeline,
    head: Seq,
    start: FeedStart,
    reader: Reader,
  ) {
    const { after, epoch } = start
    this.#hub = hub
    this.timeline = timeline
    this.reader = reader
    this.head = head
    const sameEpoch = epoch === undefined || epoch === hub.epoch
    this.recovered = after === undefined || (sameEpoch && after <= this.head)
    this.#cursor = this.recovered && after !== undefined ? after : this.head
    this.headTold = this.head
  }

  /** True once the backfill is over and the hub writes to the reader. */
  get isLive(): boolean {
    return this.timeline.live.has(this)
  }

  /** Runs the phases. Failures go to the reader. */
  start(): void {
    this.#run().catch((error) => {
      if (!this.#closed) this.reader.failed(error)
    })
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.timeline.live.delete(this)
    this.#hub.release(this.timeline)
  }

  async #run(): Promise<void> {
    // Phase 1
    while (!this.#closed && this.#cursor < this.timeline.head) {
      const endTurn = await this.reader.turns?.take()
      try {
        await this.#step()
      } finally {
        endTurn?.()
      }
    }
    if (this.#closed) return
    // Phase 2
    this.reader.caughtUp(this.timeline.id, this.#cursor)
    this.join()
  }

  /**
   * Becomes live. A cursor past what live readers have been given waits for the flush that is due,
   * which calls this again; by then it may lack the end of what was flushed, and gets it here.
   */
  join(): void {
    if (this.#closed) return
    const { timeline } = this
    if (this.#cursor > timeline.flushed) {
      timeline.joining.push(this)
      return
    }
    if (this.#cursor < timeline.flushed)
      for (const slice of slices(timeline.tail.after(this.#cursor) ?? [])) this.#write(slice)
    timeline.live.add(this)
  }

  /** The next page of the backfill. Resolves when the reader is ready for more. */
  async #step(): Promise<void> {
    if (this.#closed) return
    const events =
      this.timeline.tail.after(this.#cursor, STEP_EVENTS) ??
      (await this.#hub.read(this.timeline.id, this.#cursor))
    if (events.length === 0) throw new Error(`events after ${this.#cursor} are missing`)
    for (const slice of slices(events)) {
      if (this.#closed) return
      if (!this.#write(slice)) await this.reader.drained()
    }
  }

  #write(events: readonly LiveEvent[]): boolean {
    const { reader, timeline } = this
    this.#cursor = events.at(-1)!.seq
    return reader.write(reader.format.frame(timeline.id, events))
  }
}
