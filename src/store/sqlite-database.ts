/**
 * The embedded database itself: synchronous, and so only ever used inside a worker thread.
 * The first connection of a process writes and migrates; further ones are read-only.
 */
import { Database, type SQLQueryBindings, type Statement } from 'bun:sqlite'
import { dirname, join } from 'node:path'
import { encodeEvent, INBOX_ENTRY, inboxBody, type Label } from '../events.ts'
import type {
  Account,
  Id,
  NewEvent,
  Room,
  Session,
  SessionExpiry,
  SignedIn,
  StoredEvent,
  TimelineId,
} from '../types.ts'
import { sqliteMigrations } from './migrations/sqlite.ts'
import { afterPrefix } from './prefix.ts'
import {
  type AppendRow,
  KEY_REUSED,
  NUMBERS_PER_EVENT,
  packEncoded,
  RECORDED,
  REPLAYED,
} from './sqlite-batch.ts'
import { newEpoch, noteLoss, settleLoss, startOver } from './sqlite-epoch.ts'
import { DATABASE_FILE, makeFolder, sync, takeLock } from './sqlite-files.ts'
import type { NamePage, Range } from './store.ts'
import { refuseUnfinished, UNFINISHED } from './unfinished.ts'

/** Older ones can lose a WAL's last transactions when it is reset: sqlite.org/wal.html, §11. */
const SQLITE_VERSION_MIN = '3.51.3'
/** What `PRAGMA synchronous` calls FULL. */
const SYNCHRONOUS_FULL = 2
/** Of a new database; one that was made with another size keeps it. */
export const PAGE_BYTES = 8_192
/** Pages of WAL before they are copied into the database: 32 MiB. */
const WAL_PAGES = 4_096
const CACHE_KIB = 32_768
/** Timelines whose head the writer remembers between batches. */
const HEADS_CACHED_MAX = 100_000

interface Head {
  seq: number
  at: number
  /** Raised in this transaction, to be written before its commit. */
  dirty: boolean
}

type EventRow = [seq: number, type: string, author: Id | null, at: number, body: string]

export class SqliteDatabase {
  readonly #db: Database
  readonly #heads = new Map<TimelineId, Head>()
  readonly #dirty: [TimelineId, Head][] = []
  /** Every statement is prepared once. Bun's own cache ends at twenty. */
  readonly #statements = new Map<string, Statement>()
  #lock: Database | undefined
  /** What was found to be missing when it was opened, in words. */
  loss: string | undefined

  /** Opens for reading only; the writer has made the file before. */
  static openReader(folder: string): SqliteDatabase {
    const db = new Database(join(folder, DATABASE_FILE), { readonly: true, strict: true })
    db.run(`PRAGMA cache_size = -${CACHE_KIB}; PRAGMA busy_timeout = 2000; PRAGMA query_only = ON`)
    return new SqliteDatabase(db)
  }

  /** Opens for writing: as `openForWriting`, and nothing that is unfinished. */
  static openWriter(folder: string): SqliteDatabase {
    const { db, lock, loss } = openForWriting(folder)
    try {
      refuseUnfinished(findMeta(db, UNFINISHED), `The database in ${folder}`)
    } catch (error) {
      db.close()
      lock.close()
      throw error
    }
    const database = new SqliteDatabase(db)
    database.#lock = lock
    database.loss = loss
    return database
  }

  private constructor(db: Database) {
    this.#db = db
  }

