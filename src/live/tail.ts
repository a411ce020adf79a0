/**
 * The recent events of one timeline, encoded, in memory: contiguous up to the head. It serves
 * backfills and pages without a query. Bounded by count and bytes, and all tails together by a
 * budget; except that events not yet given to the live readers always stay.
 */
import type { Seq } from '../types.ts'
import type { LiveEvent } from './bus.ts'

export interface TailLimits {
  eventsMax: number
  bytesMax: number
  /** Of all tails together. */
  totalBytesMax: number
}

/** What all tails of a process share. */
export class TailBudget {
  readonly limits: TailLimits
  /** Characters in all tails; nearly bytes, as most text is Latin. */
  chars = 0
  tails = 0

  constructor(limits: TailLimits) {
    this.limits = limits
  }

  get exceeded(): boolean {
    return this.chars > this.limits.totalBytesMax
  }

  /** What one tail may keep: less than its own limit once all together are past theirs. */
  get tailCharsMax(): number {
    const { bytesMax, totalBytesMax } = this.limits
    return this.exceeded ? Math.min(bytesMax, totalBytesMax / this.tails) : bytesMax
  }
}

export class Tail {
  readonly #budget: TailBudget
  #events: LiveEvent[] = []
  /** Index of the first event that counts: trimming moves it, and now and then the array. */
  #first = 0
  #chars = 0

  constructor(budget: TailBudget) {
    this.#budget = budget
    budget.tails += 1
  }

  get size(): number {
    return this.#events.length - this.#first
  }

  push(event: LiveEvent): void {
    this.#events.push(event)
    this.#count(event.json.length)
  }

  /** Takes in older events that end right before its own. Does nothing if they do not. */
  prepend(events: readonly LiveEvent[], head: Seq): void {
    const next = this.#events[this.#first]?.seq ?? head + 1
    if (events.length === 0 || events.at(-1)!.seq + 1 !== next) return
    this.#events = [...events, ...this.#events.slice(this.#first)]
    this.#first = 0
    for (const { json } of events) this.#count(json.length)
  }

  /** Events after `seq`, at most `limit`; undefined if the tail does not reach back so far. */
  after(seq: Seq, limit = this.size): readonly LiveEvent[] | undefined {
    const oldest = this.#events[this.#first]
    if (oldest === undefined || seq + 1 < oldest.seq) return undefined
    const from = this.#first + (seq + 1 - oldest.seq)
    return this.#events.slice(from, from + limit)
  }

  /** The `limit` last events before `seq`; undefined if the tail does not reach back so far. */
  before(seq: Seq, limit: number): readonly LiveEvent[] | undefined {
    const oldest = this.#events[this.#first]
    if (oldest === undefined) return undefined
    const end = Math.min(this.#events.length, this.#first + seq - oldest.seq)
    // A page that begins with the timeline's first event is whole, however short.
    if (end - limit < this.#first && oldest.seq > 1) return undefined
    return this.#events.slice(Math.max(this.#first, end - limit), Math.max(this.#first, end))
  }

  /** Lets go of the oldest events past the limits, but never of one after `flushed`. */
  trim(flushed: Seq): void {
    const { eventsMax } = this.#budget.limits
    const charsMax = this.#budget.tailCharsMax
    while (this.size > eventsMax || this.#chars > charsMax) {
      const oldest = this.#events[this.#first]
      if (oldest === undefined || oldest.seq > flushed) break
      this.#count(-oldest.json.length)
      this.#first += 1
    }
    // Moving the array once a half of it is spent keeps a push at constant cost.
    if (this.#first > this.#events.length / 2) {
      this.#events = this.#events.slice(this.#first)
      this.#first = 0
    }
  }

  /** Its timeline is closed. */
  drop(): void {
    this.#count(-this.#chars)
    this.#events = []
    this.#first = 0
    this.#budget.tails -= 1
  }

  #count(chars: number): void {
    this.#chars += chars
    this.#budget.chars += chars
  }
}
