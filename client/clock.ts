/** Time and chance, as an argument rather than globals, so that tests may set them. */
import { BACKOFF_MAX_MS, BACKOFF_MIN_MS } from './limits.ts'

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  setTimeout(work: () => void, ms: number): unknown
  clearTimeout(timer: unknown): void
  /** From 0 to just below 1. */
  random(): number
}

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (work, ms) => setTimeout(work, ms),
  clearTimeout: (timer) => clearTimeout(timer as number),
  random: () => Math.random(),
}

/**
 * How long to wait before another attempt, in milliseconds: "full jitter", after Marc Brooker,
 * "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015). Chance spreads those who were cut
 * off together over the whole time, so that they do not come back together. `atLeastMs` is what
 * the server has asked for.
 */
export function delayMs(clock: Clock, attempt: number, atLeastMs = 0): number {
  return atLeastMs + clock.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** attempt)
}
