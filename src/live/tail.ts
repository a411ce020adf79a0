/**
 * The recent events of one live timeline, encoded, in memory: contiguous up to the head. It serves
 * resumes and backfills without a query. Bounded by count and bytes, except that events not yet
 * flushed to the live readers always stay.
 */
import type { Seq } from '../types.ts'
import type { LiveEvent } from './bus.ts'

export interface TailLimits {
  eventsMax: number
  bytesMax: number
}

export class Tail {
  readonly #limits: TailLimits
  #events: LiveEvent[] = []
  /** Index of the first event that counts: trimming moves it, and now and then the array. */
  #first = 0
  #bytes = 0

  constructor(limits: TailLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#events.length - this.#first
  }

  push(event: LiveEvent): void {
    this.#events.push(event)
    this.#bytes += event.json.length
  }

  /** Events after `seq`, or undefined if the tail does not reach back so far. */
  after(seq: Seq, limit = this.size): readonly LiveEvent[] | undefined {
    const oldest = this.#events[this.#first]
    if (oldest === undefined || seq + 1 < oldest.seq) return undefined
    const from = this.#first + (seq + 1 - oldest.seq)
    return this.#events.slice(from, from + limit)
  }

  /** Lets go of the oldest events past the limits, but never of one after `flushed`. */
  trim(flushed: Seq): void {
    const { eventsMax, bytesMax } = this.#limits
    while (this.size > eventsMax || this.#bytes > bytesMax) {
      const oldest = this.#events[this.#first]
      if (oldest === undefined || oldest.seq > flushed) break
      this.#bytes -= oldest.json.length
      this.#first += 1
    }
    // Moving the array once a half of it is spent keeps a push at constant cost.
    if (this.#first > this.#events.length / 2) {
      this.#events = this.#events.slice(this.#first)
      this.#first = 0
    }
  }
}
