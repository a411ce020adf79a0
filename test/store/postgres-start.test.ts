/** What the PostgreSQL store refuses to open, in which words; and that many may open it at once. */
import { afterAll, describe, expect, test } from 'bun:test'
import { postgresMigrations } from '../../src/store/migrations/postgres.ts'
import { openPostgres } from '../../src/store/postgres.ts'
import type { Store } from '../../src/store/store.ts'
import { failureOf, message } from '../contracts/store-home.ts'
import { until } from '../harness.ts'
import { findPostgres, PostgresServer } from '../services/postgres.ts'

const programs = await findPostgres()
const server = programs === undefined ? undefined : await PostgresServer.start(programs)

afterAll(() => server?.remove())

const open = (url: string, startMs = 10_000) =>
  openPostgres({ url, connectionsMax: 4, timeoutMs: 20_000, queueMax: 100, startMs })

async function refusal(url: string): Promise<string> {
  const error = await failureOf(open(url, 0))
  expect(error).toBeInstanceOf(Error)
  return (error as Error).message
}

const SECRET = 'hunter2'
const withPassword = (url: string) => url.replace('parley@', `parley:${SECRET}@`)

describe.skipIf(server === undefined)('a PostgreSQL', () => {
  test('that is new gets its schema once, however many nodes start at the same moment', async () => {
    const url = await server!.createDatabase()
    const stores = await Promise.all(Array.from({ length: 8 }, () => open(url)))
    expect(new Set(stores.map((store) => store.epoch)).size).toBe(1)
    expect(stores[0]!.epoch).toMatch(/^[\w-]{12}$/)
    await stores[0]!.append([message('room', 'hello')])
    expect(await stores[7]!.heads(['room'])).toEqual([1])
    await Promise.all(stores.map((store) => store.close()))
    await until(async () => (await server!.sessionsOf(url)) === 0, 'no connection stays behind')
  })

  test('of a newer schema is refused, and left as it is', async () => {
    const url = await server!.createDatabase()
    await (await open(url)).close()
    const newer = String(postgresMigrations.length + 1)
    const database = server!.connect(url)
    await database`UPDATE meta SET value = ${newer} WHERE name = 'version'`
    expect(await refusal(url)).toMatch(/schema version \d+, newer than .*Run the newer Parley/)
    const [row] = await database`SELECT value FROM meta WHERE name = 'version'`
    expect(row!.value).toBe(newer)
  })

  test('whose epoch was renewed, as after a restored backup, opens with the new one', async () => {
    const url = await server!.createDatabase()
    const store = await open(url)
    await store.append([message('room', 'hello')])
    await store.close()
    await server!.connect(url)`DELETE FROM meta WHERE name = 'epoch'`
    const again = await open(url)
    expect(again.epoch).not.toBe(store.epoch)
    expect(await again.heads(['room'])).toEqual([1])
    await again.close()
  })

  test('without the database asked for is refused at once, without the password', async () => {
    const url = withPassword(server!.urlOf('nowhere'))
    const error = String(await failureOf(open(url, 60_000)))
    expect(error).toContain(`127.0.0.1:${server!.port}/nowhere cannot be used`)
    expect(error).toContain('database "nowhere" does not exist')
    expect(error).not.toContain(SECRET)
  })

  test('that cannot be reached is refused after the time given, without the password', async () => {
    const url = withPassword('postgres://parley@127.0.0.1:1/parley')
    const message = await refusal(url)
    expect(message).toMatch(/127\.0\.0\.1:1\/parley cannot be used \(.*ECONNREFUSED/)
    expect(message).toContain('DATABASE_URL')
    expect(message).not.toContain(SECRET)
  })

  test('with another encoding than UTF-8 is refused', async () => {
    const url = await server!.createDatabase("ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    expect(await refusal(url)).toContain('encoding SQL_ASCII')
  })

  test('is never let off its commits: an address that asks for it is refused', async () => {
    const url = await server!.createDatabase()
    expect(await refusal(`${url}?synchronous_commit=off`)).toContain('synchronous_commit = off')
  })

  test('that is set to commit carelessly does not do so to us', async () => {
    const url = await server!.createDatabase()
    const name = new URL(url).pathname.slice(1)
    await server!.sql.unsafe(`ALTER DATABASE ${name} SET synchronous_commit = off`)
    await (await open(url)).close()
  })

  test('that is set to another isolation does not make nodes refuse each other’s rooms', async () => {
    const url = await server!.createDatabase()
    const name = new URL(url).pathname.slice(1)
    await server!.sql.unsafe(
      `ALTER DATABASE ${name} SET default_transaction_isolation = serializable`,
    )
    const nodes = await Promise.all(Array.from({ length: 4 }, () => open(url)))
    const post = async (node: Store) => {
      for (let n = 0; n < 25; n++) await node.append([message('room', 'busy')])
    }
    await Promise.all(nodes.map(post))
    expect(await nodes[0]!.heads(['room'])).toEqual([100])
    await Promise.all(nodes.map((node) => node.close()))
  })

  test('that does not sync what it commits is refused', async () => {
    const url = await server!.createDatabase()
    await server!.stop()
    await server!.restart(['fsync=off'])
    expect(await refusal(url)).toContain('fsync = off')
    await server!.stop()
    await server!.restart(['full_page_writes=off'])
    expect(await refusal(url)).toContain('full_page_writes = off')
  })

  test('that starts at the same moment is waited for', async () => {
    const url = await server!.createDatabase()
    await server!.stop()
    const opening = open(url, 20_000)
    await server!.restart()
    await (await opening).close()
  })
})
