/** What the embedded store refuses to open, and in which words; and how safely it writes. */
import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, expect, test } from 'bun:test'
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { sqliteMigrations } from '../../src/store/migrations/sqlite.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { PAGE_BYTES, refuseOldSqlite, SqliteDatabase } from '../../src/store/sqlite-database.ts'
import { failureOf, firstSeqs, message } from '../contracts/store-home.ts'
import { ServerProcess, scratchFolder } from '../harness.ts'

let folder: ReturnType<typeof scratchFolder>
let file: string

beforeEach(() => {
  folder = scratchFolder()
  file = join(folder.path, 'parley.db')
})

afterEach(() => folder.remove())

const open = () =>
  openSqlite({
    folder: folder.path,
    onFatal: () => {},
    timeoutMs: 10_000,
    queueMax: 1_000,
    readersMax: 2,
  })

/** A database with enough in it that each of its trees has several pages. */
async function fill(): Promise<void> {
  const store = await open()
  for (const n of firstSeqs(10))
    await store.append(
      firstSeqs(50).map((i) =>
        message(`room-${n}`, 'x'.repeat(300), { key: `${i}`, inbox: 'inbox' }),
      ),
    )
  await store.close()
}

/** Why the store does not open; and that it does not hold on to the folder's lock. */
async function refusal(): Promise<string> {
  const error = await failureOf(open())
  expect(error).toBeInstanceOf(Error)
  return (error as Error).message
}

function flipBytes(at: number, count: number): void {
  const descriptor = openSync(file, 'r+')
  const bytes = Buffer.alloc(count)
  readSync(descriptor, bytes, 0, count, at)
  for (const [index, byte] of bytes.entries()) bytes[index] = byte ^ 0xff
  writeSync(descriptor, bytes, 0, count, at)
  closeSync(descriptor)
}

test('a database with a damaged page is refused, whichever page it is, and left as it is', async () => {
  await fill()
  const pages = statSync(file).size / PAGE_BYTES
  expect(pages).toBeGreaterThan(25)
  for (const page of [0, 1, 2, Math.floor(pages / 3), Math.floor(pages / 2), pages - 1]) {
    // The first page begins with the file's own header.
    const at = page * PAGE_BYTES + (page === 0 ? 100 : 0)
    flipBytes(at, 8)
    const damaged = readFileSync(file)
    expect(await refusal()).toMatch(/parley\.db is damaged \(.+\)\. .*restore a backup/)
    expect(readFileSync(file).equals(damaged)).toBe(true)
    flipBytes(at, 8)
  }
  const store = await open()
  expect(await store.heads(['room-1', 'inbox'])).toEqual([50, 500])
  await store.close()
})

test('a database that was cut off is refused', async () => {
  await fill()
  truncateSync(file, Math.floor(statSync(file).size / 2 / PAGE_BYTES) * PAGE_BYTES)
  expect(await refusal()).toContain('is damaged')
})

test('a file that is no database is refused', async () => {
  writeFileSync(file, 'This is a letter, not a database. '.repeat(1_000))
  expect(await refusal()).toContain('is damaged')
})

test('a database of a newer schema is refused, and left as it is', async () => {
  await fill()
  const newer = sqliteMigrations.length + 1
  const db = new Database(file)
  db.run(`PRAGMA user_version = ${newer}`)
  db.close()
  const message = await refusal()
  expect(message).toContain(`schema version ${newer}`)
  expect(message).toContain('Run the newer Parley')
  expect(existsSync(`${file}-wal`)).toBe(false)
})

test('a second server on the same folder is refused, in this process and in another', async () => {
  const first = await open()
  expect(await refusal()).toContain(`Another Parley is running on the data in ${folder.path}`)
  await first.append([message('room', 'still served')])
  await first.close()

  const server = await ServerProcess.start({}, folder.path)
  expect(await refusal()).toContain('Another Parley is running')
  await server.stop('SIGKILL')
  // The lock ends with the process, however it ends.
  const store = await open()
  expect(await store.heads(['room'])).toEqual([1])
  await store.close()
})

test('a SQLite that can lose commits is refused, also one whose number only looks newer', () => {
  for (const old of ['3.51.2', '3.9.0', '3.50.99', '2.99.99'])
    expect(() => refuseOldSqlite(old)).toThrow(`This runtime has SQLite ${old}; Parley needs`)
  for (const good of ['3.51.3', '3.51.10', '3.52.0', '3.100.0', '4.0.0'])
    expect(() => refuseOldSqlite(good)).not.toThrow()
})

test('every commit is synced: the journal is a WAL and synchronous is FULL', () => {
  const database = SqliteDatabase.openWriter(folder.path)
  expect(database.durability()).toEqual({ journalMode: 'wal', synchronous: 2 })
  database.close()
})

test('closing lets go of the files: everything is in the database, and no WAL stays behind', async () => {
  await fill()
  expect(existsSync(`${file}-wal`)).toBe(false)
  const db = new Database(file, { readonly: true })
  expect(db.query('SELECT count(*) AS n FROM events').get()).toEqual({ n: 1_000 })
  db.close()
})
