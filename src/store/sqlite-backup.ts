/**
 * Backups of the embedded store. One is a database of its own, taken while the server runs: SQLite
 * copies what is committed at one instant, and posts go on meanwhile. It counts as a backup once it
 * has been opened again and everything in it was found in order.
 */
import { Database } from 'bun:sqlite'
import {
  chmodSync,
  createReadStream,
  createWriteStream,
  existsSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { scriptUrl } from '../scripts.ts'
import { sqliteMigrations } from './migrations/sqlite.ts'
import type { CopyDone, CopyOrder } from './sqlite-copy-worker.ts'
import { startOver } from './sqlite-epoch.ts'
import { DATABASE_FILE, makeFolder, sync, takeLock } from './sqlite-files.ts'
import { UNFINISHED } from './unfinished.ts'

/** What a database holds, as counted in it. */
export interface Contents {
  users: number
  rooms: number
  timelines: number
  events: number
  epoch: string
  bytes: number
}

/** Told now and then how many bytes are there, of about how many. */
export type OnProgress = (bytes: number, ofBytes: number) => void

const PROGRESS_MS = 200

/**
 * Writes a backup of the database in `folder` to `file`, which must not exist yet; a server may be
 * running on it. Throws a sentence for people, and then leaves nothing behind.
 */
export async function backUp(folder: string, file: string, tell: OnProgress): Promise<Contents> {
  const path = join(folder, DATABASE_FILE)
  if (!existsSync(path)) throw new Error(`There is no Parley database in ${folder}.`)
  refuseExisting(file)
  return written(file, async (partial) => {
    const size = () => (existsSync(partial) ? statSync(partial).size : 0)
    const timer = setInterval(() => tell(size(), statSync(path).size), PROGRESS_MS)
    await copied(path, partial).finally(() => clearInterval(timer))
    return inspect(partial)
  })
}

/**
 * Puts a backup into `folder`, where there must be no database. What was said after the backup is
 * gone and its numbers will be given out again, so it gets a new epoch; and a session that was
 * ended after it must not live again, so all are ended. Throws a sentence for people, and then
 * leaves nothing behind.
 */
export async function restore(file: string, folder: string, tell: OnProgress): Promise<Contents> {
  inspect(file)
  makeFolder(folder)
  const lock = takeLock(folder)
  try {
    const path = join(folder, DATABASE_FILE)
    refuseExisting(path)
    // The log of a database that is gone would be taken for that of the restored one.
    refuseExisting(`${path}-wal`)
    // The index of such a log would bear witness of commits that are not missing.
    rmSync(`${path}-shm`, { force: true })
    return await written(path, async (partial) => {
      await copiedBytes(file, partial, tell)
      withDatabase(partial, startOver)
      return inspect(partial)
    })
  } finally {
    lock.close()
  }
}

/**
 * Opens the database in `file`, looks through all of it, and counts. Throws a sentence for people
 * if it is none of ours, if it is damaged, or if a timeline has a hole.
 */
export function inspect(file: string): Contents {
  if (!existsSync(file)) throw new Error(`There is no file ${file}.`)
  let db: Database | undefined
  try {
    db = new Database(file, { readonly: true, strict: true })
    return contentsOf(db, statSync(file).size)
  } catch (error) {
    throw new Error(`${file} cannot be used: ${(error as Error).message}`)
  } finally {
    db?.close()
  }
}

function contentsOf(db: Database, bytes: number): Contents {
  const all = <Row>(sql: string): Row[] => {
    const statement = db.prepare<Row, []>(sql)
    try {
      return statement.all()
    } finally {
      statement.finalize()
    }
  }
  const faults = all<{ integrity_check: string }>('PRAGMA integrity_check(5)')
  const found = faults.map((row) => row.integrity_check).join('; ')
  if (found !== 'ok') throw new Error(`it is damaged (${found}).`)
  const version = all<{ user_version: number }>('PRAGMA user_version')[0]!.user_version
  if (version === 0) throw new Error('it is not a database of Parley.')
  if (version > sqliteMigrations.length)
    throw new Error(`it has schema version ${version}, newer than this Parley knows.`)
  const [unfinished] = all(`SELECT value FROM meta WHERE name = '${UNFINISHED}'`)
  if (unfinished !== undefined) throw new Error('it is part of a migration that has not ended.')
  const [hole] = all<{ id: string }>(HOLES)
  if (hole !== undefined) throw new Error(`timeline ${hole.id} has a hole.`)
  const [counts] = all<Omit<Contents, 'bytes'>>(COUNTS)
  return { ...counts!, bytes }
}

/** Timelines that are not numbered 1, 2, 3 … up to their heads. */
const HOLES = `
  SELECT coalesce(timelines.id, counted.timeline) AS id
  FROM timelines FULL JOIN (
    SELECT timeline, count(*) AS events, min(seq) AS first, max(seq) AS last
    FROM events GROUP BY timeline
  ) AS counted ON counted.timeline = timelines.id
  WHERE head IS NOT last OR events IS NOT last OR first IS NOT 1
  LIMIT 1`

const COUNTS = `
  SELECT (SELECT count(*) FROM users) AS users,
    (SELECT count(*) FROM rooms) AS rooms,
    (SELECT count(*) FROM timelines) AS timelines,
    (SELECT count(*) FROM events) AS events,
    (SELECT value FROM meta WHERE name = 'epoch') AS epoch`

function refuseExisting(file: string): void {
  if (existsSync(file))
    throw new Error(`${file} is there already; nothing is overwritten. Move it away first.`)
}

/** Makes a file under another name, and gives it its own once all of it is on the disk. */
async function written(
  file: string,
  make: (partial: string) => Promise<Contents>,
): Promise<Contents> {
  const partial = `${resolve(file)}.partial`
  // Left by somebody who was interrupted.
  rmSync(partial, { force: true })
  try {
    const contents = await make(partial)
    // Password hashes and private messages are in there.
    chmodSync(partial, 0o600)
    sync(partial)
    renameSync(partial, file)
    sync(dirname(resolve(file)))
    return contents
  } catch (error) {
    rmSync(partial, { force: true })
    throw error
  }
}

function copied(path: string, copy: string): Promise<void> {
  const worker = new Worker(scriptUrl('store/sqlite-copy-worker'))
  return new Promise<void>((done, failed) => {
    worker.onmessage = ({ data }: MessageEvent<CopyDone>) =>
      data === undefined ? done() : failed(new Error(`The database cannot be copied: ${data}.`))
    worker.onerror = ({ message }) => failed(new Error(message))
    worker.postMessage([path, copy] satisfies CopyOrder)
  }).finally(() => worker.terminate())
}

async function copiedBytes(from: string, to: string, tell: OnProgress): Promise<void> {
  const { size } = statSync(from)
  let bytes = 0
  const counting = new Transform({
    transform(chunk: Buffer, _, done) {
      bytes += chunk.length
      tell(bytes, size)
      done(null, chunk)
    },
  })
  await pipeline(createReadStream(from), counting, createWriteStream(to, { mode: 0o600 }))
}

function withDatabase(file: string, work: (db: Database) => void): void {
  const db = new Database(file)
  work(db)
  db.close()
}
