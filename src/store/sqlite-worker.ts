/**
 * The thread a SQLite connection lives in. Calls come in as lists of `[id, method, args]`, batches
 * of events as one string, and each message is answered by one with a list of `[id, error,
 * result]`, in the order they came: the next one starts when the last one ends.
 */
import { unpackBatch } from './sqlite-batch.ts'
import { SqliteDatabase } from './sqlite-database.ts'

declare const self: Worker

export type Role = 'writer' | 'reader'
export interface Opened {
  epoch: string
  /** What was found to be missing, in words. */
  loss: string | undefined
}
export type Call = [id: number, method: string, args: unknown[]]
export interface Failure {
  kind: 'storage_full' | 'store_unavailable' | 'fatal'
  message: string
}
export type Answer = [id: number, failure: Failure | null, result: unknown]
export interface Answers {
  answers: Answer[]
  /** What they took this thread in all, in milliseconds. */
  tookMs: number
}

let database: SqliteDatabase

function open(role: Role, folder: string): Opened {
  database =
    role === 'writer' ? SqliteDatabase.openWriter(folder) : SqliteDatabase.openReader(folder)
  return { epoch: database.epoch(), loss: database.loss }
}

self.onmessage = ({ data }: MessageEvent<Call[] | string>) => {
  const startedAt = performance.now()
  const answers = typeof data === 'string' ? [append(data)] : data.map(call)
  const tookMs = performance.now() - startedAt
  self.postMessage({ answers, tookMs } satisfies Answers)
}

function append(packed: string): Answer {
  const { id, rows } = unpackBatch(packed)
  return answerOf(id, 'append', () => database.append(rows))
}

function call([id, method, args]: Call): Answer {
  return answerOf(id, method, () => {
    if (method === 'open') return open(...(args as Parameters<typeof open>))
    const named = database[method as keyof SqliteDatabase] as (...all: unknown[]) => unknown
    return named.apply(database, args)
  })
}

function answerOf(id: number, method: string, work: () => unknown): Answer {
  try {
    return [id, null, work()]
  } catch (error) {
    return [id, failureOf(error, method), undefined]
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
