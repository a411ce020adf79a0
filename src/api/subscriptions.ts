/** The subscriptions of one WebSocket: a feed for each timeline, and what was last told of it. */
import type { Place } from '../chat/access.ts'
import { problem } from '../errors.ts'
import type { Feed } from '../live/feed.ts'
import type { Reader } from '../live/reader.ts'
import { Turns } from '../live/turns.ts'
import type { Metrics } from '../metrics.ts'
import type { Seq, TimelineId } from '../types.ts'
import type { Api } from './operation.ts'

/** Where to start; as in a `subscribe` frame or the query of a subscribe path. */
export interface Start {
  after?: Seq | undefined
  epoch?: string | undefined
}

export class Subscriptions {
  /** Of the backfills: all of them write to the one socket. */
  readonly turns = new Turns()
  readonly #api: Api & { metrics: Metrics }
  readonly #reader: Reader
  readonly #feeds = new Map<TimelineId, Feed>()
  #closed = false

  constructor(api: Api & { metrics: Metrics }, reader: Reader) {
    this.#api = api
    this.#reader = reader
  }

  /**
   * A feed that is registered but not started: its reply comes before its first event. Undefined if
   * everything was closed meanwhile. Throws `already_subscribed`, `too_many_subscriptions`.
   */
  async add(place: Place, start: Start): Promise<Feed | undefined> {
    const { chat, config, metrics } = this.#api
    if (this.#feeds.has(place.timeline)) throw problem('already_subscribed')
    if (this.#feeds.size >= config.subscriptionsPerConnectionMax)
      throw problem('too_many_subscriptions')
    const feed = await chat.messages.follow(place, start, this.#reader)
    if (this.#closed) {
      feed.close()
      return undefined
    }
    this.#feeds.set(place.timeline, feed)
    metrics.subscriptions.inc()
    return feed
  }

  /** Throws `not_subscribed`. */
  remove(timeline: TimelineId): void {
    const feed = this.#feeds.get(timeline)
    if (feed === undefined) throw problem('not_subscribed')
    feed.close()
    this.#feeds.delete(timeline)
    this.#api.metrics.subscriptions.dec()
  }

  closeAll(): void {
    this.#closed = true
    this.#api.metrics.subscriptions.dec(this.#feeds.size)
    for (const feed of this.#feeds.values()) feed.close()
    this.#feeds.clear()
  }

  /** Heads that have moved since they were last told; quiet timelines prove nothing new. */
  movedHeads(): Record<TimelineId, Seq> | undefined {
    let moved: Record<TimelineId, Seq> | undefined
    for (const [id, feed] of this.#feeds) {
      const { flushed } = feed.timeline
      if (flushed === feed.headTold || !feed.isLive) continue
      feed.headTold = flushed
      moved ??= {}
      moved[id] = flushed
    }
    return moved
  }
}
