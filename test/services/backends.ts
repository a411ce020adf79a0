/** The stories are told once for each backend: whoever uses Parley must not notice which it is. */
import { afterAll, describe } from 'bun:test'
import { ServerProcess } from '../harness.ts'
import { findPostgres, PostgresServer } from './postgres.ts'

/**
 * Longer than by default: there, a PostgreSQL that stands still for half a second while a server
 * connects is taken for one that is away, and what is asked of it is refused.
 */
const PATIENCE = { databaseTimeoutMs: 20_000 }

/** Starts a server on data of its own. */
export type Start = (settings?: Record<string, string | number>) => Promise<ServerProcess>

/**
 * Runs the tests that `tell` makes with SQLite, and with a PostgreSQL that is there for the file.
 * Await it at the top of the file.
 */
export async function onEachBackend(tell: (start: Start) => void): Promise<void> {
  describe('with SQLite', () => tell((settings) => ServerProcess.start(settings)))
  const programs = await findPostgres()
  const postgres = programs === undefined ? undefined : await PostgresServer.start(programs)
  afterAll(() => postgres?.remove())
  describe.skipIf(postgres === undefined)('with PostgreSQL', () => {
    tell(async (settings) =>
      ServerProcess.start({
        ...{ ...PATIENCE, databaseUrl: await postgres!.createDatabase() },
        ...settings,
      }),
    )
  })
}
