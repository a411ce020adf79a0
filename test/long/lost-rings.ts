/**
 * F8: NATS is killed, held still and started again under load, between three nodes; and 30 % of its
 * messages are dropped, between nodes that share a process with this trial. Nothing is lost, and
 * what NATS did not bring is there within one look at the heads.
 */
import { Cluster, findClusterPrograms, readMetric } from '../cluster/cluster.ts'
import { LossyCluster } from '../cluster/lossy-nodes.ts'
import { until } from '../harness.ts'
import { Load } from '../promises/load.ts'
import { type Scene, Skipped, type Trial, type Verdict } from './trial.ts'

const HEAD_CHECK_MS = 2_000
/** One look may have been under way, and takes a moment on a busy machine. */
const LATE_MS_MAX = HEAD_CHECK_MS + 1_000
const STILL_MS_MAX = 5_000
const LOSSES = { dropped: 0.3, doubled: 0.1, late: 0.1 }

export const lostRings: Trial = {
  name: 'F8',
  what: 'NATS is killed and held still, 20 times each; 30 % of its messages are dropped',
  minutesMax: 15,
  async run(scene) {
    const programs = await findClusterPrograms()
    if (programs === undefined) throw new Skipped('PostgreSQL or NATS is missing')
    const troubled = await trouble(scene, programs)
    const lossy = await drop(scene, programs.nats)
    return {
      figures: `${troubled.figures}; ${lossy.figures}`,
      faults: [...troubled.faults, ...lossy.faults],
    }
  },
}

async function trouble(
  scene: Scene,
  programs: { nats: string; postgres: string },
): Promise<Verdict> {
  const cluster = await Cluster.start(programs, 3, { headCheckMs: HEAD_CHECK_MS })
  scene.afterwards(() => cluster.remove())
  const reached = () =>
    until(async () => {
      const all = await Promise.all(cluster.nodes.map((node) => readMetric(node, 'bus_connected')))
      return all.every((one) => one === 1)
    }, 'all nodes reach NATS')
  await reached()
  const load = await Load.start(cluster, { inFlight: 1 })
  const rounds = scene.times(20)
  for (let round = 1; round <= rounds; round++) {
    await scene.moment(300)
    await cluster.nats.kill()
    await load.goesOn(100)
    await cluster.nats.restart()
    await reached()
    await scene.moment(300)
    cluster.nats.signal('SIGSTOP')
    await scene.moment(STILL_MS_MAX)
    cluster.nats.signal('SIGCONT')
    await reached()
    scene.progress(`round ${round} of ${rounds}, ${load.run.acknowledged} posts acknowledged`)
  }
  const faults = await load.faults()
  const latestMs = Math.round(load.latestMs)
  if (latestMs > LATE_MS_MAX) faults.push(`an event came ${latestMs} ms after its acknowledgement`)
  const { acknowledged, attempts } = load.run
  if (acknowledged < attempts.length) faults.push('a post was not acknowledged at once')
  const figures =
    `NATS killed and held still ${rounds} times each, ${acknowledged} posts, the latest event ` +
    `${latestMs} ms after its acknowledgement`
  return { figures, faults }
}

async function drop(scene: Scene, program: string): Promise<Verdict> {
  const cluster = await LossyCluster.start(program)
  scene.afterwards(() => cluster.remove())
  const posts = scene.times(10_000, 500)
  const { faults, failures, counts } = await cluster.judge(LOSSES, posts)
  const all = { dropped: 0, doubled: 0, late: 0, unharmed: 0 }
  for (const one of counts) for (const fate of FATES) all[fate] += one[fate]
  const figures = FATES.map((fate) => `${all[fate]} ${fate}`).join(', ')
  return {
    figures: `of the messages about ${3 * posts} posts ${figures}`,
    faults: [...faults.map(({ kind, what }) => `${kind}: ${what}`), ...failures.map(String)],
  }
}

const FATES = ['dropped', 'doubled', 'late', 'unharmed'] as const
