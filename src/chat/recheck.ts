/**
 * What the bus may have failed to say is asked of the store: all the time at an interval, and at
 * once when the bus is back. One round at a time; a round that takes longer than the interval is
 * followed by the next at once.
 */
import type { Bus } from '../live/bus.ts'
import type { Log } from '../log.ts'

/** With `all` the last one may have missed anything; rejects if the store cannot be asked. */
export type Check = (all: boolean) => Promise<void>

export interface RecheckOptions {
  /** 0 if this process is alone with its data: then nothing is asked. */
  everyMs: number
  checks: readonly Check[]
  bus: Bus
  log: Log
}

export class Recheck {
  readonly #options: RecheckOptions
  #timer: ReturnType<typeof setInterval> | undefined
  #running: Promise<void> | undefined
  /** What the next round is to ask, if one is wanted. */
  #wanted: { all: boolean } | undefined
  #failed = false

  constructor(options: RecheckOptions) {
    this.#options = options
  }

  start(): void {
    const { everyMs, bus } = this.#options
    if (everyMs > 0) this.#timer = setInterval(() => this.#want(!bus.connected), everyMs)
  }

  /** A round of everything, now or right after the one under way. */
  now(): void {
    if (this.#timer !== undefined) this.#want(true)
  }

  /** Resolves when the round under way has ended. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#wanted = undefined
    await this.#running
  }

  #want(all: boolean): void {
    this.#wanted = { all: all || this.#wanted?.all === true }
    this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    for (;;) {
      const wanted = this.#wanted
      if (wanted === undefined) break
      this.#wanted = undefined
      for (const check of this.#options.checks) await this.#try(check, wanted.all)
    }
    this.#running = undefined
  }

  async #try(check: Check, all: boolean): Promise<void> {
    try {
      await check(all)
      this.#failed = false
    } catch (error) {
      // The store's trouble is told of by everyone who needs it; here once is enough.
      if (!this.#failed) this.#options.log.warn({ err: error }, 'the store could not be asked yet')
      this.#failed = true
    }
  }
}
