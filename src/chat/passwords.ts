/**
 * Password hashing: argon2id as OWASP advises (19 MiB, 2 passes, 1 lane), some 10 ms of CPU each.
 * It runs on a few threads behind a bounded queue, so that a rush of sign-ins slows sign-ins, not
 * chat.
 */
import { availableParallelism } from 'node:os'
import { hash, type Options, verify } from '@node-rs/argon2'
import { problem } from '../errors.ts'
import type { Metrics } from '../metrics.ts'

/** `algorithm: 2` is argon2id; the package's own constant is a const enum that erases badly. */
const ARGON2ID: Options = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 }

/** For `Retry-After`: how long one hash takes, roughly, on a small machine. */
const HASH_MS = 20

export class Passwords {
  readonly #queueMax: number
  readonly #concurrency: number
  readonly #metrics: Metrics
  readonly #queue: (() => void)[] = []
  #running = 0
  #decoy: Promise<string> | undefined

  /** `concurrency` 0 means one less than there are cores, at least one. */
  constructor(options: { concurrency: number; queueMax: number; metrics: Metrics }) {
    this.#concurrency = options.concurrency || Math.max(1, availableParallelism() - 1)
    this.#queueMax = options.queueMax
    this.#metrics = options.metrics
  }

  /** A self-describing hash with its own salt. Rejects with `overloaded` past the queue. */
  hash(password: string): Promise<string> {
    return this.#queued(() => hash(password, ARGON2ID))
  }

  /**
   * Whether the password fits. Without a hash it does the same work for nothing, so that an unknown
   * name takes as long as a wrong password.
   */
  async verify(passwordHash: string | undefined, password: string): Promise<boolean> {
    this.#decoy ??= hash('a password that nobody has', ARGON2ID)
    const decoy = await this.#decoy
    const fits = await this.#queued(() => verify(passwordHash ?? decoy, password))
    return fits && passwordHash !== undefined
  }

  async #queued<T>(job: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#concurrency) {
      if (this.#queue.length >= this.#queueMax) throw this.#tooMany()
      await new Promise<void>((start) => {
        this.#queue.push(start)
        this.#metrics.hashQueue.set(this.#queue.length)
      })
    } else this.#running += 1
    try {
      return await job()
    } finally {
      // The place of a finished job goes straight to the next one, so none can slip in between.
      const next = this.#queue.shift()
      this.#metrics.hashQueue.set(this.#queue.length)
      if (next === undefined) this.#running -= 1
      else next()
    }
  }

  #tooMany() {
    this.#metrics.refusals.inc({ cause: 'hash_queue' })
    const waitMs = (this.#queueMax * HASH_MS) / this.#concurrency
    return problem('overloaded', { retryAfterS: Math.ceil(waitMs / 1_000) })
  }
}