  /** What SQLite says it does, whatever it was told. */
  durability(): { journalMode: string; synchronous: number } {
    return durabilityOf(this.#db)
  }

  epoch(): string {
    return this.#one<{ value: string }>("SELECT value FROM meta WHERE name = 'epoch'")!.value
  }

  /** One transaction for the whole batch; see `Store.append`. */
  append(rows: readonly AppendRow[]): Float64Array {
    const results = new Float64Array(rows.length * NUMBERS_PER_EVENT)
    try {
      this.#transaction(() => {
        for (let i = 0; i < rows.length; i++) this.#appendOne(rows[i]!, results, i)
        this.#writeHeads()
      })
    } catch (error) {
      // The heads in memory ran ahead of the database, which has rolled back.
      this.#heads.clear()
      this.#dirty.length = 0
      throw error
    }
    return results
  }

  #appendOne(row: AppendRow, results: Float64Array, index: number): void {
    const [timeline, type, author, at, key, inbox, body] = row
    const offset = index * NUMBERS_PER_EVENT
    const head = this.#head(timeline)
    const seq = head.seq + 1
    const time = Math.max(at, head.at)
    const { changes } = this.#statement(
      'INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    ).run(timeline, seq, type, author, time, body, key)
    if (changes === 0) {
      const original = this.#byKey(timeline, author, key)
      const same = original.type === type && original.body === body
      results[offset] = same ? REPLAYED : KEY_REUSED
      results[offset + 1] = original.seq
      results[offset + 2] = original.at
      return
    }
    this.#raise(timeline, head, time)
    const inboxSeq = inbox === null ? 0 : this.#appendInboxEntry(row, inbox, seq, time)
    results[offset] = RECORDED
    results[offset + 1] = seq
    results[offset + 2] = time
    results[offset + 3] = inboxSeq
  }

  #appendInboxEntry(row: AppendRow, inbox: TimelineId, seq: number, at: number): number {
    const [timeline, type, author, , , , body] = row
    const head = this.#head(inbox)
    const event: NewEvent = { timeline, type, author, at, body }
    this.#statement('INSERT INTO events VALUES (?, ?, ?, NULL, ?, ?, NULL)').run(
      inbox,
      head.seq + 1,
      INBOX_ENTRY,
      at,
      inboxBody(event, seq, at),
    )
    this.#raise(inbox, head, Math.max(at, head.at))
    return head.seq
  }

  #byKey(timeline: TimelineId, author: Id, key: string | null) {
    const original = this.#one<{ seq: number; at: number; type: string; body: string }>(
      'SELECT seq, at, type, body FROM events WHERE timeline = ? AND author = ? AND key = ?',
      timeline,
      author,
      key,
    )
    // The insert can clash with nothing but a key, unless the head does not match the events.
    if (original === null) throw corrupt(`the head of timeline ${timeline} is below its events`)
    return original
  }

  #head(timeline: TimelineId): Head {
    const cached = this.#heads.get(timeline)
    if (cached !== undefined) return cached
    const row = this.#one<{ head: number; last_at: number }>(
      'SELECT head, last_at FROM timelines WHERE id = ?',
      timeline,
    )
    // Cleared whole when full: a miss costs one look-up, and heads in use come back at once.
    if (this.#heads.size >= HEADS_CACHED_MAX && this.#dirty.length === 0) this.#heads.clear()
    const head = { seq: row?.head ?? 0, at: row?.last_at ?? 0, dirty: false }
    this.#heads.set(timeline, head)
    return head
  }

  #raise(timeline: TimelineId, head: Head, at: number): void {
    head.seq += 1
    head.at = at
    if (head.dirty) return
    head.dirty = true
    this.#dirty.push([timeline, head])
  }

  #writeHeads(): void {
    const upsert = this.#statement(
      'INSERT INTO timelines VALUES (?, ?, ?) ' +
        'ON CONFLICT (id) DO UPDATE SET head = excluded.head, last_at = excluded.last_at',
    )
    for (const [timeline, head] of this.#dirty) {
      upsert.run(timeline, head.seq, head.at)
      head.dirty = false
    }
    this.#dirty.length = 0
  }

  /** Events as JSON text: one string crosses threads at half the cost of many objects. */
  list(timeline: TimelineId, range: Range): string {
    const events = this.#range(timeline, range).map(
      ([seq, type, author, at, body]): StoredEvent => ({ timeline, seq, type, author, at, body }),
    )
    return JSON.stringify(events)
  }

  /** Events as `packEncoded` puts them; encoded here, so that the main thread need not. */
  listEncoded(timeline: TimelineId, range: Range, label: Label): string {
    const rows = this.#range(timeline, range)
    return packEncoded(
      rows[0]?.[0] ?? 0,
      rows.map(([seq, type, author, at, body]) =>
        encodeEvent({ seq, type, author, at, body }, label),
      ),
    )
  }

  #range(timeline: TimelineId, range: Range): EventRow[] {
    const select = 'SELECT seq, type, author, at, body FROM events WHERE timeline = ?'
    if ('after' in range) {
      const following = this.#statement(`${select} AND seq > ? ORDER BY seq LIMIT ?`)
      return following.values(timeline, range.after, range.limit) as EventRow[]
    }
    const preceding = this.#statement(`${select} AND seq < ? ORDER BY seq DESC LIMIT ?`)
    return (preceding.values(timeline, range.before, range.limit) as EventRow[]).reverse()
  }

  heads(timelines: readonly TimelineId[]): number[] {
    const sql = 'SELECT head FROM timelines WHERE id = ?'
    return timelines.map((id) => this.#one<{ head: number }>(sql, id)?.head ?? 0)
  }

  createUser(account: Account): boolean {
    const { id, name, passwordHash, createdAt } = account
    const sql = 'INSERT INTO users VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING'
    return this.#run(sql, id, name, passwordHash, createdAt) === 1
  }

  findUser(id: Id) {
    return this.#one('SELECT id, name, created_at AS createdAt FROM users WHERE id = ?', id)
  }

  findAccount(name: string) {
    const columns = 'id, name, created_at AS createdAt, password_hash AS passwordHash'
    return this.#one(`SELECT ${columns} FROM users WHERE name = ?`, name)
  }

  listUsers(page: NamePage) {
    return this.#page('SELECT id, name, created_at AS createdAt FROM users', 'name', page)
  }

  createRoom(room: Room, nameKey: string): boolean {
    const sql = 'INSERT INTO rooms VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING'
    return this.#run(sql, room.id, room.name, nameKey, room.createdAt, room.createdBy) === 1
  }

  findRoom(id: Id) {
    const columns = 'id, name, created_at AS createdAt, created_by AS createdBy'
    return this.#one(`SELECT ${columns} FROM rooms WHERE id = ?`, id)
  }

  listRooms(page: NamePage) {
    const columns =
      'rooms.id, name, name_key AS nameKey, coalesce(head, 0) AS head, ' +
      'created_at AS createdAt, created_by AS createdBy'
    const from = `SELECT ${columns} FROM rooms LEFT JOIN timelines ON timelines.id = rooms.id`
    return this.#page(from, 'name_key', page)
  }

  createSession(session: Session, keep: number): Id[] {
    const { id, userId, tokenHash, userAgent, createdAt, usedAt, expiresAt } = session
    const values = [id, userId, tokenHash, userAgent, createdAt, usedAt, expiresAt]
    const insert = () => this.#run('INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)', ...values)
    // Before it is inserted, so that a session of the same millisecond cannot push out the new one.
    const others = 'user_id = ? AND expires_at > ? ORDER BY created_at DESC, id'
    const sql = `SELECT id FROM sessions WHERE ${others} LIMIT -1 OFFSET ?`
    const surplus = this.#all(sql, userId, createdAt, keep - 1) as { id: Id }[]
    // The usual case is one statement, which is a transaction by itself. Nobody else writes.
    if (surplus.length === 0) insert()
    else
      this.#transaction(() => {
        insert()
        for (const one of surplus) this.deleteSession(one.id, userId)
      })
    return surplus.map((one) => one.id)
  }

  findSession(tokenHash: string): SignedIn | undefined {
    const row = this.#one<SignedInRow>(FIND_SESSION, tokenHash)
    if (row === null) return undefined
    const { userName, userCreatedAt, ...session } = row
    return { session, user: { id: session.userId, name: userName, createdAt: userCreatedAt } }
  }

  listSessions(userId: Id, now: number, limit: number) {
    const where = 'WHERE user_id = ? AND expires_at > ? ORDER BY created_at DESC, id LIMIT ?'
    return this.#all(`SELECT ${SESSION} FROM sessions ${where}`, userId, now, limit)
  }

  deleteSession(id: Id, userId: Id) {
    const sql = `DELETE FROM sessions WHERE id = ? AND user_id = ? RETURNING ${SESSION}`
    return this.#one(sql, id, userId)
  }

  liveSessions(ids: readonly Id[]): SessionExpiry[] {
    const sql = 'SELECT id, expires_at AS expiresAt FROM sessions WHERE id = ?'
    return ids.flatMap((id) => this.#one<SessionExpiry>(sql, id) ?? [])
  }

  touchSession(id: Id, usedAt: number, expiresAt: number): void {
    this.#run('UPDATE sessions SET used_at = ?, expires_at = ? WHERE id = ?', usedAt, expiresAt, id)
  }

  deleteExpiredSessions(now: number, limit: number): number {
    const expired = 'SELECT id FROM sessions WHERE expires_at <= ? LIMIT ?'
    return this.#run(`DELETE FROM sessions WHERE id IN (${expired})`, now, limit)
  }

  /** Takes the write lock and reads, then lets go without a change. */
  check(): void {
    this.#db.run('BEGIN IMMEDIATE')
    try {
      this.epoch()
    } finally {
      this.#db.run('ROLLBACK')
    }
  }

  /** A statement that is not finalized keeps SQLite's connection, its files and its WAL. */
  close(): void {
    for (const statement of this.#statements.values()) statement.finalize()
    this.#statements.clear()
    this.#db.close()
    this.#lock?.close()
  }

  #transaction(work: () => void): void {
    this.#db.run('BEGIN IMMEDIATE')
    try {
      work()
      this.#db.run('COMMIT')
    } catch (error) {
      // SQLite has rolled back by itself after a full disk or an I/O error.
      if (this.#db.inTransaction) this.#db.run('ROLLBACK')
      throw error
    }
  }

  /** A page of a list sorted by `key`, whose alias in the result is the column's own. */
  #page(select: string, key: string, { prefix, after, backwards, limit }: NamePage) {
    const end = afterPrefix(prefix)
    const inPrefix = `${key} >= ?${end === undefined ? '' : ` AND ${key} < ?`}`
    const order = `ORDER BY ${key} ${backwards ? 'DESC' : 'ASC'} LIMIT ?`
    const sql = `${select} WHERE ${inPrefix} AND ${key} ${backwards ? '<' : '>'} ? ${order}`
    const bounds = end === undefined ? [prefix] : [prefix, end]
    const rows = this.#all(sql, ...bounds, after, limit)
    return backwards ? rows.reverse() : rows
  }

  #statement(sql: string): Statement {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#db.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }

  #one<Row>(sql: string, ...values: SQLQueryBindings[]): Row | null {
    return this.#statement(sql).get(...values) as Row | null
  }

  #all(sql: string, ...values: SQLQueryBindings[]): unknown[] {
    return this.#statement(sql).all(...values)
  }

  #run(sql: string, ...values: SQLQueryBindings[]): number {
    return this.#statement(sql).run(...values).changes
  }
}

