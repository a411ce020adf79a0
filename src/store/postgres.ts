/**
 * The store that many nodes share: PostgreSQL. One connection appends, so that a commit never waits
 * behind a page of history; the others do everything else. Each call is one statement, and so one
 * transaction and one round trip.
 */
import { problem } from '../errors.ts'
import type { Account, Room, RoomWithHead, Session, User } from '../types.ts'
import { postgresMigrations } from './migrations/postgres.ts'
import { append, arrayOf } from './postgres-append.ts'
import { eventsIn } from './postgres-events.ts'
import { PostgresPool } from './postgres-pool.ts'
import { Replica } from './postgres-replica.ts'
import { openDatabase } from './postgres-start.ts'
import { afterPrefix } from './prefix.ts'
import type { NamePage, ReplicaOutcome, Store } from './store.ts'

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database` */
  url: string
  /** At least 2: one appends. */
  connectionsMax: number
  /** The longest that a call may take. */
  timeoutMs: number
  /** Calls that may wait for a connection; past it `overloaded`. */
  queueMax: number
  /** The longest wait for PostgreSQL at the start. */
  startMs: number
  /** A streaming standby to read pages of history from. It need not be there. */
  replica?: ReplicaChoice
}

interface ReplicaChoice {
  url: string
  /** Called with each page that it was asked for. */
  onPage: (outcome: ReplicaOutcome) => void
}

/**
 * Opens the database and brings its schema up to date. Rejects with a sentence for people if it
 * cannot be reached in time, is of a newer schema, or could lose what it has acknowledged.
 */
export async function openPostgres(options: PostgresOptions): Promise<Store> {
  const { url, timeoutMs, queueMax, connectionsMax } = options
  const epoch = await openDatabase(options)
  const replica = replicaOf(options, epoch)
  const greet = replica === undefined ? undefined : replica.meet.bind(replica)
  const limits = { url, timeoutMs, queueMax, greet }
  const appending = new PostgresPool({ ...limits, connectionsMax: 1 })
  const pool = new PostgresPool({ ...limits, connectionsMax: connectionsMax - 1 })
  const events = eventsIn(pool)
  return {
    epoch,
    append: (batch) => append(appending, batch),
    ...(replica === undefined ? events : replica.before(pool, events)),
    ...accountsIn(pool),
    ...roomsIn(pool),
    ...sessionsIn(pool),
    check: () => check(pool),
    close: async () => {
      await Promise.all([appending.close(), pool.close(), replica?.close()])
    },
  }
}

function replicaOf(options: PostgresOptions, epoch: string): Replica | undefined {
  const { replica, timeoutMs, queueMax } = options
  if (replica === undefined) return undefined
  const connectionsMax = options.connectionsMax - 1
  const version = postgresMigrations.length
  return new Replica({ ...replica, timeoutMs, queueMax, connectionsMax, epoch, version })
}

/** A standby, or a database that was made read-only, answers but is of no use for posts. */
async function check(pool: PostgresPool): Promise<void> {
  const sql = "SELECT current_setting('transaction_read_only')::boolean AS only"
  const [answer] = await pool.read<{ only: boolean }>(sql)
  if (answer?.only !== false)
    throw problem('store_unavailable', { retryAfterS: 1, cause: 'the database is read-only' })
}

type Accounts = Pick<Store, 'createUser' | 'findUser' | 'findAccount' | 'listUsers'>

function accountsIn(pool: PostgresPool): Accounts {
  const user = 'id, name, created_at AS "createdAt"'
  return {
    createUser: async ({ id, name, passwordHash, createdAt }) => {
      const values = [id, name, passwordHash, createdAt]
      const sql = 'INSERT INTO users VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING id'
      return (await pool.change(sql, values)).length === 1
    },
    findUser: async (id) => first(pool.read<User>(`SELECT ${user} FROM users WHERE id = $1`, [id])),
    findAccount: async (name) => {
      const sql = `SELECT ${user}, password_hash AS "passwordHash" FROM users WHERE name = $1`
      return first(pool.read<Account>(sql, [name]))
    },
    listUsers: (page) => listPage<User>(pool, `SELECT ${user} FROM users`, 'name', page),
  }
}

type Rooms = Pick<Store, 'createRoom' | 'findRoom' | 'listRooms'>

function roomsIn(pool: PostgresPool): Rooms {
  const room = 'rooms.id, name, created_at AS "createdAt", created_by AS "createdBy"'
  return {
    createRoom: async ({ id, name, createdAt, createdBy }, nameKey) => {
      const values = [id, name, nameKey, createdAt, createdBy]
      const sql =
        'INSERT INTO rooms VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING id'
      return (await pool.change(sql, values)).length === 1
    },
    findRoom: async (id) => first(pool.read<Room>(`SELECT ${room} FROM rooms WHERE id = $1`, [id])),
    listRooms: (page) => {
      const columns = `${room}, name_key AS "nameKey", coalesce(head, 0) AS head`
      const from = 'rooms LEFT JOIN timelines ON timelines.id = rooms.id'
      return listPage<RoomWithHead & { nameKey: string }>(
        ...[pool, `SELECT ${columns} FROM ${from}`, 'name_key', page],
      )
    },
  }
}

/** A page of a list that is sorted by the column `key`. What PostgreSQL keeps never holds a NUL. */
async function listPage<Row>(
  pool: PostgresPool,
  select: string,
  key: string,
  { prefix, after, backwards, limit }: NamePage,
): Promise<Row[]> {
  if (prefix.includes('\0')) return []
  const [start, ...rest] = after.split('\0') as [string, ...string[]]
  const isCut = rest.length > 0
  const end = afterPrefix(prefix)
  const rows = await pool.read<Row>(
    `${select}
     WHERE ${key} >= $1 AND ($2::text IS NULL OR ${key} < $2)
     AND ${key} ${backwards ? '<' : '>'} $3
     ORDER BY ${key} ${backwards ? 'DESC' : 'ASC'} LIMIT $4`,
    [prefix, end ?? null, isCut && backwards ? `${start}\x01` : start, limit],
  )
  return backwards ? rows.reverse() : rows
}

type Sessions = Pick<
  Store,
  | 'createSession'
  | 'findSession'
  | 'listSessions'
  | 'deleteSession'
  | 'liveSessions'
  | 'touchSession'
  | 'deleteExpiredSessions'
>

function sessionsIn(pool: PostgresPool): Sessions {
  const session =
    'id, user_id AS "userId", token_hash AS "tokenHash", user_agent AS "userAgent", ' +
    'created_at AS "createdAt", used_at AS "usedAt", expires_at AS "expiresAt"'
  return {
    createSession: async (one, keep) => {
      const { id, userId, tokenHash, userAgent, createdAt, usedAt, expiresAt } = one
      const values = [id, userId, tokenHash, userAgent, createdAt, usedAt, expiresAt, keep]
      const sql = 'SELECT id FROM create_session(ROW ($1, $2, $3, $4, $5, $6, $7), $8) AS id'
      return (await pool.change<{ id: string }>(sql, values)).map(({ id }) => id)
    },
    findSession: async (tokenHash) => {
      type Row = Session & { userName: string; userCreatedAt: number }
      const row = await first(
        pool.read<Row>(
          `SELECT found.*, users.name AS "userName", users.created_at AS "userCreatedAt"
           FROM (SELECT ${session} FROM sessions WHERE token_hash = $1) AS found
           JOIN users ON users.id = found."userId"`,
          [tokenHash],
        ),
      )
      if (row === undefined) return undefined
      const { userName, userCreatedAt, ...one } = row
      return { session: one, user: { id: one.userId, name: userName, createdAt: userCreatedAt } }
    },
    listSessions: (userId, now, limit) => {
      const where = 'user_id = $1 AND expires_at > $2 ORDER BY created_at DESC, id LIMIT $3'
      return pool.read(`SELECT ${session} FROM sessions WHERE ${where}`, [userId, now, limit])
    },
    deleteSession: async (id, userId) => {
      const sql = `DELETE FROM sessions WHERE id = $1 AND user_id = $2 RETURNING ${session}`
      return first(pool.change<Session>(sql, [id, userId]))
    },
    liveSessions: (ids) =>
      pool.read('SELECT id, expires_at AS "expiresAt" FROM sessions WHERE id = ANY ($1::text[])', [
        arrayOf(ids),
      ]),
    touchSession: async (id, usedAt, expiresAt) => {
      const sql = 'UPDATE sessions SET used_at = $2, expires_at = $3 WHERE id = $1'
      await pool.change(sql, [id, usedAt, expiresAt])
    },
    deleteExpiredSessions: async (now, limit) => {
      // Nodes that do this at the same moment each take others.
      const expired =
        'SELECT id FROM sessions WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED'
      const sql = `DELETE FROM sessions WHERE id IN (${expired}) RETURNING id`
      return (await pool.change(sql, [now, limit])).length
    },
  }
}

async function first<Row>(rows: Promise<Row[]>): Promise<Row | undefined> {
  return (await rows)[0]
}
