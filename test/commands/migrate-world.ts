/** Databases to migrate: filled, looked into, and compared. */
import { Database } from 'bun:sqlite'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Sql } from 'postgres'
import { openPostgres } from '../../src/store/postgres.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { ADA, BOB, message } from '../contracts/store-home.ts'
import { scratchFolder } from '../harness.ts'
import type { PostgresServer } from '../services/postgres.ts'

const undo: (() => unknown)[] = []

export function scratch(): string {
  const { path, remove } = scratchFolder()
  undo.push(remove)
  return path
}

/** What is to be done when the test is over, the last first. */
export function afterwards(work: () => unknown): void {
  undo.push(work)
}

export async function cleanUp(): Promise<void> {
  for (const one of undo.splice(0).reverse()) await one()
}

export const open = (folder: string) =>
  openSqlite({
    folder,
    timeoutMs: 20_000,
    queueMax: 1_000,
    readersMax: 1,
    onFatal: (error) => {
      throw error
    },
  })

/** Texts that a database may trip over. */
const ODD = [
  '{"a,b"}',
  '\\N',
  'a\tb\nc',
  "it's",
  '\\"',
  '👍🏽 ẞ İ',
  '\uffff',
  '\u0000',
  '   ',
  'NULL',
]

/**
 * A folder with two people, three rooms with so many events each, of which every other one has a
 * key, and a direct conversation of ten.
 */
export async function filled(eventsPerRoom: number): Promise<string> {
  const folder = scratch()
  const store = await open(folder)
  for (const [id, name] of [
    [ADA, 'ada'],
    [BOB, 'bob'],
  ] as const) {
    await store.createUser({ id, name, passwordHash: `$argon2id$${name}`, createdAt: 1_000 })
    await store.createSession(
      {
        ...{ id: `s${name}`, userId: id, tokenHash: `hash of ${name}`, userAgent: ODD[4]! },
        ...{ createdAt: 1_000, usedAt: 2_000, expiresAt: 9e15 },
      },
      10,
    )
  }
  for (const room of ['rA', 'rB', 'rC']) {
    const named = { id: room, name: `Room ${room} "\\`, createdAt: 1_000, createdBy: ADA }
    await store.createRoom(named, room)
    const batch = Array.from({ length: eventsPerRoom }, (_, n) =>
      message(room, `${n} ${ODD[n % ODD.length]}`, {
        ...{ author: n % 3 === 0 ? BOB : ADA, at: 1_000 + n },
        ...(n % 2 === 0 ? { key: `${ODD[n % ODD.length]!.replace('\u0000', '')} ${n}` } : {}),
      }),
    )
    await store.append(batch)
  }
  for (let n = 0; n < 10; n++)
    await store.append([message('dAB', `${n}`, { inbox: 'iBBBBBBBBBBBBBBBB' })])
  await store.close()
  return folder
}

/** A new database that has its schema already, and is empty. */
export async function emptyPostgres(postgres: PostgresServer): Promise<string> {
  const url = await postgres.createDatabase()
  const limits = { connectionsMax: 2, timeoutMs: 5_000, startMs: 5_000, queueMax: 10 }
  await (await openPostgres({ url, ...limits })).close()
  return url
}

const ORDERS = {
  meta: 'name',
  users: 'id',
  sessions: 'id',
  rooms: 'id',
  timelines: 'id',
  events: 'timeline, seq',
}

/** All rows of all tables. The versions of the two schemas are each its own affair. */
export type Dump = Record<string, Record<string, unknown>[]>

export function dumpSqlite(folder: string): Dump {
  const db = new Database(join(folder, 'parley.db'))
  const tables = Object.entries(ORDERS).map(([name, order]) => {
    return [name, db.query(`SELECT * FROM ${name} ORDER BY ${order}`).all()]
  })
  db.close()
  return Object.fromEntries(tables)
}

export async function dumpPostgres(sql: Sql): Promise<Dump> {
  const dump: Dump = {}
  for (const [name, order] of Object.entries(ORDERS)) {
    const rows = await sql.unsafe(`SELECT * FROM ${name} ORDER BY ${order}`)
    const ours = name === 'meta' ? rows.filter((row) => row.name !== 'version') : rows
    dump[name] = ours.map((row) => Object.fromEntries(Object.entries(row).map(asNumber)))
  }
  return dump
}

/** The driver gives 64-bit integers as texts. */
function asNumber([name, value]: [string, unknown]): [string, unknown] {
  return [name, /(^|_)(at|seq|head)$/.test(name) ? Number(value) : value]
}

/** What tells whether anything was written: the database and its log, byte for byte. */
export function bytesOf(folder: string): string[] {
  return ['parley.db', 'parley.db-wal'].map((name) => {
    const path = join(folder, name)
    if (!existsSync(path)) return `no ${name}`
    return createHash('sha256').update(readFileSync(path)).digest('hex')
  })
}
