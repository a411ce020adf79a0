/**
 * F13: the clock is set a hundred times while people talk: back an hour at the most, forward a day.
 * The order holds, nobody is cut off or signed out, and a wait of a second takes a second.
 */
import { ClockShim } from '../faults/clock.ts'
import { Load } from '../promises/load.ts'
import { Skipped, type Trial } from './trial.ts'

const HOUR_S = 3_600
const DAY_S = 24 * HOUR_S
const HEARTBEAT_MS = 500
const WAIT_MS = 1_000
/** What a busy machine may add. */
const LATE_MS = 1_500

export const setClock: Trial = {
  name: 'F13',
  what: 'the clock is set back up to an hour, or forward up to a day, 100 times',
  minutesMax: 10,
  async run(scene) {
    const shim = ClockShim.build()
    if (shim === undefined) throw new Skipped('it needs Linux and a C compiler')
    scene.afterwards(() => shim.remove())
    const server = await shim.start({ heartbeatMs: HEARTBEAT_MS })
    scene.afterwards(() => server.stopAndForget())
    const load = await Load.start(server, { authors: 1, inFlight: 1 })
    load.run.pauseMs = 5
    const faults: string[] = []
    const times = scene.times(100, 5)
    for (let n = 1; n <= times; n++) {
      const waited = wait(load)
      await scene.moment(WAIT_MS / 2)
      shim.set(scene.below(2) === 0 ? -scene.below(HOUR_S) : scene.below(DAY_S))
      await load.goesOn(5)
      faults.push(...(await waited))
      scene.progress(`set ${n} of ${times} times, ${load.run.acknowledged} posts acknowledged`)
    }
    faults.push(...(await load.faults()))
    if (load.run.readings.length !== load.followers.length) faults.push('a live reader was cut')
    if (load.unknown.length > 0) faults.push('an author was cut')
    for (const { path } of load.spots) {
      const log = await load.run.log(load.reader, path)
      if (log.some(({ at }, i) => i > 0 && at < log[i - 1]!.at))
        faults.push(`a message of ${path} says that it is older than the one before it`)
    }
    return { figures: `set ${times} times, ${load.run.acknowledged} posts acknowledged`, faults }
  },
}

/** A long-poll in a quiet place: what it waits for is only the time. */
async function wait(load: Load): Promise<string[]> {
  const reader = load.run.at(load.reader)
  const startedAt = performance.now()
  const response = await reader.fetch(`/user/${reader.id}/messages?after=0&wait=${WAIT_MS / 1_000}`)
  const tookMs = performance.now() - startedAt
  if (response.status !== 200) return [`a long-poll got ${response.status}`]
  if (tookMs >= WAIT_MS - 10 && tookMs <= WAIT_MS + LATE_MS) return []
  return [`a long-poll of ${WAIT_MS} ms took ${Math.round(tookMs)} ms`]
}
