/**
 * The embedded store: SQLite in worker threads, one that writes and others that read, so that a
 * long page of history never delays a commit. This side of the threads only carries calls across.
 */
import { INBOX_ENTRY, inboxBody } from '../events.ts'
import type { NewEvent, StoredEvent, TimelineId } from '../types.ts'
import { KEY_REUSED, NUMBERS_PER_EVENT, RECORDED, unpackEncoded } from './sqlite-batch.ts'
import { SqliteReaders } from './sqlite-readers.ts'
import { SqliteThread, type ThreadOptions } from './sqlite-thread.ts'
import type { Appended, Store } from './store.ts'

export interface SqliteOptions extends ThreadOptions {
  /** Threads that read, at the most. */
  readersMax: number
}

/**
 * Opens the database in `folder`. Rejects with a sentence for people if another process has it, if
 * it is damaged, of a newer schema, or if the runtime's SQLite is too old.
 */
export async function openSqlite(options: SqliteOptions): Promise<Store> {
  const writer = new SqliteThread('writer', options)
  const { epoch, loss } = await writer.open().catch(async (error) => {
    await writer.terminate()
    throw error
  })
  if (loss !== undefined) options.onLoss?.(loss)
  return storeOver(writer, await SqliteReaders.open(options), epoch)
}

function storeOver(writer: SqliteThread, reader: SqliteReaders, epoch: string): Store {
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
