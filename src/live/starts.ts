/**
 * Feeds that are about to begin. When everyone comes back at once, each has a backlog that is in
 * memory and could be written in one go; but as long as that takes nobody else is let in. So feeds
 * begin in the order asked for, a few milliseconds of them in each turn of the loop.
 */
import type { Clock } from '../clock.ts'
import type { Feed } from './feed.ts'

/** The longest that one turn begins feeds, in milliseconds. */
const TURN_MS = 4

export class Starts {
  readonly #clock: Clock
  #feeds: Feed[] = []
  #next = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(feed: Feed): void {
    if (this.#feeds.length === 0) setImmediate(this.#begin)
    this.#feeds.push(feed)
  }

  readonly #begin = (): void => {
    const until = this.#clock.monotonicMs() + TURN_MS
    do this.#feeds[this.#next++]!.run()
    while (this.#next < this.#feeds.length && this.#clock.monotonicMs() < until)
    if (this.#next < this.#feeds.length) setImmediate(this.#begin)
    else {
      this.#feeds = []
      this.#next = 0
    }
  }
}
