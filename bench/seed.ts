/**
 * Messages and accounts by the million, written straight into a server's database before it starts:
 * by way of the server they would take longer than what is to be measured. The schema is made by
 * the server's own store.
 */
import { Database } from 'bun:sqlite'
import { join } from 'node:path'
import { newRoomId, newUserId } from '../src/chat/ids.ts'
import { SqliteDatabase } from '../src/store/sqlite-database.ts'
import { fillingOf, NUMBER_DIGITS } from './generator/texts.ts'

/** Of everything seeded: 2026-01-01. A message is posted each millisecond after it. */
const SEEDED_AT = Date.UTC(2026, 0, 1)
/** Rooms whose messages go into one transaction: it is held in memory until it is written. */
const ROOMS_PER_TRANSACTION = 20
/** Fits no password: nobody signs in as the author of the seeded messages. */
const NO_PASSWORD = `$argon2id$v=19$m=19456,t=2,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`

/**
 * Makes `rooms` rooms with `messages` messages each, of `textBytes` bytes, in the database of
 * `folder`, which no server may have open. The message with seq N says `textOf(N - 1, textBytes)`.
 * Calls `said` now and then with the number of messages written. Returns the ids of the rooms.
 */
export function seedHistory(
  folder: string,
  { rooms, messages, textBytes }: { rooms: number; messages: number; textBytes: number },
  said: (written: number) => void = () => {},
): string[] {
  // In the order of the table, so that each row is put at its end.
  const ids = Array.from({ length: rooms }, newRoomId).sort()
  return withDatabase(folder, (db) => {
    const author = newUserId()
    db.query('INSERT INTO users VALUES (?, ?, ?, ?)').run(
      ...[author, 'historian', NO_PASSWORD, SEEDED_AT],
    )
    const room = db.query('INSERT INTO rooms VALUES (?, ?, ?, ?, ?)')
    const head = db.query('INSERT INTO timelines VALUES (?, ?, ?)')
    const fill = db.query(FILL)
    const before = `{"from":{"id":"${author}","name":"historian"},"text":"`
    const after = `${fillingOf(textBytes)}"}`
    const fillSome = db.transaction((some: string[], from: number) => {
      for (const [i, id] of some.entries()) {
        const name = `archive ${from + i}`
        room.run(id, name, name, SEEDED_AT, author)
        head.run(id, messages, SEEDED_AT + messages)
        fill.run({ messages, id, author, at: SEEDED_AT, before, after })
      }
    })
    for (let i = 0; i < rooms; i += ROOMS_PER_TRANSACTION) {
      const some = ids.slice(i, i + ROOMS_PER_TRANSACTION)
      fillSome(some, i)
      said((i + some.length) * messages)
    }
    return ids
  })
}

/** One statement for all messages of a room: no row crosses from JavaScript. */
const FILL = `
  INSERT INTO events
  WITH RECURSIVE numbers (seq) AS (
    SELECT 1 UNION ALL SELECT seq + 1 FROM numbers WHERE seq < $messages
  )
  SELECT $id, seq, 'message', $author, $at + seq,
    $before || printf('%0${NUMBER_DIGITS}d', seq - 1) || $after, NULL
  FROM numbers`

/**
 * Makes `count` accounts that share the password of an existing one, in the database of `folder`,
 * which no server may have open. Returns their names.
 */
export function seedAccounts(folder: string, like: string, count: number): string[] {
  const names = Array.from({ length: count }, (_, i) => `worker-${i}`)
  return withDatabase(folder, (db) => {
    const insert = db.query(
      'INSERT INTO users SELECT ?, ?, password_hash, created_at FROM users WHERE name = ?',
    )
    db.transaction(() => {
      for (const name of names) {
        const { changes } = insert.run(newUserId(), name, like)
        if (changes !== 1) throw new Error(`There is no account "${like}" to take after.`)
      }
    })()
    return names
  })
}

/** What the server made of an account's password: its parameters are in it. */
export function readPasswordHash(folder: string, name: string): string {
  return withDatabase(folder, (db) => {
    const row = db
      .query<{ hash: string }, [string]>('SELECT password_hash AS hash FROM users WHERE name = ?')
      .get(name)
    if (row === null) throw new Error(`There is no account "${name}".`)
    return row.hash
  })
}

function withDatabase<T>(folder: string, work: (db: Database) => T): T {
  SqliteDatabase.openWriter(folder).close()
  const db = new Database(join(folder, 'parley.db'), { strict: true })
  try {
    // Nothing of it has to survive a crash; the server makes its own writes durable.
    db.run('PRAGMA synchronous = OFF; PRAGMA cache_size = -65536')
    return work(db)
  } finally {
    db.close(true)
  }
}
