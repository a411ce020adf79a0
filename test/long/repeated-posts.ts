/**
 * F14: every post is sent one to five times at once, by HTTP and WebSocket, to different nodes.
 * Each is one message, and every answer names the same seq.
 */
import { at, Cluster, findClusterPrograms } from '../cluster/cluster.ts'
import { signUp } from '../harness.ts'
import { Socket } from '../live.ts'
import { Run, roomSpot } from '../promises/run.ts'
import { Skipped, type Trial } from './trial.ts'

const SENT_MAX = 5
const AT_ONCE = 16

export const repeatedPosts: Trial = {
  name: 'F14',
  what: '20,000 posts, each sent 1 to 5 times, in both ways, to three nodes',
  minutesMax: 10,
  async run(scene) {
    const programs = await findClusterPrograms()
    if (programs === undefined) throw new Skipped('PostgreSQL or NATS is missing')
    const cluster = await Cluster.start(programs, 3)
    scene.afterwards(() => cluster.remove())
    const ada = await signUp(cluster.url)
    const spots = [roomSpot((await ada.createRoom()).id), roomSpot((await ada.createRoom()).id)]
    const runs = cluster.nodes.map((node) => new Run(node))
    const [first] = runs as [Run, ...Run[]]
    const posts = scene.times(20_000, 200)
    let left = posts
    let sent = 0
    const postOn = async () => {
      const sockets = await Promise.all(cluster.nodes.map((node) => Socket.of(at(node, ada))))
      while (left-- > 0) {
        const draft = first.draft(ada.name)
        const spot = scene.pick(spots)
        const tries = Array.from({ length: 1 + scene.below(SENT_MAX) }, () => {
          const node = scene.below(runs.length)
          return scene.below(2) === 0
            ? runs[node]!.tryHttp(ada, spot, draft)
            : runs[node]!.trySocket(sockets[node]!, spot, draft)
        })
        sent += tries.length
        await Promise.all(tries)
        scene.progress(`${posts - left} of ${posts} posts`)
      }
      for (const socket of sockets) socket.close()
    }
    await Promise.all(Array.from({ length: AT_ONCE }, postOn))
    first.attempts.push(...runs.slice(1).flatMap(({ attempts }) => attempts))
    const faults = (await first.faults(ada, spots)).map(({ kind, what }) => `${kind}: ${what}`)
    const unanswered = first.attempts.filter(({ outcome }) => outcome !== 'ok').length
    if (unanswered > 0) faults.push(`${unanswered} tries were not acknowledged`)
    const replays = runs.reduce((sum, { replayed }) => sum + replayed, 0)
    const figures = `${posts} posts sent ${sent} times, ${replays} told that it was there`
    return { figures, faults }
  },
}
