/**
 * The thread a SQLite connection lives in. Calls come in as `[id, method, args]`, batches of events
 * as one string, and all go out as `[id, error, result]`, in the order they came: the next one
 * starts when the last one ends.
 */
import { unpackBatch } from './sqlite-batch.ts'
import { SqliteDatabase } from './sqlite-database.ts'

declare const self: Worker

export type Role = 'writer' | 'reader'
export type Call = [id: number, method: string, args: unknown[]]
export interface Failure {
  kind: 'storage_full' | 'store_unavailable' | 'fatal'
  message: string
}
export type Answer = [id: number, failure: Failure | null, result: unknown]

let database: SqliteDatabase

function open(role: Role, folder: string): string {
  database =
    role === 'writer' ? SqliteDatabase.openWriter(folder) : SqliteDatabase.openReader(folder)
  return database.epoch()
}

self.onmessage = ({ data }: MessageEvent<Call | string>) => {
  if (typeof data === 'string') {
    const { id, rows } = unpackBatch(data)
    return answer(id, 'append', () => database.append(rows))
  }
  const [id, method, args] = data
  answer(id, method, () => {
    if (method === 'open') return open(...(args as Parameters<typeof open>))
    const call = database[method as keyof SqliteDatabase] as (...all: unknown[]) => unknown
    return call.apply(database, args)
  })
}

function answer(id: number, method: string, work: () => unknown): void {
  try {
    self.postMessage([id, null, work()] satisfies Answer)
  } catch (error) {
    self.postMessage([id, failureOf(error, method), undefined] satisfies Answer)
  }
}

/**
 * What an error of SQLite means. After a failed fsync the kernel may have dropped the pages that it
 * could not write, so nobody can say what is on the disk, and trying again proves nothing
 * (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
 */
function failureOf(error: unknown, method: string): Failure {
  const { code = '', message = String(error) } = error as { code?: string; message?: string }
  if (method === 'open' || /FSYNC|CORRUPT|NOTADB/.test(code)) return { kind: 'fatal', message }
  if (code === 'SQLITE_FULL') return { kind: 'storage_full', message }
  if (/^SQLITE_(READONLY|IOERR|BUSY|LOCKED|CANTOPEN|NOMEM|PERM)/.test(code))
    return { kind: 'store_unavailable', message }
  return { kind: 'fatal', message: `${method}: ${code} ${message}` }
}
