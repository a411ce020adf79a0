/**
 * Whether acknowledged posts are really written through to the disk. A process that is killed loses
 * nothing that the system holds in memory, so kills do not tell; the kernel's count of the flushes
 * that a disk has done does (`/proc/diskstats`, Documentation/admin-guide/iostats.rst).
 */
import {
  closeSync,
  fdatasyncSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { ask, signUpPeople } from './accounts.ts'
import type { Durability } from './report.ts'

/** Which field of a line in `/proc/diskstats` counts flushes, from 0; there since Linux 5.5. */
const FLUSHES_FIELD = 18
const WRITES = 40
/** The one with the fewest flushes counts, for others may flush the disk meanwhile. */
const ROUNDS = 3
/** Of so many writes that we flush ourselves, if fewer are counted, the disk does not tell. */
const COUNTED_MIN = 0.9

export interface Flushes {
  posts: number
  flushes: number
}

/** Each post on its own must cause a flush of its own. */
export function durabilityOf(counted: Flushes | undefined): Durability {
  if (counted === undefined)
    return { isUnsafe: false, words: 'does not tell what it has flushed; not checked' }
  const { posts, flushes } = counted
  return {
    isUnsafe: flushes < posts,
    words: `${posts} posts, one after the other: ${flushes} flushes`,
  }
}

/**
 * Posts one message after the other, and counts the flushes meanwhile. Undefined where the disk
 * under `folder` does not count them: there nobody can tell. Whatever else is flushed on that disk
 * at the same time is counted, too, so a machine that is always busy may hide what is missing.
 */
export async function countFlushes(url: string, folder: string): Promise<Flushes | undefined> {
  const count = createFlushCounter(folder)
  if (count === undefined) return undefined
  const [person] = await signUpPeople(() => url, 1)
  const path = `/user/${person!.id}/messages`
  let fewest = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    const before = count()
    for (let i = 0; i < WRITES; i++) await ask(url, path, person!.token, { text: `note ${i}` })
    fewest = Math.min(fewest, count() - before)
  }
  return { posts: WRITES, flushes: fewest }
}

function createFlushCounter(folder: string): (() => number) | undefined {
  const read = counterOf(folder)
  if (read === undefined) return undefined
  const before = read()
  const path = join(folder, 'flushes')
  const file = openSync(path, 'w')
  for (let i = 0; i < WRITES; i++) {
    writeSync(file, 'x')
    fdatasyncSync(file)
  }
  closeSync(file)
  rmSync(path)
  return read() - before >= WRITES * COUNTED_MIN ? read : undefined
}

function counterOf(folder: string): (() => number) | undefined {
  const { dev } = statSync(folder)
  // As glibc packs the two numbers of a device.
  const major = ((dev >> 8) & 0xfff).toString()
  const minor = ((dev & 0xff) | ((dev >> 12) & 0xfff00)).toString()
  const find = () => {
    try {
      const lines = readFileSync('/proc/diskstats', 'utf8').split('\n')
      const fields = lines.map((line) => line.trim().split(/ +/))
      return fields.find(([one, other]) => one === major && other === minor)?.[FLUSHES_FIELD]
    } catch {
      return undefined
    }
  }
  return find() === undefined ? undefined : () => Number(find())
}