const SESSION =
  'id, user_id AS userId, token_hash AS tokenHash, user_agent AS userAgent, ' +
  'created_at AS createdAt, used_at AS usedAt, expires_at AS expiresAt'

type SignedInRow = Session & { userName: string; userCreatedAt: number }
const FIND_SESSION = `
  SELECT found.*, users.name AS userName, users.created_at AS userCreatedAt
  FROM (SELECT ${SESSION} FROM sessions WHERE token_hash = ?) AS found
  JOIN users ON users.id = found.userId`

export interface OpenedForWriting {
  db: Database
  /** Held until it is closed: nobody else may open the folder meanwhile. */
  lock: Database
  /** What was found to be missing, in words. */
  loss: string | undefined
}

/** Takes the folder's lock, checks the file, brings the schema up to date. */
export function openForWriting(folder: string): OpenedForWriting {
  refuseOldSqlite(sqliteVersion())
  makeFolder(folder)
  const lock = takeLock(folder)
  const path = join(folder, DATABASE_FILE)
  const loss = noteLoss(path)
  const db = new Database(path, { create: true, strict: true })
  try {
    db.run(`PRAGMA busy_timeout = 2000; PRAGMA page_size = ${PAGE_BYTES}`)
    quickCheck(db, path)
    makeDurable(db, path)
    db.run(`PRAGMA wal_autocheckpoint = ${WAL_PAGES}; PRAGMA cache_size = -${CACHE_KIB}`)
    migrate(db, path)
    if (loss !== undefined) startOver(db)
    settleLog(db, path)
    if (loss !== undefined) settleLoss(path)
    return { db, lock, loss }
  } catch (error) {
    db.close()
    lock.close()
    throw error
  }
}

