/**
 * The embedded store: SQLite in two worker threads, one that writes and one that reads, so that a
 * long page of history never delays a commit. This side of the threads only carries calls across.
 */

import { deferred, withDeadline } from '../clock.ts'
import { problem } from '../errors.ts'
import { INBOX_ENTRY, inboxBody } from '../events.ts'
import type { NewEvent, StoredEvent, TimelineId } from '../types.ts'
import {
  KEY_REUSED,
  NUMBERS_PER_EVENT,
  packBatch,
  RECORDED,
  unpackEncoded,
} from './sqlite-batch.ts'
import type { Answer, Call, Failure, Role } from './sqlite-worker.ts'
import type { Appended, Store, StoreOptions } from './store.ts'

export interface SqliteOptions extends StoreOptions {
  /** Made if it is not there. */
  folder: string
  timeoutMs: number
  /** Calls that may wait for each thread; past it `overloaded`. */
  queueMax: number
}

/**
 * Opens the database in `folder`. Rejects with a sentence for people if another process has it, if
 * it is damaged, of a newer schema, or if the runtime's SQLite is too old.
 */
export async function openSqlite(options: SqliteOptions): Promise<Store> {
  const writer = new DatabaseThread('writer', options)
  const epoch = await writer.open().catch(async (error) => {
    await writer.terminate()
    throw error
  })
  const reader = new DatabaseThread('reader', options)
  await reader.open()
  return storeOver(writer, reader, epoch)
}

function storeOver(writer: DatabaseThread, reader: DatabaseThread, epoch: string): Store {
  return {
    epoch,
    append: async (batch) => readAppended(batch, await writer.append(batch)),
    list: async (...args) => JSON.parse(await reader.call<string>('list', ...args)),
    listEncoded: async (...args) =>
      unpackEncoded(await reader.call<string>('listEncoded', ...args)),
    heads: (timelines) => reader.call('heads', timelines),

    createUser: (account) => writer.call('createUser', account),
    findUser: (id) => reader.find('findUser', id),
    findAccount: (name) => reader.find('findAccount', name),
    listUsers: (page) => reader.call('listUsers', page),

    createRoom: (...args) => writer.call('createRoom', ...args),
    findRoom: (id) => reader.find('findRoom', id),
    listRooms: (page) => reader.call('listRooms', page),

    createSession: (...args) => writer.call('createSession', ...args),
    findSession: (tokenHash) => reader.find('findSession', tokenHash),
    listSessions: (...args) => reader.call('listSessions', ...args),
    deleteSession: (...args) => writer.find('deleteSession', ...args),
    liveSessions: (ids) => reader.call('liveSessions', ids),
    touchSession: (...args) => writer.call('touchSession', ...args),
    deleteExpiredSessions: (...args) => writer.call('deleteExpiredSessions', ...args),

    check: async () => {
      await Promise.all([writer.call('check'), reader.call('epoch')])
    },
    close: async () => {
      await reader.close()
      await writer.close()
    },
  }
}

function readAppended(batch: readonly NewEvent[], numbers: Float64Array): Appended[] {
  return batch.map((given, index) => {
    const offset = index * NUMBERS_PER_EVENT
    const outcome = numbers[offset]!
    if (outcome === KEY_REUSED) return { outcome: 'key_reused' }
    const { timeline, type, author, body } = given
    const seq = numbers[offset + 1]!
    const at = numbers[offset + 2]!
    const event: StoredEvent = { timeline, seq, type, author, at, body }
    if (outcome !== RECORDED) return { outcome: 'replayed', event }
    const inboxEntry =
      given.inbox === undefined
        ? null
        : inboxEntryOf(given, given.inbox, event, numbers[offset + 3]!)
    return { outcome: 'recorded', event, inboxEntry }
  })
}

function inboxEntryOf(
  given: NewEvent,
  timeline: TimelineId,
  { seq, at }: StoredEvent,
  inboxSeq: number,
): StoredEvent {
  const body = inboxBody(given, seq, at)
  return { timeline, seq: inboxSeq, type: INBOX_ENTRY, author: null, at, body }
}

/** Calls in one message at the most: the first of them waits for the answer to the last. */
const CALLS_TOGETHER = 64

interface Waiting {
  resolve: (value: never) => void
  reject: (error: unknown) => void
}

/** One worker thread and the calls that wait for it. */
class DatabaseThread {
  readonly #role: Role
  readonly #options: SqliteOptions
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  /** Calls of this turn of the event loop, on their way in one message. */
  #outgoing: Call[] = []
  #lastId = 0
  #closing = false

  constructor(role: Role, options: SqliteOptions) {
    this.#role = role
    this.#options = options
    this.#worker = new Worker(new URL('./sqlite-worker.ts', import.meta.url))
    this.#worker.onmessage = ({ data }: MessageEvent<Answer[]>) => {
      for (const answer of data) this.#settle(answer)
    }
    this.#worker.onerror = (event) => this.#die(new Error(event.message))
    this.#worker.addEventListener('close', () => {
      if (!this.#closing) this.#die(new Error('The database thread has ended.'))
    })
  }

  /** Not bound by the time-out: checking a large database takes as long as it takes. */
  open(): Promise<string> {
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
    const answer = this.#send<T>(method, args)
    const code = this.#role === 'writer' ? 'outcome_unknown' : 'overloaded'
    return withDeadline(answer, this.#options.timeoutMs, () => problem(code, { retryAfterS: 1 }))
  }

  /** As `call`, for what may not be there: SQL's null becomes undefined. */
  async find<T>(method: string, ...args: unknown[]): Promise<T | undefined> {
    return (await this.call<T | null>(method, ...args)) ?? undefined
  }

  async close(): Promise<void> {
    await this.call('close')
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
