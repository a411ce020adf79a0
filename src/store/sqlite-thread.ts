/** One worker thread with a database connection, and the calls that wait for it. */
import { deferred, withDeadline } from '../clock.ts'
import { problem } from '../errors.ts'
import { scriptUrl } from '../scripts.ts'
import type { NewEvent } from '../types.ts'
import { packBatch } from './sqlite-batch.ts'
import type { Answer, Answers, Call, Failure, Opened, Role } from './sqlite-worker.ts'
import type { StoreOptions } from './store.ts'

export interface ThreadOptions extends StoreOptions {
  /** Made if it is not there. */
  folder: string
  timeoutMs: number
  /** Calls that may wait for each thread; past it `overloaded`. */
  queueMax: number
}

/** Calls in one message at the most: the first of them waits for the answer to the last. */
const CALLS_TOGETHER = 64

/** A call that takes so long waits for the disk. A look-up in memory takes a fiftieth of it. */
const SLOW_CALL_MS = 0.5
const SLOW_MESSAGES_MIN = 4

interface Waiting {
  resolve: (value: never) => void
  reject: (error: unknown) => void
}

export class SqliteThread {
  readonly #role: Role
  readonly #options: ThreadOptions
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  /** Calls of this turn of the event loop, on their way in one message. */
  #outgoing: Call[] = []
  #lastId = 0
  #slowMessages = 0
  #closing = false

  constructor(role: Role, options: ThreadOptions) {
    this.#role = role
    this.#options = options
    this.#worker = new Worker(scriptUrl('store/sqlite-worker'))
    this.#worker.onmessage = ({ data: { answers, tookMs } }: MessageEvent<Answers>) => {
      this.#slowMessages = tookMs / answers.length < SLOW_CALL_MS ? 0 : this.#slowMessages + 1
      for (const answer of answers) this.#settle(answer)
    }
    this.#worker.onerror = (event) => this.#die(new Error(event.message))
    this.#worker.addEventListener('close', () => {
      if (!this.#closing) this.#die(new Error('The database thread has ended.'))
    })
  }

  /** Calls that have no answer yet. */
  get waiting(): number {
    return this.#waiting.size
  }

  /**
   * True if calls have been slow several messages in a row. A thread that was kept from its core
   * for a moment is none that waits for the disk.
   */
  get isSlow(): boolean {
    return this.#slowMessages >= SLOW_MESSAGES_MIN
  }

  /** Not bound by the time-out: checking a large database takes as long as it takes. */
  open(): Promise<Opened> {
    return this.#send('open', [this.#role, this.#options.folder])
  }

  /**
   * Waits without a limit, because what was committed must be announced however late; its callers
   * have a limit of their own. The numbers are those of `SqliteDatabase.append`.
   */
  append(batch: readonly NewEvent[]): Promise<Float64Array> {
    const { id, answer } = this.#wait<Float64Array>()
    // What was called before goes before.
    this.#sendOutgoing()
    this.#worker.postMessage(packBatch(id, batch))
    return answer
  }

  /** Rejects after `timeoutMs`, or at once if too many calls wait. */
  call<T>(method: string, ...args: unknown[]): Promise<T> {
    if (this.#waiting.size >= this.#options.queueMax)
      return Promise.reject(problem('overloaded', { retryAfterS: 1 }))
    return this.#sendInTime(method, args)
  }

  #sendInTime<T>(method: string, args: unknown[]): Promise<T> {
    const answer = this.#send<T>(method, args)
    const code = this.#role === 'writer' ? 'outcome_unknown' : 'overloaded'
    return withDeadline(answer, this.#options.timeoutMs, () => problem(code, { retryAfterS: 1 }))
  }

  /** As `call`, for what may not be there: SQL's null becomes undefined. */
  async find<T>(method: string, ...args: unknown[]): Promise<T | undefined> {
    return (await this.call<T | null>(method, ...args)) ?? undefined
  }

  /** After all that waits, however much that is. */
  async close(): Promise<void> {
    await this.#sendInTime('close', [])
    await this.terminate()
  }

  async terminate(): Promise<void> {
    this.#closing = true
    await this.#worker.terminate()
  }

  #send<T>(method: string, args: unknown[]): Promise<T> {
    const { id, answer } = this.#wait<T>()
    if (this.#outgoing.length === 0) queueMicrotask(this.#sendOutgoing)
    this.#outgoing.push([id, method, args])
    if (this.#outgoing.length === CALLS_TOGETHER) this.#sendOutgoing()
    return answer
  }

  #wait<T>(): { id: number; answer: Promise<T> } {
    const id = ++this.#lastId
    const { promise, resolve, reject } = deferred<T>()
    this.#waiting.set(id, { resolve, reject })
    return { id, answer: promise }
  }

  /** A message wakes the thread, which costs more than most calls. */
  readonly #sendOutgoing = (): void => {
    if (this.#outgoing.length === 0) return
    this.#worker.postMessage(this.#outgoing)
    this.#outgoing = []
  }

  #settle([id, failure, result]: Answer): void {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (failure === null) waiting?.resolve(result as never)
    else waiting?.reject(this.#errorOf(failure))
  }

  #errorOf({ kind, message }: Failure): Error {
    if (kind !== 'fatal') return problem(kind, { retryAfterS: 2, cause: message })
    const error = new Error(message)
    // While the store is being opened, the error goes to whoever opens it.
    if (this.#lastId > 1) this.#options.onFatal(error)
    return error
  }

  #die(error: Error): void {
    for (const { reject } of this.#waiting.values())
      reject(problem('outcome_unknown', { retryAfterS: 2 }))
    this.#waiting.clear()
    if (!this.#closing) this.#options.onFatal(error)
  }
}