function findMeta(db: Database, name: string): string | undefined {
  return ask<{ value: string }>(db, 'SELECT value FROM meta WHERE name = ?', name)[0]?.value
}

/** An error that `sqlite-worker.ts` treats like corruption found by SQLite itself. */
function corrupt(what: string): Error {
  return Object.assign(new Error(`The database is damaged: ${what}.`), { code: 'SQLITE_CORRUPT' })
}

/** Asked of an empty database, because ours may be damaged. */
function sqliteVersion(): string {
  const db = new Database(':memory:')
  const [row] = ask<{ version: string }>(db, 'SELECT sqlite_version() AS version')
  db.close()
  return row!.version
}

/** The rows of a statement that is needed once. */
function ask<Row>(db: Database, sql: string, ...values: string[]): Row[] {
  const statement = db.prepare<Row, string[]>(sql)
  try {
    return statement.all(...values)
  } finally {
    statement.finalize()
  }
}

export function refuseOldSqlite(version: string): void {
  if (Bun.semver.order(version, SQLITE_VERSION_MIN) < 0)
    throw new Error(
      `This runtime has SQLite ${version}; Parley needs ${SQLITE_VERSION_MIN} or newer, because ` +
        'older ones can lose committed transactions. Run it with the Bun that npm ci installs.',
    )
}

