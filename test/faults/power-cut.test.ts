/**
 * Whenever the power is cut, what anybody was told is on the disk; and a server that does not wait
 * for the disk is found out. The quick form; the long one is `npm run trials -- --long F2`.
 */
import { expect, test } from 'bun:test'
import { createRandom } from '../client/sim/clock.ts'
import { type Cuts, cutEverywhere } from './cuts.ts'
import { findStrace } from './disk-trace.ts'
import { type Plant, plantedCopy } from './planted.ts'

const strace = await findStrace()
const POSTS = 60

async function cut(plants: readonly Plant[], postsPerLife = POSTS): Promise<Cuts> {
  const copy = plantedCopy(plants)
  const random = createRandom(1)
  try {
    return await cutEverywhere({
      ...{ strace: strace!, command: copy.command, postsPerLife, lives: 1, random },
    })
  } finally {
    copy.remove()
  }
}

test.skipIf(strace === undefined)('wherever the power is cut, what was told is kept', async () => {
  const seed = Date.now()
  const random = createRandom(seed)
  const { cuts, told, faults } = await cutEverywhere({
    ...{ strace: strace!, postsPerLife: POSTS, lives: 2, random },
  })
  expect(faults, `seed ${seed}`).toEqual([])
  expect(told).toBeGreaterThan(2 * POSTS)
  expect(cuts).toBeGreaterThan(20)
})

test.skipIf(strace === undefined)('also while the log is copied, and begun anew', async () => {
  const shortLog = ['src/store/sqlite-database.ts', 'WAL_PAGES = 4_096', 'WAL_PAGES = 40'] as Plant
  const { logs, faults } = await cut([shortLog], 5 * POSTS)
  expect(faults).toEqual([])
  expect(logs).toBeGreaterThan(4)
})

test.skipIf(strace === undefined).each<[string, Plant]>([
  [
    'syncs now and then',
    [
      'src/store/sqlite-database.ts',
      'if (journalMode !== ',
      "db.run('PRAGMA synchronous = NORMAL')\n  if (false && journalMode !== ",
    ],
  ],
  [
    'makes its folder and does not sync what names it',
    ['src/store/sqlite-files.ts', 'if (first !== undefined)', 'if (first === null)'],
  ],
])('a server that %s is found out', async (_, plant) => {
  const { faults } = await cut([plant])
  expect(faults.join('\n')).toContain('nothing kept: lost: ')
})
