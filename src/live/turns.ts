/**
 * Turns for the backfills of one reader: one page is read and written at a time. Without them five
 * hundred subscriptions made at once would each hold a page in memory, and together overrun a
 * reader that is fast enough for any of them.
 */
import { deferred } from '../clock.ts'

export class Turns {
  #last: Promise<void> = Promise.resolve()

  /** Resolves when it is one's turn, with what ends it. Turns come in the order asked for. */
  async take(): Promise<() => void> {
    const before = this.#last
    const { promise, resolve } = deferred<void>()
    this.#last = promise
    await before
    return resolve
  }
}
