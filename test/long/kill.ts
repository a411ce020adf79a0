/**
 * F1: `kill -9` at any moment, and between commit and acknowledgement. Every second kill is aimed:
 * the shim kills the process from within, as soon as a sync has returned, when what was posted is
 * on the disk and nobody has been told.
 */

import { DiskShim } from '../faults/disk.ts'
import { ServerProcess } from '../harness.ts'
import { Load } from '../promises/load.ts'
import { findPostgres, PostgresServer } from '../services/postgres.ts'
import { type Scene, Skipped, type Trial, type Verdict } from './trial.ts'

const MS_BEFORE_KILL_MAX = 150
/** An aimed kill comes after one of so many syncs. */
const SYNCS_MAX = 40

export const kill: Trial = {
  name: 'F1',
  what: '500 times kill -9 under load, on SQLite; 50 times on PostgreSQL',
  minutesMax: 20,
  async run(scene) {
    const onSqlite = await killOnSqlite(scene)
    const onPostgres = await killOnPostgres(scene)
    return {
      figures: `SQLite: ${onSqlite.figures}; PostgreSQL: ${onPostgres.figures}`,
      faults: [...onSqlite.faults, ...onPostgres.faults],
    }
  },
}

async function killOnSqlite(scene: Scene): Promise<Verdict> {
  const shim = DiskShim.build()
  if (shim === undefined) throw new Skipped('it needs Linux and a C compiler')
  scene.afterwards(() => shim.remove())
  const server = await shim.start()
  const atAnyMoment = async () => {
    await scene.moment(MS_BEFORE_KILL_MAX)
    await server.stop('SIGKILL')
  }
  const afterSync = async () => {
    shim.begin('dies-after-fsync', 1 + scene.below(SYNCS_MAX))
    await server.exited
  }
  return killOften(scene, server, scene.times(500, 10), (n) =>
    n % 2 === 0 ? atAnyMoment() : afterSync(),
  )
}

async function killOnPostgres(scene: Scene): Promise<Verdict> {
  const programs = await findPostgres()
  if (programs === undefined) return { figures: 'skipped, it is missing', faults: [] }
  const postgres = await PostgresServer.start(programs)
  scene.afterwards(() => postgres.remove())
  const server = await ServerProcess.start({ databaseUrl: await postgres.createDatabase() })
  return killOften(scene, server, scene.times(50, 4), async () => {
    await scene.moment(MS_BEFORE_KILL_MAX)
    await server.stop('SIGKILL')
  })
}

async function killOften(
  scene: Scene,
  server: ServerProcess,
  kills: number,
  killOnce: (n: number) => Promise<void>,
): Promise<Verdict> {
  scene.afterwards(() => server.stopAndForget())
  const load = await Load.start(server, { authors: 3 })
  const { run } = load
  for (let n = 0; n < kills; n++) {
    await killOnce(n)
    await server.restart()
    scene.progress(`killed ${n + 1} of ${kills} times, ${run.acknowledged} posts acknowledged`)
  }
  await load.goesOn()
  const faults = await load.faults()
  const unknown = new Set(load.unknown.map(({ key }) => key)).size
  if (unknown === 0) faults.push('no kill has hit a post that was under way')
  const figures =
    `${kills} kills, ${run.acknowledged} acknowledgements, ${unknown} posts with an unknown ` +
    `outcome, all retried, ${run.replayed} answers that it was there already, ` +
    `${run.readings.length} resumed readings`
  return { figures, faults }
}
