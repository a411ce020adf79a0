/** F3: a small disk is filled to the last byte and freed again, many times, while people post. */
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { mountSmallDisk } from '../faults/disk.ts'
import { ServerProcess, until } from '../harness.ts'
import { Load } from '../promises/load.ts'
import { Skipped, type Trial } from './trial.ts'

const MIB = 1 << 20
const REFUSALS = 50

export const fullDisk: Trial = {
  name: 'F3',
  what: 'a disk is full and is freed, fifty times under load',
  minutesMax: 10,
  async run(scene) {
    const disk = mountSmallDisk(256 * MIB)
    if (disk === undefined) throw new Skipped('no small disk can be mounted')
    scene.afterwards(() => disk.remove())
    const server = await ServerProcess.start({}, join(disk.path, 'data'))
    scene.afterwards(() => server.stop('SIGKILL'))
    const { pid } = server
    const load = await Load.start(server)
    const ballast = join(disk.path, 'ballast')
    const refused = () => load.run.attempts.filter(({ outcome }) => outcome === 'failed').length
    const rounds = scene.times(50, 3)
    for (let round = 1; round <= rounds; round++) {
      await load.goesOn(100)
      const before = refused()
      fill(ballast)
      await until(() => refused() >= before + REFUSALS, 'posts are refused')
      const page = await load.run.at(load.reader).list(load.spots[0]!.path)
      if (page.length === 0) throw new Error('nothing can be read while the disk is full')
      rmSync(ballast)
      scene.progress(`filled ${round} of ${rounds} times, ${load.run.acknowledged} acknowledged`)
    }
    await load.goesOn(100)
    const faults = await load.faults()
    if (server.pid !== pid) faults.push('the server was started again')
    if (load.unknown.length > 0) faults.push(`${load.unknown.length} posts were left unknown`)
    const figures =
      `filled and freed ${rounds} times without a restart, ${load.run.acknowledged} ` +
      `acknowledgements, ${refused()} refusals in words`
    return { figures, faults }
  },
}

/** Writes until nothing more fits. */
function fill(path: string): void {
  const file = openSync(path, 'w')
  try {
    for (let size = MIB; size >= 512; ) {
      const block = Buffer.alloc(size, 'x')
      try {
        if (writeSync(file, block) < size) size /= 2
      } catch {
        size /= 2
      }
    }
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
