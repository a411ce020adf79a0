/**
 * One timeline that somebody on this node reads: its head, its tail, and who is live on it.
 * Plain state; `hub.ts` and `feed.ts` hold the rules.
 */
import type { Seq, TimelineId } from '../types.ts'
import type { LiveEvent } from './bus.ts'
import type { Reader } from './reader.ts'
import { Tail, type TailLimits } from './tail.ts'

/** What the hub needs of a feed: where to write, and whom to let in after a flush. */
export interface LiveFeed {
  readonly reader: Reader
  join(): void
}

export class LiveTimeline {
  readonly id: TimelineId
  readonly tail: Tail
  /** The last event known on this node; everything up to it is stored. */
  head: Seq = 0
  /** Live readers have been given everything up to here. Never above `head`. */
  flushed: Seq = 0
  /** Resolves once `head` is known. */
  opened: Promise<void> | undefined
  /** What came over the bus before `head` was known; undefined from then on. */
  early: LiveEvent[] | undefined = []
  /** The highest seq heard of, while a hole is being filled from the store; else 0. */
  rumoured: Seq = 0
  /** Waiting in the hub's list for the next flush. */
  dirty = false
  /** Feeds and openings that need this timeline; at 0 it goes. */
  users = 0
  /** Feeds that stand exactly at `flushed`. */
  readonly live = new Set<LiveFeed>()
  /** Feeds past `flushed`, waiting for the next flush to become live. */
  joining: LiveFeed[] = []

  constructor(id: TimelineId, limits: TailLimits) {
    this.id = id
    this.tail = new Tail(limits)
  }
}
