/**
 * A database that lacks what it once held starts over. Its seqs will be given out again, so it gets
 * a new epoch, for which no old cursor is good; and a session that was ended in what is missing
 * must not live again, so all are ended.
 */
import type { Database } from 'bun:sqlite'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { sync } from './sqlite-files.ts'
import { findLoss } from './sqlite-log.ts'

/** There while a loss has been found and the database has not started over yet. */
const LOSS_FILE = 'parley.loss'

export function newEpoch(): string {
  return randomBytes(9).toString('base64url')
}

export function startOver(db: Database): void {
  db.run("UPDATE meta SET value = ? WHERE name = 'epoch'", [newEpoch()])
  db.run('DELETE FROM sessions')
}

/**
 * Looks whether the database at `path` has lost commits; what, in words. To be called before SQLite
 * opens it, which does away with the evidence: so a file keeps it until `settleLoss`. Afterwards
 * nobody may look: a process that closes a file lets go of all its locks on it, SQLite's too.
 */
export function noteLoss(path: string): string | undefined {
  const file = join(dirname(path), LOSS_FILE)
  if (existsSync(file)) return readFileSync(file, 'utf8')
  const loss = findLoss(path)
  if (loss === undefined) return undefined
  writeFileSync(file, loss)
  sync(file)
  sync(dirname(file))
  return loss
}

/** After the database has started over, for good. */
export function settleLoss(path: string): void {
  rmSync(join(dirname(path), LOSS_FILE))
  sync(dirname(path))
}
