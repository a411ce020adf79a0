/**
 * The threads that read: one, which does while the system holds the database in memory, and more
 * once calls wait for the disk. A thread waits for one read at a time, and a disk answers many at
 * once.
 */
import { SqliteThread, type ThreadOptions } from './sqlite-thread.ts'

/** With so many slow calls waiting for each thread, another one is worth its memory. */
const WAITING_MIN = 8

export interface ReadersOptions extends ThreadOptions {
  readersMax: number
}

export class SqliteReaders {
  readonly #options: ReadersOptions
  readonly #threads: SqliteThread[]
  #max: number
  #starting: Promise<void> | undefined

  /** With one thread. The writer has made the database before. */
  static async open(options: ReadersOptions): Promise<SqliteReaders> {
    const first = new SqliteThread('reader', options)
    await first.open()
    return new SqliteReaders(options, first)
  }

  private constructor(options: ReadersOptions, first: SqliteThread) {
    this.#options = options
    this.#threads = [first]
    this.#max = options.readersMax
  }

  /** Threads that read at present. */
  get size(): number {
    return this.#threads.length
  }

  /** As `SqliteThread.call`; by whichever thread has least to do. */
  call<T>(method: string, ...args: unknown[]): Promise<T> {
    return this.#leastBusy().call(method, ...args)
  }

  /** As `SqliteThread.find`. */
  find<T>(method: string, ...args: unknown[]): Promise<T | undefined> {
    return this.#leastBusy().find(method, ...args)
  }

  async close(): Promise<void> {
    await this.#starting
    await Promise.all(this.#threads.map((thread) => thread.close()))
  }

  #leastBusy(): SqliteThread {
    let least = this.#threads[0]!
    for (const thread of this.#threads) if (thread.waiting < least.waiting) least = thread
    const isLate = least.waiting >= WAITING_MIN && least.isSlow
    if (isLate && this.#threads.length < this.#max) this.#starting ??= this.#start()
    return least
  }

  /** Whoever waits goes on waiting where it stands; those who come later find the new one. */
  async #start(): Promise<void> {
    const thread = new SqliteThread('reader', this.#options)
    try {
      await thread.open()
      this.#threads.push(thread)
    } catch {
      // The machine has no room for it. Those that are there go on.
      this.#max = this.#threads.length
      await thread.terminate()
    }
    this.#starting = undefined
  }
}
