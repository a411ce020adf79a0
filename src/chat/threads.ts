/**
 * Worker threads for jobs that take a core for milliseconds.
 *
 * 1. A job waits in line until a thread has room for it. Threads are started when there is work for
 *    them, up to the limit, and kept.
 * 2. Each thread has the job it works on and the next one at hand, so that it never waits for a
 *    main thread that is busy with chat.
 * 3. A thread that dies fails the job it worked on. What it had at hand goes back to the head of
 *    the line, and another thread is started for it.
 */
import { Worker } from 'node:worker_threads'
import { type Deferred, deferred, withDeadline } from '../clock.ts'
import { problem } from '../errors.ts'

/** What a thread sends back for each job, in the order of the jobs. Asked with null, it ends. */
export type Answer<Result> = { tookMs: number } & ({ result: Result } | { error: string })

/** Jobs a thread has: the one it works on, and the next. */
const AT_HAND_MAX = 2
/** What a job takes, until one has been measured. */
const JOB_MS_GUESS = 20
/** How much one measurement moves the average. */
const SMOOTHING = 1 / 8
/** A thread ends after the jobs it has; one that hangs is cut then. */
const END_MS_MAX = 2_000

interface Waiting<Job, Result> extends Deferred<Result> {
  job: Job
}

interface Thread<Job, Result> {
  worker: Worker
  /** The first one is being worked on. */
  atHand: Waiting<Job, Result>[]
  ended: Promise<void>
}

export class Threads<Job, Result> {
  readonly #script: URL
  readonly #max: number
  readonly #line: Waiting<Job, Result>[] = []
  readonly #threads = new Set<Thread<Job, Result>>()
  #unfinished = 0
  #jobMs: number | undefined
  #closing = false

  /** Starts no thread yet. `script` takes jobs as messages and posts an `Answer` to each. */
  constructor(script: URL, max: number) {
    this.#script = script
    this.#max = max
  }

  /** Jobs that nobody works on yet, wherever they wait. The caller keeps them within a limit. */
  get waiting(): number {
    return Math.max(0, this.#unfinished - this.#max)
  }

  /** Between two jobs finished while all threads work, in milliseconds, on average. */
  get paceMs(): number {
    return (this.#jobMs ?? JOB_MS_GUESS) / this.#max
  }

  /**
   * Rejects with an error if the job fails or its thread dies, and with `restarting` once closed.
   */
  run(job: Job): Promise<Result> {
    if (this.#closing) return Promise.reject(problem('restarting', { retryAfterS: 1 }))
    const waiting = { ...deferred<Result>(), job }
    this.#line.push(waiting)
    this.#unfinished += 1
    this.#assign()
    return waiting.promise
  }

  /** Refuses what waits in line, lets the threads finish what they have, and ends them. */
  async close(): Promise<void> {
    this.#closing = true
    this.#refuse(this.#line.splice(0))
    const ends = [...this.#threads].map(({ worker, ended }) => {
      worker.postMessage(null)
      const late = () => new Error('A thread does not end.')
      return withDeadline(ended, END_MS_MAX, late).catch(() => worker.terminate())
    })
    await Promise.all(ends)
  }

  #refuse(jobs: readonly Waiting<Job, Result>[]): void {
    this.#unfinished -= jobs.length
    for (const { reject } of jobs) reject(problem('restarting', { retryAfterS: 1 }))
  }

  #assign(): void {
    while (this.#line.length > 0) {
      const thread = this.#leastBusy()
      if (thread === undefined) return
      const next = this.#line.shift()!
      thread.atHand.push(next)
      thread.worker.postMessage(next.job)
    }
  }

  /** One without work, a new one, or one with a single job; undefined if all have enough. */
  #leastBusy(): Thread<Job, Result> | undefined {
    let found: Thread<Job, Result> | undefined
    for (const thread of this.#threads) {
      if (thread.atHand.length === 0) return thread
      if (thread.atHand.length < AT_HAND_MAX) found ??= thread
    }
    return this.#threads.size < this.#max ? this.#start() : found
  }

  #start(): Thread<Job, Result> {
    const worker = new Worker(this.#script)
    const ended = deferred<void>()
    const thread = { worker, atHand: [], ended: ended.promise }
    this.#threads.add(thread)
    let why = 'it ended'
    worker.on('message', (answer: Answer<Result>) => this.#settle(thread, answer))
    worker.on('error', (error) => {
      why = (error as Error).message
    })
    worker.on('exit', () => {
      ended.resolve()
      this.#bury(thread, why)
    })
    return thread
  }

  #settle(thread: Thread<Job, Result>, answer: Answer<Result>): void {
    const { resolve, reject } = thread.atHand.shift()!
    this.#unfinished -= 1
    this.#jobMs ??= answer.tookMs
    this.#jobMs += (answer.tookMs - this.#jobMs) * SMOOTHING
    this.#assign()
    if ('error' in answer) reject(new Error(answer.error))
    else resolve(answer.result)
  }

  #bury(thread: Thread<Job, Result>, why: string): void {
    this.#threads.delete(thread)
    const [lost, ...next] = thread.atHand
    if (lost !== undefined) {
      this.#unfinished -= 1
      lost.reject(new Error(`The thread that worked on this has died: ${why}. Try again.`))
    }
    if (this.#closing) return this.#refuse(next)
    this.#line.unshift(...next)
    this.#assign()
  }
}
