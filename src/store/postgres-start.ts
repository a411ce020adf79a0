/** What is done once, at the start: PostgreSQL is reached, looked at, and brought up to date. */
import { randomBytes } from 'node:crypto'
import { systemClock } from '../clock.ts'
import { postgresMigrations } from './migrations/postgres.ts'
import { PostgresConnection } from './postgres-connection.ts'
import type { ConnectionLost } from './postgres-failures.ts'
import { refuseUnfinished, UNFINISHED } from './unfinished.ts'

/** Older ones lack settings that `append_events` uses, and are no longer maintained. */
const VERSION_MIN = 130_000
/** Where nodes that start at the same moment take turns. Any number that only Parley uses. */
export const SCHEMA_LOCK = 7_277_539
/** The longest that a step of the schema, or another node's turn, may take. */
const MIGRATION_MS = 600_000
const RETRY_MS = 250

/** Resolves with the epoch. Rejects with a sentence for people. */
export async function openDatabase(options: Reach): Promise<string> {
  const connection = await reach(options, 'DATABASE_URL')
  try {
    const epoch = await makeReady(connection)
    const mark = await readMeta(connection, UNFINISHED)
    refuseUnfinished(mark, `The database at ${addressOf(options.url)}`)
    return epoch
  } finally {
    await connection.close()
  }
}

/**
 * Makes sure that the database is safe and has our schema; resolves with the epoch. The connection
 * holds the lock of the schema from then on.
 */
export async function makeReady(connection: PostgresConnection): Promise<string> {
  await refuseUnsafe(connection)
  return migrate(connection)
}

/** How the server is reached. */
interface Reach {
  url: string
  /** The longest that a statement may take. */
  timeoutMs: number
  /** The longest wait for the server. */
  startMs: number
  applicationName?: string
}

/**
 * PostgreSQL may be starting at the same moment as we: so it is given some time. `setting` is what
 * the address was given as, for the sentence with which this rejects.
 */
export async function reach(
  { url, timeoutMs, startMs, ...more }: Reach,
  setting: string,
): Promise<PostgresConnection> {
  const untilMs = systemClock.monotonicMs() + startMs
  const limits = { openMs: timeoutMs, lockMs: MIGRATION_MS, statementMs: MIGRATION_MS }
  for (;;)
    try {
      return await PostgresConnection.open({ url, ...limits, ...more })
    } catch (error) {
      const { code = '', message } = error as ConnectionLost
      // A wrong password or name will not become right by waiting.
      const isFinal = /^(28|3D)/.test(code)
      if (isFinal || systemClock.monotonicMs() + RETRY_MS > untilMs)
        throw new Error(
          `PostgreSQL at ${addressOf(url)} cannot be used (${message}). See that it is running, ` +
            `and that ${setting} has the right host, user, password and database.`,
        )
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
}

/** Without the password. */
export function addressOf(url: string): string {
  const { host, pathname } = new URL(url)
  return `${host}${pathname}`
}

async function refuseUnsafe(connection: PostgresConnection): Promise<void> {
  const names = ['fsync', 'full_page_writes', 'server_encoding', 'server_version_num'] as const
  const settings = names.map((name) => `current_setting('${name}') AS ${name}`)
  const [found] = await connection.run<Record<(typeof names)[number], string>>(
    `SELECT ${settings.join(', ')}`,
    [],
  )
  const { fsync, full_page_writes, server_encoding, server_version_num } = found!
  if (Number(server_version_num) < VERSION_MIN)
    throw new Error('This PostgreSQL is older than version 13: Parley needs 13 or newer.')
  if (fsync !== 'on' || full_page_writes !== 'on')
    throw new Error(
      `This PostgreSQL can lose what it has committed (fsync = ${fsync}, full_page_writes = ` +
        `${full_page_writes}): set both to on, or use another one.`,
    )
  if (server_encoding !== 'UTF8')
    throw new Error(
      `The database has the encoding ${server_encoding}: make one with ENCODING 'UTF8'.`,
    )
}

/** The lock is held by the connection, and ends with it, however it ends. */
async function migrate(connection: PostgresConnection): Promise<string> {
  await connection.script(`SELECT pg_advisory_lock(${SCHEMA_LOCK})`, MIGRATION_MS)
  await connection.script(
    'CREATE TABLE IF NOT EXISTS meta (name text PRIMARY KEY, value text NOT NULL)',
    MIGRATION_MS,
  )
  const from = Number((await readMeta(connection, 'version')) ?? 0)
  const newest = postgresMigrations.length
  if (from > newest)
    throw new Error(
      `The database has schema version ${from}, newer than this Parley knows (${newest}). ` +
        'Run the newer Parley, or restore an older backup.',
    )
  for (let version = from + 1; version <= newest; version++)
    await connection.script(
      `BEGIN; ${postgresMigrations[version - 1]};
       INSERT INTO meta VALUES ('version', '${version}')
       ON CONFLICT (name) DO UPDATE SET value = excluded.value; COMMIT`,
      MIGRATION_MS,
    )
  const epoch = randomBytes(9).toString('base64url')
  await connection.script(
    `INSERT INTO meta VALUES ('epoch', '${epoch}') ON CONFLICT DO NOTHING`,
    MIGRATION_MS,
  )
  return (await readMeta(connection, 'epoch'))!
}

async function readMeta(connection: PostgresConnection, name: string): Promise<string | undefined> {
  const sql = 'SELECT value FROM meta WHERE name = $1'
  const [row] = await connection.run<{ value: string }>(sql, [name])
  return row?.value
}
