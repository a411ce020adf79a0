/**
 * F7: somebody locks a busy room for half a minute, and then the whole table, which uses up the
 * pool. Everyone is answered within two seconds, told when to come back, and no queue builds up.
 */
import { ServerProcess } from '../harness.ts'
import { Load } from '../promises/load.ts'
import { findPostgres, PostgresServer } from '../services/postgres.ts'
import { type Scene, Skipped, type Trial } from './trial.ts'

const LOCKED_MS = 30_000
const ANSWER_MS = 2_000 + 500
const IN_FLIGHT = 8
const AUTHORS = 2

export const lockedRows: Trial = {
  name: 'F7',
  what: 'a busy room is locked for 30 s, then all rooms are',
  minutesMax: 5,
  async run(scene) {
    const programs = await findPostgres()
    if (programs === undefined) throw new Skipped('PostgreSQL is missing')
    const postgres = await PostgresServer.start(programs)
    scene.afterwards(() => postgres.remove())
    const url = await postgres.createDatabase()
    const server = await ServerProcess.start({ databaseUrl: url })
    scene.afterwards(() => server.stopAndForget())
    const load = await Load.start(server, { authors: AUTHORS, inFlight: IN_FLIGHT })
    load.run.patienceMs = 3 * LOCKED_MS
    const faults: string[] = []
    const timeline = load.spots[0]!.timeline
    for (const lock of [
      `SELECT FROM timelines WHERE id = '${timeline}' FOR UPDATE`,
      'LOCK TABLE timelines IN ACCESS EXCLUSIVE MODE',
    ]) {
      await load.goesOn()
      const other = await postgres.connect(url).reserve()
      await other.unsafe('BEGIN')
      await other.unsafe(lock)
      faults.push(...(await watch(scene, server, load, scene.times(LOCKED_MS, 3_000))))
      await other.unsafe('ROLLBACK')
      other.release()
    }
    await load.goesOn()
    const { run, slowestMs } = load
    const refused = run.attempts.filter(({ outcome }) => outcome === 'failed').length
    faults.push(...(await load.faults()))
    if (slowestMs > ANSWER_MS) faults.push(`an answer took ${Math.round(slowestMs)} ms`)
    if (refused === 0) faults.push('nothing was refused: the locks have not hit')
    const figures =
      `${run.acknowledged} acknowledgements, ${refused} posts refused in words, all answered ` +
      `within ${Math.round(slowestMs)} ms`
    return { figures, faults }
  },
}

/** Posts now and then while the lock is held, and looks at the queue. */
async function watch(scene: Scene, server: ServerProcess, load: Load, ms: number) {
  const faults: string[] = []
  const endsAt = performance.now() + ms
  const author = load.authors[0]!
  while (performance.now() < endsAt) {
    scene.progress(`locked for another ${Math.round((endsAt - performance.now()) / 1_000)} s`)
    const init = { method: 'POST', json: { text: load.run.draft(author.name).text } }
    const startedAt = performance.now()
    // A room of nobody's: the checker knows nothing of these.
    const response = await author.fetch(`/user/${author.id}/messages`, init)
    const tookMs = performance.now() - startedAt
    if (tookMs > ANSWER_MS) faults.push(`a post was answered after ${Math.round(tookMs)} ms`)
    const isIn = response.status === 201
    if (!isIn && !(response.status === 503 && Number(response.headers.get('retry-after')) > 0))
      faults.push(`a post got ${response.status} without a time to come back`)
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    const queued = Number(/^parley_post_queue_events (\d+)/m.exec(metrics)![1])
    // Those who post wait for their answers: as many as are in flight, and no more.
    const queuedMax = load.spots.length * AUTHORS * (IN_FLIGHT + 1) + 1
    if (queued > queuedMax) faults.push(`${queued} posts wait`)
  }
  return faults
}
