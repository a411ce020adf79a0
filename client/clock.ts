/** Time and chance, as an argument rather than globals, so that tests may set them. */
import { BACKOFF_MAX_MS, BACKOFF_MIN_MS, WAIT_MAX_MS } from './limits.ts'
import type { Clock } from './types.ts'

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (work, ms) => setTimeout(work, ms),
  clearTimeout: (timer) => clearTimeout(timer as number),
  random: () => Math.random(),
}

/** One timer. Set again, it rings only then. */
export class Alarm {
  protected readonly clock: Clock
  #timer: unknown

  constructor(clock: Clock) {
    this.clock = clock
  }

  get pending(): boolean {
    return this.#timer !== undefined
  }

  set(ms: number, work: () => void): void {
    this.clear()
    this.#timer = this.clock.setTimeout(() => {
      this.#timer = undefined
      work()
    }, ms)
  }

  clear(): void {
    this.clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

/**
 * Another attempt, later each time: "full jitter", after Marc Brooker, "Exponential Backoff And
 * Jitter" (AWS Architecture Blog, 2015). Chance spreads those who were cut off together over the
 * whole time, so that they do not come back together.
 */
export class Retry extends Alarm {
  #failures = 0

  /** In how many milliseconds; `atLeastMs` is what the server has asked for. */
  later(work: () => void, atLeastMs: number): number {
    const max = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** this.#failures)
    const ms = Math.min(atLeastMs, WAIT_MAX_MS) + this.clock.random() * max
    this.#failures += 1
    this.set(ms, work)
    return ms
  }

  succeeded(): void {
    this.#failures = 0
  }
}
