/**
 * Rates. The generic cell rate algorithm (ITU-T I.371): one number for each key says when its
 * budget will be full again, so an idle key costs nothing and can be forgotten.
 *
 * Rates count in this process; with several processes each has its own.
 */
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import { problem } from '../errors.ts'
import type { Metrics } from '../metrics.ts'

export interface Allowance {
  /** How many more at this moment. */
  remaining: number
  /** Until the whole burst is available again, in seconds, rounded up. */
  fullAfterS: number
}

export class Rate {
  readonly name: string
  readonly burst: number
  /** Milliseconds that one costs. */
  readonly #costMs: number
  readonly #entriesMax: number
  readonly #clock: Clock
  /** For each key, when its budget is full again, on the monotonic clock. */
  readonly #fullAt = new Map<string, number>()

  constructor(
    clock: Clock,
    options: { name: string; perMinute: number; burst: number; entriesMax: number },
  ) {
    this.#clock = clock
    this.name = options.name
    this.burst = options.burst
    this.#costMs = 60_000 / options.perMinute
    this.#entriesMax = options.entriesMax
  }

  /** The value of a `RateLimit-Policy` header. */
  get policy(): string {
    return `"${this.name}";q=${this.burst};w=${Math.ceil((this.burst * this.#costMs) / 1_000)}`
  }

  /** Spends one, or throws `rate_limited` with the wait. */
  take(key: string): Allowance {
    const now = this.#clock.monotonicMs()
    const fullAt = Math.max(now, this.#fullAt.get(key) ?? 0) + this.#costMs
    const overMs = fullAt - now - this.burst * this.#costMs
    // Half a microsecond of slack: sums of floating point costs are not exact.
    if (overMs > 0.0005) throw this.#tooMany(overMs)
    this.#set(key, fullAt, now)
    return {
      remaining: Math.floor((this.burst * this.#costMs - (fullAt - now)) / this.#costMs + 1e-6),
      fullAfterS: Math.ceil((fullAt - now) / 1_000),
    }
  }

  /** Gives one back: what was taken for turned out not to count. */
  refund(key: string): void {
    const fullAt = this.#fullAt.get(key)
    if (fullAt !== undefined) this.#fullAt.set(key, fullAt - this.#costMs)
  }

  #set(key: string, fullAt: number, now: number): void {
    if (this.#fullAt.size >= this.#entriesMax && !this.#fullAt.has(key)) this.#makeRoom(now)
    this.#fullAt.set(key, fullAt)
  }

  /** Forgets keys whose budget is full; if there is none, the oldest. */
  #makeRoom(now: number): void {
    for (const [key, fullAt] of this.#fullAt) if (fullAt <= now) this.#fullAt.delete(key)
    if (this.#fullAt.size < this.#entriesMax) return
    const oldest = this.#fullAt.keys().next()
    if (!oldest.done) this.#fullAt.delete(oldest.value)
  }

  #tooMany(overMs: number) {
    return problem('rate_limited', {
      detail: `The limit "${this.name}" is ${this.burst} at once.`,
      retryAfterS: Math.max(1, Math.ceil(overMs / 1_000)),
      headers: { 'RateLimit-Policy': this.policy, RateLimit: `"${this.name}";r=0` },
    })
  }
}

export type RateName = 'posts' | 'requests' | 'signUps'

/** All rates of the server. With `RATE_LIMITS=off` nothing is counted. */
export class Limits {
  /** Of each WebSocket. */
  readonly frames: Budget
  readonly #rates: Record<RateName, Rate>
  readonly #failuresByName: Rate
  readonly #failuresByAddress: Rate
  readonly #config: Config
  readonly #metrics: Metrics

  constructor(config: Config, clock: Clock, metrics: Metrics) {
    const entriesMax = config.rateLimitEntriesMax
    const rate = (name: string, perMinute: number, burst: number) =>
      new Rate(clock, { name, perMinute, burst, entriesMax })
    this.#config = config
    this.#metrics = metrics
    this.#rates = {
      posts: rate('posts', config.postsPerMinuteMax, config.postsBurstMax),
      requests: rate('requests', config.requestsPerMinuteMax, config.requestsBurstMax),
      signUps: rate('sign-ups', config.signUpsPerMinuteMax, config.signUpsBurstMax),
    }
    const framesBurst = config.rateLimits === 'on' ? config.framesBurstMax : 0
    this.frames = new Budget(framesBurst, config.framesPerMinuteMax, clock)
    this.#failuresByName = rate('failures-per-name', 2, config.failuresPerNameMax)
    this.#failuresByAddress = rate('failures-per-address', 20, config.failuresPerAddressMax)
  }

  get on(): boolean {
    return this.#config.rateLimits === 'on'
  }

  /** Spends one and returns the headers that say what is left; throws `rate_limited`. */
  take(name: RateName, key: string): Record<string, string> {
    if (!this.on) return {}
    const rate = this.#rates[name]
    const { remaining, fullAfterS } = this.#counted(() => rate.take(key))
    return {
      'RateLimit-Policy': rate.policy,
      RateLimit: `"${rate.name}";r=${remaining};t=${fullAfterS}`,
    }
  }

  /**
   * Runs `attempt`, and counts it against the name and the address unless it succeeds. It is
   * counted first and given back afterwards, so that many at once get no further than one after the
   * other.
   */
  async guard<T>(name: string, address: string, attempt: () => Promise<T>): Promise<T> {
    let outcome = 'throttled'
    try {
      if (this.on) this.#counted(() => this.#takeFailure(name, address))
      outcome = 'accepted'
      return await attempt()
    } catch (error) {
      if (outcome !== 'throttled')
        outcome = (error as { code?: string }).code === 'wrong_credentials' ? 'wrong' : 'failed'
      throw error
    } finally {
      this.#metrics.signIns.inc({ outcome })
      if (this.on && (outcome === 'accepted' || outcome === 'failed')) {
        this.#failuresByName.refund(name)
        this.#failuresByAddress.refund(address)
      }
    }
  }

  #takeFailure(name: string, address: string): void {
    this.#failuresByAddress.take(address)
    try {
      this.#failuresByName.take(name)
    } catch (error) {
      this.#failuresByAddress.refund(address)
      throw error
    }
  }

  #counted<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      this.#metrics.refusals.inc({ cause: 'rate' })
      throw error
    }
  }
}

/**
 * The same algorithm for those who keep their one number themselves, such as a WebSocket for its
 * frames: there is nothing to look up.
 */
export class Budget {
  readonly #burstMs: number
  readonly #costMs: number
  readonly #clock: Clock

  /** A burst of 0 means no limit. */
  constructor(burst: number, perMinute: number, clock: Clock) {
    this.#costMs = 60_000 / perMinute
    this.#burstMs = burst * this.#costMs
    this.#clock = clock
  }

  /**
   * Spends one of the budget that is full at `fullAt` (0 for a new one). Returns when it will be
   * full then, to be kept for the next time; undefined if there is none left.
   */
  take(fullAt: number): number | undefined {
    if (this.#burstMs === 0) return fullAt
    const now = this.#clock.monotonicMs()
    const next = Math.max(now, fullAt) + this.#costMs
    return next - now > this.#burstMs + 0.0005 ? undefined : next
  }
}
