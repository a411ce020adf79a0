/** All long forms of the faults, in the order in which they are run. */
import { returning } from './come-back.ts'
import { damagedLog } from './damaged-log.ts'
import { failingDisk } from './failing-disk.ts'
import { fullDisk } from './full-disk.ts'
import { halfOpen } from './half-open.ts'
import { kill } from './kill.ts'
import { lockedRows } from './locked-rows.ts'
import { lostRings } from './lost-rings.ts'
import { lostSessions } from './lost-sessions.ts'
import { million } from './million.ts'
import { neverRead } from './never-read.ts'
import { killedNodes, rollingRestart } from './nodes.ts'
import { powerCut } from './power-cut.ts'
import { repeatedPosts } from './repeated-posts.ts'
import { setClock } from './set-clock.ts'
import type { Trial } from './trial.ts'

export const trials: readonly Trial[] = [
  ...[kill, powerCut, fullDisk, failingDisk, damagedLog, lostSessions, lockedRows, lostRings],
  ...[killedNodes, rollingRestart, neverRead, halfOpen, setClock, repeatedPosts, returning],
  million,
]

/** Those of these names, or all without any. Throws a sentence for a name that nobody knows. */
export function findTrials(names: readonly string[]): readonly Trial[] {
  if (names.length === 0) return trials
  return names.map((name) => {
    const found = trials.find((one) => one.name.toLowerCase() === name.toLowerCase())
    if (found !== undefined) return found
    const known = trials.map((one) => one.name).join(', ')
    throw new Error(`There is no trial ${name}; there are ${known}.`)
  })
}
