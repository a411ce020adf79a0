/**
 * F12: peers that are gone without a word, while the room is busy: some read and answer no ping,
 * some take no bytes at all. With the settings as they come each is cut within 45 seconds, and
 * those who answer stay.
 */
import { metric } from '../faults/crowd.ts'
import { RawConnection } from '../faults/raw-socket.ts'
import { ServerProcess, until } from '../harness.ts'
import { Load } from '../promises/load.ts'
import type { Trial } from './trial.ts'

const REAPED_MS = 45_000
const EACH = 20
const POSTS_EACH_MS = 20

export const halfOpen: Trial = {
  name: 'F12',
  what: 'half-open connections in a busy room are reaped within 45 s',
  minutesMax: 3,
  async run(scene) {
    const server = await ServerProcess.start()
    scene.afterwards(() => server.stopAndForget())
    const load = await Load.start(server, { authors: 1, inFlight: 1 })
    load.run.pauseMs = POSTS_EACH_MS
    const { reader, spots } = load
    const path = `${spots[0]!.path}/subscribe?after=0`
    const silent: RawConnection[] = []
    for (let i = 0; i < EACH; i++) silent.push(await RawConnection.socket(reader, path))
    const deaf: RawConnection[] = []
    for (let i = 0; i < EACH; i++) deaf.push(await RawConnection.socket(reader, path))
    for (const one of deaf) one.stopReading()
    const startedAt = performance.now()
    const reaped = async () => {
      const causes = ['dead', 'too_slow'].map((cause) =>
        metric(server.url, `connections_dropped_total{cause="${cause}"}`),
      )
      const [dead, slow] = (await Promise.all(causes)) as [number, number]
      scene.progress(`${dead + slow} of ${2 * EACH} are reaped`)
      return dead + slow >= 2 * EACH
    }
    await until(reaped, 'all are reaped', 2 * REAPED_MS)
    const tookMs = performance.now() - startedAt
    const faults = await load.faults()
    if (tookMs > REAPED_MS) faults.push(`the last was reaped after ${Math.round(tookMs)} ms`)
    // Whoever answers was never cut, so has read in one go.
    if (load.run.readings.length !== load.followers.length) faults.push('a live reader was cut')
    for (const one of [...silent, ...deaf]) one.destroy()
    const figures =
      `${2 * EACH} half-open connections reaped within ${(tookMs / 1_000).toFixed(1)} s, ` +
      `${load.run.acknowledged} posts meanwhile`
    return { figures, faults }
  },
}
