/** PostgreSQL as either end of a migration: one connection, for one statement at a time. */
import { type Deferred, deferred, systemClock } from '../clock.ts'
import {
  DatabaseFailure,
  DISK_IS_FULL,
  type Row,
  type SourceDatabase,
  type Table,
  type TargetDatabase,
  type Value,
} from './migrate-database.ts'
import { postgresMigrations } from './migrations/postgres.ts'
import { arrayOf } from './postgres-append.ts'
import { type PostgresConnection, SERVER_NAME } from './postgres-connection.ts'
import { ConnectionLost, DISK_FULL } from './postgres-failures.ts'
import { addressOf, makeReady, reach, SCHEMA_LOCK } from './postgres-start.ts'
import { refuseUnfinished, UNFINISHED } from './unfinished.ts'

/** The longest wait for PostgreSQL at the start. */
const REACH_MS = 5_000
const CONNECT_MS = 5_000
/** The longest that one statement may take: counting ten million rows, or a page of them. */
const STATEMENT_MS = 600_000
/** How long servers, or a migration that was killed, are given to be gone. */
const GONE_MS = 5_000
const RETRY_MS = 100
/** Where migrations to one database take turns. Any number that only Parley uses. */
const MIGRATE_LOCK = 7_277_540

/** Rows are found by their keys, however few the planner believes to be there. */
const BY_INDEX =
  'SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off; ' +
  'SET idle_in_transaction_session_timeout = 0'

/** Opens it for reading, as of this moment. Rejects with a sentence for people. */
export async function openPostgresSource(url: string): Promise<SourceDatabase> {
  const end = await PostgresEnd.open(url, '--from')
  const begin = async () => {
    await end.refuseServers()
    await end.script('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  }
  return end.orClose(async () => {
    await end.refuseForeign()
    await begin()
    return {
      name: end.name,
      rows: (sql, values) => end.rows(sql, values),
      refresh: async () => {
        await end.script('COMMIT')
        await begin()
      },
      close: () => end.close(),
    }
  })
}

/** Opens it for writing, and brings its schema up to date. Rejects with a sentence for people. */
export async function openPostgresTarget(url: string): Promise<TargetDatabase> {
  const end = await PostgresEnd.open(url, '--to')
  return end.orClose(async () => {
    await end.takeLock()
    await end.refuseServers()
    await end.makeReady()
    return {
      name: end.name,
      rows: (sql, values) => end.rows(sql, values),
      change: async (sql, values) => void (await end.rows(sql, values)),
      insert: (table, rows) => end.insert(table, rows),
      settle: async () => {
        await end.refuseServers()
        // Its planner knows nothing yet of what has come in.
        await end.script('ANALYZE')
      },
      close: () => end.close(),
    }
  })
}

class PostgresEnd {
  readonly name: string
  readonly #connection: PostgresConnection
  /** What is under way; the driver may leave it pending for ever when the connection has ended. */
  #underWay: Deferred<unknown> | undefined

  static async open(url: string, option: string): Promise<PostgresEnd> {
    const limits = { timeoutMs: CONNECT_MS, startMs: REACH_MS }
    const connection = await reach({ url, ...limits, applicationName: 'parley migrate' }, option)
    return new PostgresEnd(url, connection)
  }

  private constructor(url: string, connection: PostgresConnection) {
    this.name = `The PostgreSQL database at ${addressOf(url)}`
    this.#connection = connection
    connection.onLost = () => this.#underWay?.reject(new ConnectionLost('the connection ended'))
  }

  async orClose<T>(work: () => Promise<T>): Promise<T> {
    try {
      await this.script(BY_INDEX)
      return await work()
    } catch (error) {
      await this.close()
      throw error
    }
  }

  async rows(sql: string, values: Row = []): Promise<Row[]> {
    const rows = this.#connection.runForValues(sql, [...values], STATEMENT_MS)
    return (await this.#tell(rows)) as Row[]
  }

  async script(statements: string): Promise<void> {
    await this.#tell(this.#connection.script(statements, STATEMENT_MS))
  }

  /** One array a column. */
  async insert({ name, columns }: Table, rows: readonly Row[]): Promise<void> {
    const arrays = columns.map(({ type }, index) => {
      const values = rows.map((row) => row[index])
      return type === 'bigint' ? `{${values.join(',')}}` : arrayOf(values.map(asText))
    })
    const places = columns.map(({ type }, index) => `$${index + 1}::${type}[]`).join(', ')
    await this.rows(`INSERT INTO ${name} SELECT * FROM unnest(${places})`, arrays)
  }

  /** An earlier migration that was killed holds it until PostgreSQL notices. */
  async takeLock(): Promise<void> {
    const sql = `SELECT pg_try_advisory_lock(${MIGRATE_LOCK})::int AS taken`
    const isTaken = await this.#within(async () => (await this.rows(sql))[0]![0] === 1)
    if (!isTaken)
      throw new Error(`${this.name} is the target of another migration that is still running.`)
  }

  /** Servers are told by the name under which they connect. */
  async refuseServers(): Promise<void> {
    const sql =
      'SELECT count(*) AS servers FROM pg_stat_activity ' +
      'WHERE datname = current_database() AND application_name = $1'
    const areGone = await this.#within(
      async () => (await this.rows(sql, [SERVER_NAME]))[0]![0] === 0,
    )
    if (!areGone)
      throw new Error(`${this.name} is used by a server: stop all nodes, and try again.`)
  }

  async refuseForeign(): Promise<void> {
    const known = postgresMigrations.length
    const [meta] = await this.rows("SELECT count(to_regclass('meta')) AS tables")
    if (meta![0] !== 1) throw new Error(`${this.name} is not one of Parley.`)
    const version = Number((await this.#meta('version')) ?? 0)
    if (version !== known)
      throw new Error(
        `${this.name} has schema version ${version}, and this Parley moves version ${known}. ` +
          (version > known
            ? 'Run the newer Parley.'
            : 'Start a server of this version on it once.'),
      )
    refuseUnfinished(await this.#meta(UNFINISHED), this.name)
  }

  async #meta(name: string): Promise<string | undefined> {
    const [row] = await this.rows('SELECT value FROM meta WHERE name = $1', [name])
    return row?.[0] as string | undefined
  }

  async makeReady(): Promise<void> {
    await makeReady(this.#connection)
    // A server that starts now shall be told that it must not, instead of waiting.
    await this.script(`SELECT pg_advisory_unlock(${SCHEMA_LOCK})`)
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  async #within(isSo: () => Promise<boolean>): Promise<boolean> {
    const untilMs = systemClock.monotonicMs() + GONE_MS
    for (;;) {
      if (await isSo()) return true
      if (systemClock.monotonicMs() > untilMs) return false
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }

  async #tell<T>(answer: Promise<T>): Promise<T> {
    const told = deferred<T>()
    this.#underWay = told as Deferred<unknown>
    answer.then(told.resolve, told.reject)
    try {
      return await told.promise
    } catch (error) {
      // Not the error itself: it carries the statement's values, which are people's words.
      const { code = '', message } = error as { code?: string; message: string }
      throw new DatabaseFailure(this.name, code === DISK_FULL ? DISK_IS_FULL : message)
    }
  }
}

function asText(value: Value | undefined): string | undefined {
  return value === null ? undefined : (value as string)
}
