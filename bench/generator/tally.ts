/** What was answered: counts and latencies, by seconds and within the measured time. */
import type { Percentiles, Second } from '../record.ts'
import { Histogram } from '../stats.ts'
import type { JobContext } from './main.ts'

export interface TallyResult {
  /** Of the measured time. */
  seconds: number
  /** Answered within it. */
  count: number
  latencyMs: Percentiles
  series: Second[]
}

export class Tally {
  readonly #total = new Histogram()
  #second = new Histogram()
  readonly #series: Second[] = []
  #count = 0
  #countAtTurn = 0
  #turnedAt = 0
  #fromMs = Number.POSITIVE_INFINITY
  #toMs = Number.POSITIVE_INFINITY
  #measured: { seconds: number; count: number } | undefined

  /**
   * One more, `latencyMs` after it was wanted. What was wanted before the measured time or after it
   * counts for the rate only.
   */
  answered(latencyMs: number, wantedAt: number): void {
    this.#count += 1
    if (wantedAt >= this.#fromMs && wantedAt < this.#toMs) this.#second.record(latencyMs)
  }

  /**
   * Measures so many seconds from now on, and marks their beginning and end. `isBroken` ends it
   * before, because what follows would only be waited for.
   */
  async measure(
    { loop, tell }: JobContext,
    { phase, seconds, isBroken }: { phase: string; seconds: number; isBroken: () => boolean },
  ): Promise<void> {
    const startedAt = performance.now()
    const before = this.#count
    this.#turnedAt = startedAt
    this.#countAtTurn = before
    this.#fromMs = startedAt
    this.#toMs = startedAt + seconds * 1_000
    tell({ mark: 'measuring' })
    for (let second = 1; second <= seconds && !isBroken(); second++) {
      await new Promise<void>((resolve) => loop.at(startedAt + second * 1_000, resolve))
      tell({ progress: { phase, atS: second, ofS: seconds, perSecond: this.#turn() } })
    }
    tell({ mark: 'measured' })
    const passed = (performance.now() - startedAt) / 1_000
    this.#measured = { seconds: passed, count: this.#count - before }
  }

  #turn(): number {
    const now = performance.now()
    const perSecond = ((this.#count - this.#countAtTurn) * 1_000) / (now - this.#turnedAt)
    this.#countAtTurn = this.#count
    this.#turnedAt = now
    const { p50, p99 } = this.#second.percentiles
    this.#series.push({ atS: this.#series.length + 1, perSecond, p50, p99 })
    this.#total.absorb(this.#second)
    return perSecond
  }

  result(): TallyResult {
    this.#total.absorb(this.#second)
    const { seconds, count } = this.#measured ?? { seconds: 0, count: 0 }
    return { seconds, count, latencyMs: this.#total.percentiles, series: this.#series }
  }
}
