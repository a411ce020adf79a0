/** The folder of the embedded store: the database, and the lock of whoever uses it. */
import { Database } from 'bun:sqlite'
import { accessSync, closeSync, constants, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

export const DATABASE_FILE = 'parley.db'

/** Throws a sentence for people if it cannot be made or written. */
export function makeFolder(folder: string): void {
  try {
    // Password hashes and private messages are in there.
    const first = mkdirSync(folder, { recursive: true, mode: 0o700 })
    if (first !== undefined) syncNames(resolve(folder), resolve(first))
    accessSync(folder, constants.R_OK | constants.W_OK)
  } catch (error) {
    throw new Error(
      `The data folder ${folder} cannot be made or written (${(error as Error).message}). Choose ` +
        'another one with DATA_DIR, or give this user the right to write there.',
    )
  }
}

/** After a power cut a new folder is there only if the one that names it was synced. */
function syncNames(folder: string, first: string): void {
  for (let made = folder; made.length >= first.length; made = dirname(made)) sync(dirname(made))
}

/** Waits until a file, or what a folder names, is on the disk. */
export function sync(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/**
 * Two servers on one folder would each announce only their own posts, so the second is refused. The
 * lock is an exclusive transaction on a file of its own: it ends with the process, however it ends.
 */
export function takeLock(folder: string): Database {
  const lock = new Database(join(folder, 'parley.lock'), { create: true })
  try {
    lock.run('BEGIN EXCLUSIVE')
    return lock
  } catch {
    lock.close()
    throw new Error(
      `Another Parley is running on the data in ${folder}. Stop it first, or give this one ` +
        'another folder with DATA_DIR.',
    )
  }
}
