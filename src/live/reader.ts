import type { Seq, TimelineId } from '../types.ts'
import type { Feed } from './feed.ts'
import type { Format } from './format.ts'
import type { Lane } from './lane.ts'
import type { Slice } from './slice.ts'
import type { LiveTimeline } from './timeline.ts'
import { Turns } from './turns.ts'

/**
 * A transport's end of its subscriptions: a WebSocket (with many) or a stream (with one).
 *
 * A reader is *ready* while it takes what it is given. Once it is not, nothing more is pushed: what
 * it has not been given stays in the timelines, and feeds of its own read on from there when it has
 * drained. So a slow reader costs at most one slice of memory, and no event is ever left out.
 */
export abstract class Reader {
  abstract readonly format: Format
  /** False while the other side takes no more. */
  abstract readonly ready: boolean
  /** Over, for whatever reason. Whoever lists it lets it go when they next meet it. */
  abstract readonly ended: boolean
  /** What the rounds under way hold for it, oldest first; the lanes' own. */
  due: Slice[] | undefined
  /** The lane that listed it last for the round under way; the lanes' own. */
  listedBy: Lane | undefined
  /** Its feeds that are not live; the feeds' own. */
  #feeds: Feed[] | undefined
  #turns: Turns | undefined
  #wasFarBehind = false

  /**
   * Takes slices in order, in one write if it can; only called while it is ready, with at least
   * one. Returns how many it took: at least one, fewer than all if it stopped being ready then.
   */
  abstract write(slices: readonly Slice[]): number
  /** Resolves when it is ready again, and at once if it is, or has ended. */
  abstract drained(): Promise<void>
  /** The backfill is over; everything up to `seq` has been written. Once for a subscription. */
  abstract caughtUp(timeline: TimelineId, seq: Seq): void
  /** A feed cannot go on: the reader should come back later. */
  abstract failed(error: unknown): void

  /** So that a reader with many feeds holds one page of a backfill in memory, not one for each. */
  get turns(): Turns {
    this.#turns ??= new Turns()
    return this.#turns
  }

  /** The feed of a timeline that it follows without being live on it. */
  feedOf(timeline: LiveTimeline): Feed | undefined {
    return this.#feeds?.find((feed) => feed.timeline === timeline)
  }

  /** True if it has not been given everything up to `flushed` yet. */
  isBehind(timeline: LiveTimeline): boolean {
    const isDue = this.due?.some((slice) => slice.timeline === timeline) ?? false
    return isDue || this.feedOf(timeline) !== undefined
  }

  /**
   * To be asked now and then: true if it has been live, and is now for the second time in a row
   * more characters behind than that. A burst may put anyone behind for a moment.
   */
  staysBehind(charsMax: number): boolean {
    if (this.#feeds === undefined && !this.#wasFarBehind) return false
    const before = this.#wasFarBehind
    this.#wasFarBehind = this.#feeds?.some((feed) => feed.behindChars > charsMax) ?? false
    return before && this.#wasFarBehind
  }

  addFeed(feed: Feed): void {
    if (this.#feeds === undefined) this.#feeds = [feed]
    else this.#feeds.push(feed)
  }

  removeFeed(feed: Feed): void {
    const left = this.#feeds?.filter((other) => other !== feed)
    this.#feeds = left?.length ? left : undefined
    if (this.#feeds === undefined) this.#turns = undefined
  }

  /** Forgets what rounds hold for it of a timeline that it no longer follows. */
  cancel(timeline: LiveTimeline): void {
    this.due = this.due?.filter((slice) => slice.timeline !== timeline)
  }
}
