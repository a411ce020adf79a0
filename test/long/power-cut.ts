/**
 * F2: the power is cut at every moment at which somebody had just been told something, in two lives
 * of a server of which the first ends with a kill. Once as it is, and once with a short log, so
 * that the log is copied into the database, and begun anew, all the time.
 */
import { cutEverywhere } from '../faults/cuts.ts'
import { findStrace } from '../faults/disk-trace.ts'
import { plantedCopy } from '../faults/planted.ts'
import { type Scene, Skipped, type Trial, type Verdict } from './trial.ts'

const POSTS_PER_LIFE = 2_000

export const powerCut: Trial = {
  name: 'F2',
  what: 'the power is cut at every telling, what was not synced is gone, or some of it',
  minutesMax: 20,
  async run(scene) {
    const strace = await findStrace()
    if (strace === undefined) throw new Skipped('strace is missing')
    const shortLog = plantedCopy([
      ['src/store/sqlite-database.ts', 'WAL_PAGES = 4_096', 'WAL_PAGES = 64'],
    ])
    scene.afterwards(shortLog.remove)
    const asItIs = await cut(scene, strace)
    const often = await cut(scene, strace, shortLog.command)
    return {
      figures: `${asItIs.figures}; with a short log ${often.figures}`,
      faults: [...asItIs.faults, ...often.faults],
    }
  },
}

async function cut(scene: Scene, strace: string, command?: readonly string[]): Promise<Verdict> {
  const { random } = scene
  const { cuts, told, logs, faults } = await cutEverywhere({
    ...{ strace, random, lives: 2, postsPerLife: scene.times(POSTS_PER_LIFE, 50) },
    ...(command && { command }),
    progress: (line) => scene.progress(line),
  })
  const figures =
    `${cuts} cuts in 2 lives, each rebuilt in two ways, ${told} posts told, SQLite's log begun ` +
    `${logs} times`
  return { figures, faults }
}
