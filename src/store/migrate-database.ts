/**
 * What a migration asks of a database at either end: whole rows, in the order of their keys. Both
 * backends hold the same tables and understand the statements below as they stand, so what is moved
 * and how it is checked is written once. `$1`, `$2` … appear in that order in each statement, for
 * SQLite binds them by their places.
 */

export type Value = string | number | null
export type Row = readonly Value[]
export type Key = readonly Value[]

export interface ReadableDatabase {
  /** Where it is, for people: without a password. */
  readonly name: string
  /**
   * The rows of one statement that changes nothing. Rejects with `DatabaseFailure`; so do all.
   */
  rows(sql: string, values?: Row): Promise<Row[]>
  /** Lets go of it, whatever is under way. */
  close(): Promise<void>
}

/** A database that cannot be read or written, in a sentence that holds no text of anybody's. */
export class DatabaseFailure extends Error {
  constructor(name: string, why: string) {
    super(`${name} cannot be used: ${why}.`)
  }
}

/** What a full disk is called, whichever backend finds it so. */
export const DISK_IS_FULL = 'its disk is full, free some space'

/** Opened for reading only, as of one instant: what is written there later is not seen. */
export interface SourceDatabase extends ReadableDatabase {
  /** From now on what is there now is seen. Rejects if a server has come to use it. */
  refresh(): Promise<void>
}

/** Held so that no second migration can write there. */
export interface TargetDatabase extends ReadableDatabase {
  /** One statement, committed and synced when this resolves. */
  change(sql: string, values: Row): Promise<void>
  /** All of the rows or none of them, committed and synced when this resolves. */
  insert(table: Table, rows: readonly Row[]): Promise<void>
  /** Called once, when everything is there. Rejects if a server has come to use it. */
  settle(): Promise<void>
}

export interface Table {
  name: string
  columns: readonly { name: string; type: 'text' | 'bigint' }[]
  /** How many of the first columns are the primary key, by which it is copied and compared. */
  keyColumns: number
  /** Sorts before every key. */
  start: Key
  /** A column whose texts may be long, so that a page of it is cut by bytes, too. */
  longColumn?: string
}

const text = (name: string) => ({ name, type: 'text' }) as const
const bigint = (name: string) => ({ name, type: 'bigint' }) as const

export const events: Table = {
  name: 'events',
  columns: [
    ...[text('timeline'), bigint('seq'), text('type'), text('author')],
    ...[bigint('at'), text('body'), text('key')],
  ],
  keyColumns: 2,
  start: ['', 0],
  longColumn: 'body',
}

/** All that a server keeps, in the order in which it is copied; `meta` is another affair. */
export const tables: readonly Table[] = [
  byId('users', text('name'), text('password_hash'), bigint('created_at')),
  byId(
    'sessions',
    ...[text('user_id'), text('token_hash'), text('user_agent')],
    ...[bigint('created_at'), bigint('used_at'), bigint('expires_at')],
  ),
  byId('rooms', text('name'), text('name_key'), bigint('created_at'), text('created_by')),
  byId('timelines', bigint('head'), bigint('last_at')),
  events,
]

function byId(name: string, ...columns: Table['columns']): Table {
  return { name, columns: [text('id'), ...columns], keyColumns: 1, start: [''] }
}

/** Rows of one page. */
export const PAGE_ROWS_MAX = 10_000
/** Bytes of the long texts of one page; the row that reaches it is the last one. */
export const PAGE_BYTES_MAX = 4_194_304

/**
 * The rows that follow `after`, by key, page after page. The next is asked for while one is worked
 * on, so that two machines have something to do; there are never more than two.
 */
export async function* pagesOf(
  database: ReadableDatabase,
  table: Table,
  after: Key,
): AsyncGenerator<Row[], void> {
  const statement = pageStatement(table)
  const ask = (last: Row, rowsMax: number) => {
    const page = database.rows(statement, [...last.slice(0, table.keyColumns), rowsMax])
    // It may fail before anybody waits for it; whoever then does hears of it.
    page.catch(() => {})
    return page
  }
  for (let next = ask(after, PAGE_ROWS_MAX); ; ) {
    const rows = await next
    if (rows.length === 0) return
    // A page that was cut by its bytes was measured to its end: the next one is not much longer.
    next = ask(rows.at(-1)!, Math.min(PAGE_ROWS_MAX, 2 * rows.length))
    yield rows
  }
}

function pageStatement({ name, columns, keyColumns, longColumn }: Table): string {
  const names = columns.map((column) => column.name)
  const key = names.slice(0, keyColumns).join(', ')
  const places = Array.from({ length: keyColumns }, (_, i) => `$${i + 1}`).join(', ')
  const rows =
    `SELECT ${names.join(', ')} FROM ${name} WHERE (${key}) > (${places}) ` +
    `ORDER BY ${key} LIMIT $${keyColumns + 1}`
  if (longColumn === undefined) return rows
  const bytes = `octet_length(${longColumn})`
  return (
    `SELECT ${names.join(', ')} FROM (` +
    `SELECT *, sum(${bytes}) OVER (ORDER BY ${key}) - ${bytes} AS bytes_before ` +
    `FROM (${rows}) AS following) AS measured ` +
    `WHERE bytes_before < ${PAGE_BYTES_MAX} ORDER BY ${key}`
  )
}

/** The greatest key: since rows come in the order of keys, all below it are there. */
export async function lastKey(database: ReadableDatabase, table: Table): Promise<Key> {
  const key = table.columns.slice(0, table.keyColumns).map((column) => column.name)
  const order = key.map((name) => `${name} DESC`).join(', ')
  const [last] = await database.rows(
    `SELECT ${key.join(', ')} FROM ${table.name} ORDER BY ${order} LIMIT 1`,
  )
  return last ?? table.start
}

export async function countRows(database: ReadableDatabase, table: Table): Promise<number> {
  const [row] = await database.rows(`SELECT count(*) AS n FROM ${table.name}`)
  return row![0] as number
}

/** What tells a database from another, and from itself after a server has worked on it. */
export interface Fingerprint {
  epoch: string
  users: number
  sessions: number
  sessionsUsedAt: number
  rooms: number
  timelines: number
  events: number
}

export async function fingerprintOf(database: ReadableDatabase): Promise<Fingerprint> {
  const count = (name: string) => `(SELECT count(*) FROM ${name})`
  const [row] = await database.rows(
    `SELECT (SELECT value FROM meta WHERE name = 'epoch') AS epoch,
       ${count('users')} AS users, ${count('sessions')} AS sessions,
       (SELECT coalesce(max(used_at), 0) FROM sessions) AS used_at,
       ${count('rooms')} AS rooms, ${count('timelines')} AS timelines,
       (SELECT CAST(coalesce(sum(head), 0) AS bigint) FROM timelines) AS events`,
  )
  const [epoch, ...numbers] = row as [string, ...number[]]
  const [users, sessions, sessionsUsedAt, rooms, timelines, head] = numbers as Six
  return { epoch, users, sessions, sessionsUsedAt, rooms, timelines, events: head }
}

type Six = [number, number, number, number, number, number]

/** A timeline whose head is not its last event's seq, if there is one. */
export async function findWrongHead(database: ReadableDatabase): Promise<string | undefined> {
  const last = '(SELECT max(seq) FROM events WHERE timeline = timelines.id)'
  const [row] = await database.rows(
    `SELECT id FROM timelines WHERE head <> coalesce(${last}, 0) LIMIT 1`,
  )
  return row?.[0] as string | undefined
}