/**
 * FULL syncs the WAL at every commit, so an acknowledged post survives a power cut. SQLite does not
 * fail when it cannot do as it is told, as with a WAL on a network's file system: so it is asked.
 */
function makeDurable(db: Database, path: string): void {
  db.run('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  const { journalMode, synchronous } = durabilityOf(db)
  if (journalMode !== 'wal' || synchronous !== SYNCHRONOUS_FULL)
    throw new Error(
      `SQLite cannot keep ${path} safely: its journal is in mode "${journalMode}", with ` +
        `synchronous = ${synchronous}. Put DATA_DIR on a local disk.`,
    )
}

/**
 * A process that was killed may have left commits in the log that were never synced. They are in
 * the system's memory, so they are found, and whoever repeats such a post is told that it is
 * stored: so they go into the database, and onto the disk, before anybody is told anything. Only
 * syncing the log is not enough where that had failed before; the kernel then thinks it done.
 */
function settleLog(db: Database, path: string): void {
  const [checkpoint] = ask<{ busy: number }>(db, 'PRAGMA wal_checkpoint(TRUNCATE)')
  // A backup that reads at this moment keeps the log as it is.
  if (checkpoint!.busy !== 0) sync(`${path}-wal`)
  // SQLite does this, too, when it makes the log, but looks past a failure.
  sync(dirname(path))
}

function durabilityOf(db: Database): { journalMode: string; synchronous: number } {
  const [mode] = ask<{ journal_mode: string }>(db, 'PRAGMA journal_mode')
  const [sync] = ask<{ synchronous: number }>(db, 'PRAGMA synchronous')
  return { journalMode: mode!.journal_mode, synchronous: sync!.synchronous }
}

function quickCheck(db: Database, path: string): void {
  let found: string
  try {
    const rows = ask<{ quick_check: string }>(db, 'PRAGMA quick_check(5)')
    found = rows.map((row) => row.quick_check).join('; ')
  } catch (error) {
    found = (error as Error).message
  }
  if (found !== 'ok')
    throw new Error(
      `The database ${path} is damaged (${found}). Parley does not serve it: restore a backup ` +
        'into DATA_DIR, or look at it with the sqlite3 tool.',
    )
}

function migrate(db: Database, path: string): void {
  const from = ask<{ user_version: number }>(db, 'PRAGMA user_version')[0]!.user_version
  if (from > sqliteMigrations.length)
    throw new Error(
      `The database ${path} has schema version ${from}, newer than this Parley knows ` +
        `(${sqliteMigrations.length}). Run the newer Parley, or restore an older backup.`,
    )
  for (let version = from; version < sqliteMigrations.length; version++) {
    const step = `${sqliteMigrations[version]}; PRAGMA user_version = ${version + 1}`
    // If it fails, whoever opens the database closes it again, which rolls back.
    db.run(`BEGIN IMMEDIATE; ${step}; COMMIT`)
  }
  db.run("INSERT INTO meta VALUES ('epoch', ?) ON CONFLICT DO NOTHING", [newEpoch()])
}
