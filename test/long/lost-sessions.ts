/**
 * F6: PostgreSQL's sessions are ended at any moment, and within a commit by a trigger; it is
 * restarted, and it crashes. What is unknown is called so, its retry gives exactly one post, and
 * posting is back within five seconds each time.
 */
import { ServerProcess, until } from '../harness.ts'
import { Load } from '../promises/load.ts'
import { findPostgres, PostgresServer } from '../services/postgres.ts'
import { type Scene, Skipped, type Trial } from './trial.ts'

const BACK_MS = 5_000
/** What every answer comes within, and a little for a busy machine. */
const ANSWER_MS = 2_000 + 500
const MS_BETWEEN_MAX = 300

/** One commit in so many ends its own session, at its very end. A sequence counts them. */
const DIE_IN_COMMIT = `
  CREATE SEQUENCE deaths;
  CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF random() < 0.02 THEN
      PERFORM nextval('deaths'); PERFORM pg_terminate_backend(pg_backend_pid());
    END IF;
    RETURN NULL;
  END $$;
  CREATE CONSTRAINT TRIGGER die AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION die()`

export const lostSessions: Trial = {
  name: 'F6',
  what: 'PostgreSQL ends sessions 100 times, and 100 within the commit; 10 restarts, 10 crashes',
  minutesMax: 15,
  async run(scene) {
    const programs = await findPostgres()
    if (programs === undefined) throw new Skipped('PostgreSQL is missing')
    const postgres = await PostgresServer.start(programs)
    scene.afterwards(() => postgres.remove())
    const url = await postgres.createDatabase()
    const server = await ServerProcess.start({ databaseUrl: url })
    scene.afterwards(() => server.stopAndForget())
    const load = await Load.start(server)
    await load.goesOn()
    let slowestBackMs = 0
    const again = async (times: number, what: string, harm: () => Promise<unknown>) => {
      for (let n = 1; n <= times; n++) {
        await scene.moment(MS_BETWEEN_MAX)
        await harm()
        const startedAt = performance.now()
        await load.goesOn(20, BACK_MS)
        slowestBackMs = Math.max(slowestBackMs, performance.now() - startedAt)
        scene.progress(`${what} ${n} of ${times} times, ${load.run.acknowledged} acknowledged`)
      }
    }
    const [terminated, restarts] = [scene.times(100, 5), scene.times(10)]
    await again(terminated, 'sessions ended', () => postgres.terminateSessions(url))
    for (const signal of ['SIGINT', 'SIGKILL'] as const)
      await again(restarts, signal, async () => {
        await postgres.stop(signal)
        await postgres.restart()
      })
    const inCommit = await dieInCommits(scene, postgres, url)
    await load.goesOn(20, BACK_MS)
    const faults = await load.faults()
    if (load.slowestMs > ANSWER_MS) faults.push(`an answer took ${Math.round(load.slowestMs)} ms`)
    const figures =
      `sessions ended ${terminated} times, ${inCommit} within a commit, ${restarts} restarts and ` +
      `${restarts} crashes; ${load.run.acknowledged} acknowledgements, ${load.unknown.length} ` +
      `unknown outcomes retried; back in ${Math.round(slowestBackMs)} ms at the most, answers in ` +
      `${Math.round(load.slowestMs)} ms`
    return { figures, faults }
  },
}

async function dieInCommits(scene: Scene, postgres: PostgresServer, url: string): Promise<number> {
  const sql = postgres.connect(url)
  await sql.unsafe(DIE_IN_COMMIT)
  const goal = scene.times(100, 5)
  const deaths = async () => {
    const [row] = await sql`SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS n FROM deaths`
    scene.progress(`${row!.n} sessions ended within a commit`)
    return Number(row!.n) >= goal && Number(row!.n)
  }
  const counted = await until(deaths, `${goal} sessions end within a commit`, 180_000)
  await until(
    () =>
      sql`DROP TRIGGER die ON events`.then(
        () => true,
        () => false,
      ),
    'no more of them do',
  )
  return counted
}
