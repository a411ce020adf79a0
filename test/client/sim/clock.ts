/** Time that passes when told to, and chance that can be had again. */
import type { Clock } from '../../../client/types.ts'

interface Timer {
  at: number
  id: number
  work: () => void
}

/** Lets everything that waits for nothing but its turn come to its end. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

export class SimClock implements Clock {
  #now = 1_800_000_000_000
  #lastId = 0
  /** Soonest first. */
  #timers: Timer[] = []
  readonly random: () => number

  constructor(seed: number) {
    this.random = createRandom(seed)
  }

  now(): number {
    return this.#now
  }

  get pending(): number {
    return this.#timers.length
  }

  setTimeout(work: () => void, ms: number): unknown {
    this.#lastId += 1
    const timer = { at: this.#now + Math.max(0, ms), id: this.#lastId, work }
    let place = this.#timers.length
    while (place > 0 && this.#timers[place - 1]!.at > timer.at) place -= 1
    this.#timers.splice(place, 0, timer)
    return timer.id
  }

  clearTimeout(id: unknown): void {
    const place = this.#timers.findIndex((timer) => timer.id === id)
    if (place !== -1) this.#timers.splice(place, 1)
  }

  async advance(ms: number): Promise<void> {
    const until = this.#now + ms
    await turn()
    while (this.#timers.length > 0 && this.#timers[0]!.at <= until) {
      const { at, work } = this.#timers.shift()!
      this.#now = Math.max(this.#now, at)
      work()
      await turn()
    }
    this.#now = until
  }
}

/** Numbers from 0 to just below 1, the same for the same seed (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
