/** The subscriptions of one reader: which timelines it follows, live or by a feed. */
import type { Place } from '../chat/access.ts'
import { problem } from '../errors.ts'
import type { Feed } from '../live/feed.ts'
import type { Reader } from '../live/reader.ts'
import type { LiveTimeline } from '../live/timeline.ts'
import type { Metrics } from '../metrics.ts'
import type { Seq, TimelineId } from '../types.ts'
import type { Api } from './operation.ts'

/** Where to start; as in a `subscribe` frame or the query of a subscribe path. */
export interface Start {
  after?: Seq | undefined
  epoch?: string | undefined
}

export class Subscriptions {
  readonly #api: Api & { metrics: Metrics }
  readonly #reader: Reader
  /** A list, because people follow few timelines and a map costs more than all else here. */
  #timelines: LiveTimeline[] = []
  #closed = false

  constructor(api: Api & { metrics: Metrics }, reader: Reader) {
    this.#api = api
    this.#reader = reader
  }

  /**
   * A feed that is registered but does not run: its reply comes before its first event. At once if
   * the timeline is open on this node. Undefined if everything was closed meanwhile. Throws, or
   * rejects with, `already_subscribed`, `too_many_subscriptions`.
   */
  add(place: Place, start: Start): Feed | Promise<Feed | undefined> {
    const { chat, config } = this.#api
    if (this.#find(place.timeline) !== undefined) throw problem('already_subscribed')
    if (this.#timelines.length >= config.subscriptionsPerConnectionMax)
      throw problem('too_many_subscriptions')
    const feed = chat.messages.follow(place, start, this.#reader)
    if (!(feed instanceof Promise)) return this.#added(feed)
    return feed.then((late) => {
      if (!this.#closed) return this.#added(late)
      late.close()
      return undefined
    })
  }

  #added(feed: Feed): Feed {
    this.#timelines.push(feed.timeline)
    this.#api.metrics.counts.subscriptions += 1
    return feed
  }

  #find(id: TimelineId): LiveTimeline | undefined {
    return this.#timelines.find((timeline) => timeline.id === id)
  }

  /** Throws `not_subscribed`. */
  remove(id: TimelineId): void {
    const timeline = this.#find(id)
    if (timeline === undefined) throw problem('not_subscribed')
    this.#timelines = this.#timelines.filter((other) => other !== timeline)
    this.#end(timeline)
  }

  /** The reader has ended. */
  closeAll(): void {
    this.#closed = true
    const timelines = this.#timelines
    this.#timelines = []
    for (const timeline of timelines) this.#end(timeline)
  }

  #end(timeline: LiveTimeline): void {
    this.#api.metrics.counts.subscriptions -= 1
    this.#api.chat.hub.unsubscribe(timeline, this.#reader)
  }

  /** Heads that have moved since then and that the reader has reached; the quiet prove nothing. */
  headsMovedSince(ms: number): Record<TimelineId, Seq> | undefined {
    const reader = this.#reader
    let moved: Record<TimelineId, Seq> | undefined
    for (const timeline of this.#timelines) {
      if (timeline.flushedAtMs < ms || reader.isBehind(timeline)) continue
      moved ??= {}
      moved[timeline.id] = timeline.flushed
    }
    return moved
  }
}
