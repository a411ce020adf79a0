/**
 * The one place that writes events and announces them, in that order: nobody is told of an event
 * before it is committed, and nothing committed goes unannounced.
 *
 * Posts that arrive while a transaction runs wait together and make up the next one, which starts
 * when that one ends (group commit, without a timer). So a lone post pays one fsync and no wait,
 * and ten thousand share one. Batches go one at a time, in order, and so do their announcements.
 */
import { type Clock, withDeadline } from '../clock.ts'
import { type Problem, problem } from '../errors.ts'
import type { Bus, LiveEvent } from '../live/bus.ts'
import { liveEvent } from '../live/hub.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Appended, Store } from '../store/store.ts'
import type { NewEvent, StoredEvent } from '../types.ts'

export interface Recorded {
  /** The event as it stands in its timeline; of a replay, the original. */
  event: StoredEvent
  replayed: boolean
}

export interface RecorderOptions {
  store: Store
  bus: Bus
  clock: Clock
  log: Log
  metrics: Metrics
  /** Posts, and their bytes, that may wait; past either `overloaded`. */
  queueMax: number
  queueBytesMax: number
  batchMax: number
  /** After this long without an answer from the store: `outcome_unknown`. */
  timeoutMs: number
}

interface Waiting {
  given: NewEvent
  resolve: (recorded: Recorded) => void
  reject: (error: unknown) => void
}

export class Recorder {
  readonly #options: RecorderOptions
  #queue: Waiting[] = []
  #queueBytes = 0
  #running: Promise<void> | undefined

  constructor(options: RecorderOptions) {
    this.#options = options
  }

  /**
   * Appends one event. Resolves after its commit and its announcement. Events given in order to one
   * timeline stand there in that order. Rejects with `overloaded` (nothing done), `storage_full` or
   * `store_unavailable` (nothing done), `key_reused` (nothing done) or `outcome_unknown`.
   */
  record(given: NewEvent): Promise<Recorded> {
    const { queueMax, queueBytesMax, metrics } = this.#options
    if (this.#queue.length >= queueMax || this.#queueBytes >= queueBytesMax) {
      metrics.posts.inc({ outcome: 'overloaded' })
      return Promise.reject(problem('overloaded', { retryAfterS: 1 }))
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ given, resolve, reject })
      this.#queueBytes += given.body.length
      this.#running ??= this.#run()
    })
  }

  get queued(): number {
    return this.#queue.length
  }

  /** Resolves when nothing waits any more. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  async #run(): Promise<void> {
    // What arrives in the same turn of the event loop belongs to the first batch, too.
    await Promise.resolve()
    while (this.#queue.length > 0) await this.#commit(this.#takeBatch())
    this.#running = undefined
  }

  #takeBatch(): Waiting[] {
    const { batchMax } = this.#options
    const batch = this.#queue.length <= batchMax ? this.#queue : this.#queue.slice(0, batchMax)
    this.#queue = batch === this.#queue ? [] : this.#queue.slice(batchMax)
    for (const { given } of batch) this.#queueBytes -= given.body.length
    return batch
  }

  async #commit(batch: Waiting[]): Promise<void> {
    const { store, clock, metrics, timeoutMs, log } = this.#options
    const startedAt = clock.monotonicMs()
    const answer = store.append(batch.map((waiting) => waiting.given))
    const late = (): Problem => problem('outcome_unknown', { retryAfterS: 2 })
    // The callers' wait has a limit; ours has none, because what is committed must be announced.
    withDeadline(answer, timeoutMs, late).catch((error) => {
      for (const { reject } of batch) reject(error)
    })
    try {
      this.#settle(batch, await answer)
      metrics.batchSize.observe(batch.length)
      metrics.commitTime.observe((clock.monotonicMs() - startedAt) / 1_000)
    } catch (error) {
      metrics.posts.inc({ outcome: 'failed' }, batch.length)
      const { code, cause } = error as Partial<Problem>
      log.warn({ code, cause, events: batch.length }, 'a batch was not committed')
      for (const { reject } of batch) reject(error)
    }
  }

  /** Announces what was committed, then tells those who wait. */
  #settle(batch: Waiting[], results: Appended[]): void {
    const { bus, metrics } = this.#options
    const news: LiveEvent[] = []
    const recorded = results.map((result): Recorded | null => {
      if (result.outcome === 'key_reused') return null
      const { event } = result
      if (result.outcome === 'replayed') return { event, replayed: true }
      news.push(liveEvent(event))
      if (result.inboxEntry !== null) news.push(liveEvent(result.inboxEntry))
      return { event, replayed: false }
    })
    bus.publish(news)
    const counts = { accepted: 0, replayed: 0, key_reused: 0 }
    for (let i = 0; i < batch.length; i++) {
      const one = recorded[i]
      if (one) batch[i]!.resolve(one)
      else batch[i]!.reject(problem('key_reused'))
      if (one) counts[one.replayed ? 'replayed' : 'accepted'] += 1
      else counts.key_reused += 1
    }
    metrics.posts.inc({ outcome: 'accepted' }, counts.accepted)
    if (counts.replayed > 0) metrics.posts.inc({ outcome: 'replayed' }, counts.replayed)
    if (counts.key_reused > 0) metrics.posts.inc({ outcome: 'key_reused' }, counts.key_reused)
  }
}
