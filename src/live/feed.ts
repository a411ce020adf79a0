/**
 * One subscription's ordered stream while it is not live. All transports read through this one, so
 * order and recovery are written once. It runs in three phases:
 *
 * 1. *Backfill.* From its cursor it reads up to the head, a slice at a time, whenever the reader is
 *    ready: from the timeline's tail where that reaches back far enough, else from the store.
 *    Readers that missed the same events are given the same slices.
 * 2. *Cutover.* When there is nothing left to read it tells the reader so and joins the live
 *    readers. Between the last look at the head and joining nothing is awaited, so no event can
 *    slip between.
 * 3. *Live.* The feed is gone: the reader stands on the timeline's list, at `flushed`, and each
 *    round writes to it. If it stops taking what it is given, a new feed goes back to phase 1 from
 *    where it stopped, without telling the reader anything.
 *
 * A reader that takes nothing for too long, or falls too far behind, is ended by its transport and
 * resumes from its cursor; in no phase is an event left out.
 */
import type { Seq, TimelineId } from '../types.ts'
import type { Hub } from './hub.ts'
import type { Reader } from './reader.ts'
import type { Slice } from './slice.ts'
import type { LiveTimeline } from './timeline.ts'

export interface FeedStart {
  timeline: TimelineId
  /** Start after this seq; without it, at the head. */
  after?: Seq | undefined
  /** The epoch `after` belongs to; without it, the present one is assumed. */
  epoch?: string | undefined
}

export class Feed {
  readonly reader: Reader
  readonly timeline: LiveTimeline
  /** The timeline's head when this feed was opened. */
  readonly head: Seq
  /**
   * False if `after` cannot be honoured: it is of another epoch or beyond the head. Then nothing is
   * backfilled and events start after `head`.
   */
  readonly recovered: boolean
  readonly #hub: Hub
  #cursor: Seq
  /** It was live before, so the reader is on the timeline's list. */
  readonly #again: boolean
  /** The reader knows that the backfill is over. */
  #told: boolean
  /** How far it has come, in the timeline's count of characters; only for one that was live. */
  #charsAt = 0
  #closed = false

  /**
   * Finds out where to start, at once if the timeline is open on this node. Nothing is written to
   * the reader before `start`. Throws, or rejects, if the store cannot be read.
   */
  static open(hub: Hub, start: FeedStart, reader: Reader): Feed | Promise<Feed> {
    const opened = hub.open(start.timeline)
    const { after = 0 } = start
    if (opened instanceof Promise || after > opened.head)
      return Feed.#openLater(hub, start, opened, reader)
    return new Feed(hub, opened, opened.head, start, reader)
  }

  static async #openLater(
    hub: Hub,
    start: FeedStart,
    opened: LiveTimeline | Promise<LiveTimeline>,
    reader: Reader,
  ): Promise<Feed> {
    const timeline = await opened
    const { after = 0 } = start
    // History is read from the store, so its reader may know an event before this node has heard of
    // it.
    const head = after > timeline.head ? await hub.storedHead(timeline) : timeline.head
    return new Feed(hub, timeline, head, start, reader)
  }

  /**
   * The feed of a live reader that stopped taking what it was given, at `cursor`. It runs by
   * itself; `owedChars` is what the round that it could not follow still held for it.
   */
  static behind(
    hub: Hub,
    timeline: LiveTimeline,
    { cursor, owedChars }: { cursor: Seq; owedChars: number },
    reader: Reader,
  ): void {
    const feed = new Feed(hub, timeline, timeline.head, { after: cursor }, reader, true)
    feed.#charsAt = timeline.charsAtFlushed - owedChars
    feed.run()
  }

  private constructor(
    hub: Hub,
    timeline: LiveTimeline,
    head: Seq,
    start: Omit<FeedStart, 'timeline'>,
    reader: Reader,
    again = false,
  ) {
    const { after, epoch } = start
    this.#hub = hub
    this.timeline = timeline
    this.reader = reader
    this.head = head
    const sameEpoch = epoch === undefined || epoch === hub.epoch
    this.recovered = after === undefined || (sameEpoch && after <= this.head)
    this.#cursor = this.recovered && after !== undefined ? after : this.head
    this.#again = again
    this.#told = again
    reader.addFeed(this)
  }

  /** Characters published since it stopped being live and not yet given to it; else 0. */
  get behindChars(): number {
    return this.#again ? this.timeline.charsAtHead - this.#charsAt : 0
  }

  /** Ends the subscription before it is live. */
  close(): void {
    if (this.#closed) return
    this.#end()
    if (this.#again) this.timeline.leave(this.reader)
    this.#hub.release(this.timeline)
  }

  /** Runs the phases as far as they go without waiting, and goes on by itself after each wait. */
  run(): void {
    // Phase 1
    while (!this.#closed && this.#cursor < this.timeline.head) {
      if (!this.reader.ready) return this.#goOnAfter(this.reader.drained())
      const slice = this.#hub.next(this.timeline, this.#cursor)
      if (slice === undefined) return this.#goOnAfter(this.#read())
      this.#write(slice)
    }
    if (this.#closed) return
    // Phase 2
    if (!this.#told) {
      this.#told = true
      this.reader.caughtUp(this.timeline.id, this.#cursor)
    }
    if (this.#closed) return
    if (this.#cursor > this.timeline.flushed) {
      this.timeline.joining.push(this)
      return
    }
    this.#end()
    if (!this.#again) this.timeline.readers.push(this.reader)
  }

  /** Failures go to the reader. */
  #goOnAfter(wait: Promise<void>): void {
    wait
      .then(() => this.run())
      .catch((error) => {
        if (!this.#closed) this.reader.failed(error)
      })
  }

  /** A slice from the store, when it is this feed's turn. */
  async #read(): Promise<void> {
    const endTurn = await this.reader.turns.take()
    try {
      if (this.#closed) return
      const slice = await this.#hub.load(this.timeline, this.#cursor)
      while (!this.reader.ready && !this.#closed) await this.reader.drained()
      if (!this.#closed) this.#write(slice)
    } finally {
      endTurn()
    }
  }

  #write(slice: Slice): void {
    this.#cursor = slice.last
    this.#charsAt += slice.chars
    this.reader.write([slice])
  }

  #end(): void {
    this.#closed = true
    this.reader.removeFeed(this)
  }
}
