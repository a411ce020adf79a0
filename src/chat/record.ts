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
import { liveEvent } from '../live/live-event.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Appended, Store } from '../store/store.ts'
import type { NewEvent, StoredEvent } from '../types.ts'

export interface Recorded {
  /** The event as it stands in its timeline; of a replay, the original. */
  event: StoredEvent
  replayed: boolean
}

/** How far apart commits begin while readers are busy, in milliseconds. */
const COMMITS_APART_MS = 10

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
  /** Whether live readers are being written to, and not just for a moment. */
  readersAreBusy: () => boolean
}

/**
 * Called once with what became of a post: either an error or what was recorded. It must not throw;
 * if it does, that is a fault of ours, and ends the process like any other nobody caught.
 */
export type Done = (error: unknown, recorded?: Recorded) => void

interface Waiting {
  given: NewEvent
  done: Done
}

/** Whoever was told already is not told again. */
const told: Done = () => {}

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
    return new Promise((resolve, reject) => {
      this.submit(given, (error, recorded) => (recorded ? resolve(recorded) : reject(error)))
    })
  }

  /**
   * As `record`, for those who post so much that a promise for each is a burden: a whole batch is
   * told in one go, in the order it was given. With `overloaded`, `done` is called at once.
   */
  submit(given: NewEvent, done: Done): void {
    const { queueMax, queueBytesMax, metrics } = this.#options
    if (this.#queue.length >= queueMax || this.#queueBytes >= queueBytesMax) {
      metrics.posts.inc({ outcome: 'overloaded' })
      return done(problem('overloaded', { retryAfterS: 1 }))
    }
    this.#queue.push({ given, done })
    this.#queueBytes += given.body.length
    this.#running ??= this.#run()
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
    while (this.#queue.length > 0) {
      const beganAtMs = this.#options.clock.monotonicMs()
      await this.#commit(this.#takeBatch())
      await this.#gather(beganAtMs)
    }
    this.#running = undefined
  }

  /**
   * While readers are being written to for longer than a turn, nobody would be told of the next
   * commit before that has ended; so it waits a little for company. A commit costs the same few
   * hundred microseconds whatever its size, which under such load are better spent on readers.
   */
  async #gather(beganAtMs: number): Promise<void> {
    const { readersAreBusy, clock, batchMax } = this.#options
    const waitMs = COMMITS_APART_MS - (clock.monotonicMs() - beganAtMs)
    if (waitMs < 1 || this.#queue.length >= batchMax || !readersAreBusy()) return
    await new Promise((resolve) => setTimeout(resolve, waitMs))
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
    withDeadline(answer, timeoutMs, late).catch((error) => refuse(batch, error))
    let results: Appended[]
    try {
      results = await answer
    } catch (error) {
      metrics.posts.inc({ outcome: 'failed' }, batch.length)
      const { code, cause } = error as Partial<Problem>
      log.warn({ code, cause, events: batch.length }, 'a batch was not committed')
      return refuse(batch, error)
    }
    this.#announce(results)
    this.#acknowledge(batch, results)
    metrics.batchSize.observe(batch.length)
    metrics.commitTime.observe((clock.monotonicMs() - startedAt) / 1_000)
  }

  /** Replays, too: another node may have recorded the original, and died before it could tell. */
  #announce(results: readonly Appended[]): void {
    const news: LiveEvent[] = []
    for (const result of results) {
      if (result.outcome === 'key_reused') continue
      news.push(liveEvent(result.event))
      if (result.outcome === 'recorded' && result.inboxEntry !== null)
        news.push(liveEvent(result.inboxEntry))
    }
    this.#options.bus.publish(news)
  }

  #acknowledge(batch: readonly Waiting[], results: readonly Appended[]): void {
    const { posts } = this.#options.metrics
    const counts = { recorded: 0, replayed: 0, key_reused: 0 }
    for (const [index, result] of results.entries()) {
      const { done } = batch[index]!
      counts[result.outcome] += 1
      if (result.outcome === 'key_reused') done(problem('key_reused'))
      else done(null, { event: result.event, replayed: result.outcome === 'replayed' })
    }
    posts.inc({ outcome: 'accepted' }, counts.recorded)
    if (counts.replayed > 0) posts.inc({ outcome: 'replayed' }, counts.replayed)
    if (counts.key_reused > 0) posts.inc({ outcome: 'key_reused' }, counts.key_reused)
  }
}

function refuse(batch: readonly Waiting[], error: unknown): void {
  for (const waiting of batch) {
    waiting.done(error)
    waiting.done = told
  }
}
