/** F9 and F10: three nodes of which one is killed, or all are restarted one after the other. */

import { at, Cluster, findClusterPrograms } from '../cluster/cluster.ts'
import type { ServerProcess } from '../harness.ts'
import { within } from '../harness.ts'
import { Socket } from '../live.ts'
import { Load } from '../promises/load.ts'
import { type Scene, Skipped, type Trial, type Verdict } from './trial.ts'

const POSTS_BETWEEN = 60
const COME_BACK_LATER = 1_012

export const killedNodes: Trial = {
  name: 'F9',
  what: 'one of three nodes is killed under live readers, forty times',
  minutesMax: 15,
  async run(scene) {
    const { cluster, load } = await begin(scene)
    const kills = scene.times(40, 3)
    for (let n = 1; n <= kills; n++) {
      const node = scene.pick(cluster.nodes)
      await scene.moment(100)
      await node.stop('SIGKILL')
      cluster.leave(node)
      await load.goesOn(POSTS_BETWEEN)
      await node.restart()
      cluster.join(node)
      await load.goesOn(POSTS_BETWEEN)
      scene.progress(`killed ${n} of ${kills}, ${load.run.acknowledged} posts acknowledged`)
    }
    return verdictOf(load, `${kills} kills`)
  },
}

export const rollingRestart: Trial = {
  name: 'F10',
  what: 'ten rolling restarts of three nodes under load',
  minutesMax: 15,
  async run(scene) {
    const { cluster, load } = await begin(scene)
    const faults: string[] = []
    const rounds = scene.times(10)
    for (let round = 1; round <= rounds; round++)
      for (const node of cluster.nodes) {
        await load.goesOn(POSTS_BETWEEN)
        cluster.leave(node)
        faults.push(...(await stopInOrder(node, load)))
        await node.restart()
        cluster.join(node)
        scene.progress(`round ${round} of ${rounds}, ${load.run.acknowledged} acknowledged`)
      }
    const verdict = await verdictOf(load, `${rounds} rounds`)
    return { ...verdict, faults: [...faults, ...verdict.faults] }
  },
}

async function begin(scene: Scene) {
  const programs = await findClusterPrograms()
  if (programs === undefined) throw new Skipped('PostgreSQL or NATS is missing')
  const cluster = await Cluster.start(programs, 3)
  scene.afterwards(() => cluster.remove())
  return { cluster, load: await Load.start(cluster, { inFlight: 2 }) }
}

/** SIGTERM; whoever is connected is told to come back, and the node ends well. */
async function stopInOrder(node: ServerProcess, load: Load): Promise<string[]> {
  const faults: string[] = []
  const witness = await Socket.of(at(node, load.reader))
  const code = await node.stop('SIGTERM')
  if (code !== 0) faults.push(`a node ended with exit code ${code}`)
  const closed = await within(witness.closed, 'its WebSocket is closed')
  if (closed.code !== COME_BACK_LATER) faults.push(`a WebSocket was closed with ${closed.code}`)
  return faults
}

async function verdictOf(load: Load, what: string): Promise<Verdict> {
  const faults = await load.faults()
  const { run, unknown } = load
  const figures =
    `${what}, ${run.acknowledged} acknowledgements, ${unknown.length} unknown outcomes retried, ` +
    `${run.readings.length} resumed readings`
  return { figures, faults }
}
