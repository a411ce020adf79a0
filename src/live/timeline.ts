/**
 * One timeline that somebody on this node reads: its head, its tail, and who reads it. Plain state;
 * `hub.ts`, `lane.ts` and `feed.ts` hold the rules.
 */
import type { Seq, TimelineId } from '../types.ts'
import type { LiveEvent } from './bus.ts'
import type { Feed } from './feed.ts'
import type { Reader } from './reader.ts'
import type { Slice } from './slice.ts'
import { Tail, type TailBudget } from './tail.ts'

/** Slices remembered for readers that catch up: those who missed the same share them. */
const SHARED_MAX = 16

export class LiveTimeline {
  readonly id: TimelineId
  readonly tail: Tail
  /** The last event known on this node; everything up to it is stored. */
  head: Seq = 0
  /** Live readers have been given everything up to here, or will be in the round under way. */
  flushed: Seq = 0
  /** Characters of all events up to `head`, and up to `flushed`, since it was opened. */
  charsAtHead = 0
  charsAtFlushed = 0
  /** Resolves once `head` is known. */
  opened: Promise<void> | undefined
  /** What came over the bus before `head` was known; undefined from then on. */
  early: LiveEvent[] | undefined = []
  /** The highest seq heard of, while there is a hole before it; else 0. */
  rumoured: Seq = 0
  /** Events past the hole, by their seq. */
  ahead: Map<Seq, LiveEvent> | undefined
  /** `head` when it was last looked at by the head check. */
  headAtCheck: Seq = 0
  /** On a lane's list for the next round. */
  dirty = false
  /** When it last had a round, on the monotonic clock, in milliseconds. */
  flushedAtMs = Number.NEGATIVE_INFINITY
  /** Subscriptions and openings that need it; at 0 it goes. */
  users = 0
  /**
   * Who gets each round's slices: all that have caught up once. Among them may be readers that have
   * ended, and readers that have fallen behind; a round skips both.
   */
  readers: Reader[] = []
  /** Feeds past `flushed`, waiting for the next round to become live. */
  joining: Feed[] = []
  /** Pages being read from the store, by the seq they begin after: one read serves all who wait. */
  readonly loading = new Map<Seq, Promise<Slice>>()
  #shared: Slice[] = []
  /** How many of `readers` have ended. */
  #ended = 0

  constructor(id: TimelineId, budget: TailBudget) {
    this.id = id
    this.tail = new Tail(budget)
  }

  /** The slice after `seq` that somebody else has been given lately. */
  findShared(seq: Seq): Slice | undefined {
    return this.#shared.find((slice) => slice.after === seq)
  }

  share(slice: Slice): void {
    if (this.#shared.length >= SHARED_MAX) this.#shared.shift()
    this.#shared.push(slice)
  }

  forgetShared(): void {
    this.#shared = []
  }

  /**
   * Ends a live subscription. To find one reader costs a look through all of them, so those that
   * have ended are left where they are until they are half of all.
   */
  leave(reader: Reader): void {
    if (!reader.ended) {
      const index = this.readers.indexOf(reader)
      if (index !== -1) this.readers.splice(index, 1)
      return
    }
    this.#ended += 1
    if (this.#ended <= this.readers.length / 2) return
    this.readers = this.readers.filter((other) => !other.ended)
    this.#ended = 0
  }
}
