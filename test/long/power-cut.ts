/**
 * F2: the power is cut at every moment at which somebody had just been told something, in two lives
 * of a server of which the first ends with a kill. Each is long enough for SQLite's log to be
 * copied into the database and begun anew on the way.
 */
import { cutEverywhere } from '../faults/cuts.ts'
import { findStrace } from '../faults/disk-trace.ts'
import { Skipped, type Trial } from './trial.ts'

export const powerCut: Trial = {
  name: 'F2',
  what: 'the power is cut at every telling, what was not synced is gone, or some of it',
  minutesMax: 20,
  async run(scene) {
    const strace = await findStrace()
    if (strace === undefined) throw new Skipped('strace is missing')
    const { random } = scene
    const { cuts, told, logs, faults } = await cutEverywhere({
      ...{ strace, random, lives: 2, postsPerLife: scene.times(3_500, 50) },
      progress: (line) => scene.progress(line),
    })
    const figures =
      `${cuts} cuts in 2 lives, each rebuilt in two ways, ${told} posts told, ` +
      `SQLite's log begun ${logs} times`
    return { figures, faults }
  },
}
