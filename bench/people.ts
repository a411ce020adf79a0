/**
 * What a load needs before it begins: accounts, sign-ins, rooms. Not measured: a few are made with
 * plain `fetch`; ten thousand, each of which would cost two password hashes, are written straight
 * into the database before the server starts.
 */
import { Database } from 'bun:sqlite'
import { hash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import postgres from 'postgres'
import { SqliteDatabase } from '../src/store/sqlite-database.ts'

/** Enough that no single session is special; each costs two password hashes. */
const USERS = 8
/** Of everyone who is signed up here. */
export const PASSWORD = 'correct horse battery staple'

/** Signs up users and returns their tokens. */
export function signUpUsers(url: string, count = USERS): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => signUp(url, `bench-${i}`)))
}

async function signUp(url: string, name: string): Promise<string> {
  const account = { name, password: PASSWORD }
  await send(`${url}/users`, { method: 'POST', json: account })
  const { token } = await send<{ token: string }>(`${url}/sessions`, {
    method: 'POST',
    json: account,
  })
  return token
}

/** Returns the ids of as many rooms. */
export async function createRooms(url: string, token: string, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let i = 0; i < count; i++) {
    const json = { name: `bench ${i}` }
    const { id } = await send<{ id: string }>(`${url}/rooms`, { method: 'POST', token, json })
    ids.push(id)
  }
  return ids
}

/** The seq of each room's last message, by the room's id, as the server tells it. */
export async function readHeads(url: string, token: string): Promise<Map<string, number>> {
  const rooms = await send<{ id: string; head: number }[]>(`${url}/rooms`, { token })
  return new Map(rooms.map(({ id, head }) => [id, head]))
}

async function send<T>(
  url: string,
  { method = 'GET', token = '', json }: { method?: string; token?: string; json?: unknown },
): Promise<T> {
  const response = await fetch(url, {
    method,
    headers: {
      ...(token !== '' && { authorization: `Bearer ${token}` }),
      ...(json !== undefined && { 'content-type': 'application/json' }),
    },
    ...(json !== undefined && { body: JSON.stringify(json) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${response.status} from ${method} ${url}: ${text}`)
  return JSON.parse(text)
}

/** Of a seeded session: as long as the server's own default. */
const SESSION_MS = 30 * 24 * 3_600_000
/** Fits no password: a seeded user is signed in already. */
const NO_PASSWORD = '!'

export interface Seeded {
  /** One for each user, in the order of their names: `user-0`, `user-1` … */
  tokens: string[]
  /** Ids of the rooms. */
  rooms: string[]
  /** The database's, which a cursor belongs to. */
  epoch: string
}

/**
 * Writes users, a session for each, and rooms into the database of a server that does not run yet.
 * `passwordHash`, if given, is that of every user.
 */
export function seedPeople(
  folder: string,
  { users, rooms, passwordHash = NO_PASSWORD }: SeedOptions,
): Seeded {
  const made = SqliteDatabase.openWriter(folder)
  const epoch = made.epoch()
  made.close()
  const db = new Database(join(folder, 'parley.db'), { strict: true })
  try {
    db.run('BEGIN')
    const seeded = {
      tokens: Array.from({ length: users }, (_, i) => seedUser(db, `user-${i}`, passwordHash)),
      rooms: Array.from({ length: rooms }, (_, i) => seedRoom(db, `room ${i}`)),
      epoch,
    }
    db.run('COMMIT')
    return seeded
  } finally {
    db.close()
  }
}

export interface SeedOptions {
  users: number
  rooms: number
  passwordHash?: string
}

function seedUser(db: Database, name: string, passwordHash: string): string {
  const { token, user, session } = newUser(name, passwordHash)
  db.query('INSERT INTO users VALUES (?, ?, ?, ?)').run(...user)
  db.query('INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)').run(...session)
  return token
}

function seedRoom(db: Database, name: string): string {
  const room = newRoom(name)
  db.query('INSERT INTO rooms VALUES (?, ?, ?, ?, ?)').run(...room)
  return room[0]
}

/** Rows of one statement: each value is one of its at most 65,535. */
const ROWS_A_STATEMENT = 5_000

/** The same into a PostgreSQL, in which a server has made its tables before. */
export async function seedPeopleInPostgres(
  url: string,
  { users, rooms, passwordHash = NO_PASSWORD }: SeedOptions,
): Promise<Omit<Seeded, 'epoch'>> {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  const insert = async (table: string, rows: (string | number)[][]) => {
    for (let at = 0; at < rows.length; at += ROWS_A_STATEMENT)
      await sql`INSERT INTO ${sql(table)} VALUES ${sql(rows.slice(at, at + ROWS_A_STATEMENT))}`
  }
  try {
    const all = Array.from({ length: users }, (_, i) => newUser(`user-${i}`, passwordHash))
    const places = Array.from({ length: rooms }, (_, i) => newRoom(`room ${i}`))
    const rowsOf = (pick: (one: NewUser) => (string | number)[]) => all.map(pick)
    await insert(
      'users',
      rowsOf(({ user }) => user),
    )
    await insert(
      'sessions',
      rowsOf(({ session }) => session),
    )
    await insert('rooms', places)
    // What was written must not be cleaned up in the background while something is measured.
    await sql`VACUUM ANALYZE`
    return { tokens: all.map(({ token }) => token), rooms: places.map(([id]) => id) }
  } finally {
    await sql.end()
  }
}

interface NewUser {
  token: string
  /** Rows of the tables. */
  user: (string | number)[]
  session: (string | number)[]
}

function newUser(name: string, passwordHash: string): NewUser {
  const id = newId('u')
  const token = randomBytes(32).toString('base64url')
  const now = Date.now()
  const session = [newId('s'), id, hash('sha256', token, 'base64url'), 'bench']
  return {
    token,
    user: [id, name, passwordHash, now],
    session: [...session, now, now, now + SESSION_MS],
  }
}

function newRoom(name: string): [id: string, ...rest: (string | number)[]] {
  return [newId('r'), name, name, Date.now(), newId('u')]
}

/** As `src/chat/ids.ts` makes them: ninety-six random bits. */
function newId(kind: string): string {
  return kind + randomBytes(12).toString('base64url')
}
