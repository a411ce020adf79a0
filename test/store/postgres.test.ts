/** PostgreSQL keeps the contract. */
import { afterAll, describe } from 'bun:test'
import { openPostgres } from '../../src/store/postgres.ts'
import { type StoreHome, storeContract } from '../contracts/store.ts'
import { findPostgres, PostgresServer } from '../services/postgres.ts'

const programs = await findPostgres()
const server = programs === undefined ? undefined : await PostgresServer.start(programs)

afterAll(() => server?.remove())

async function makeHome(): Promise<StoreHome> {
  const url = await server!.createDatabase()
  return {
    open: () =>
      openPostgres({
        url,
        connectionsMax: 4,
        timeoutMs: 20_000,
        queueMax: 10_000,
        startMs: 10_000,
      }),
    remove: () => server!.dropDatabase(url),
  }
}

describe.skipIf(server === undefined)('with a PostgreSQL', () => {
  storeContract('PostgreSQL', makeHome)
})
