/** A database whose events were split by `deploy/postgres-partitions.sql` is as good as another. */
import { afterAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openPostgres } from '../../src/store/postgres.ts'
import { eventsContract, type StoreHome } from '../contracts/store.ts'
import { recorded } from '../contracts/store-append.ts'
import { failureOf, firstSeqs, message, readAll, textOf } from '../contracts/store-home.ts'
import { findPostgres, PostgresServer } from '../services/postgres.ts'

const programs = await findPostgres()
const server = programs === undefined ? undefined : await PostgresServer.start(programs)

afterAll(() => server?.remove())

const PARTITIONS = 16
const SPLIT = readFileSync(join(import.meta.dir, '../../deploy/postgres-partitions.sql'), 'utf8')

const open = (url: string) =>
  openPostgres({ url, connectionsMax: 4, timeoutMs: 20_000, queueMax: 10_000, startMs: 10_000 })

/** As an operator does it, in one transaction. */
async function split(url: string): Promise<void> {
  const sql = server!.connect(url)
  await sql.begin((transaction) => transaction.unsafe(SPLIT))
  await sql.end()
}

/** Columns and indexes of the events, whole or split. */
async function shapeOf(url: string): Promise<unknown> {
  const sql = server!.connect(url)
  const columns = await sql`
    SELECT column_name, data_type, is_nullable, collation_name FROM information_schema.columns
    WHERE table_name = 'events' ORDER BY ordinal_position`
  const indexes = await sql`
    SELECT indexname, replace(indexdef, 'ON ONLY ', 'ON ') FROM pg_indexes
    WHERE tablename = 'events' ORDER BY indexname`
  await sql.end()
  return [[...columns], [...indexes]]
}

async function makeHome(): Promise<StoreHome> {
  const url = await server!.createDatabase()
  await (await open(url)).close()
  await split(url)
  return { open: () => open(url), remove: () => server!.dropDatabase(url) }
}

describe.skipIf(server === undefined)('with events in partitions', () => {
  eventsContract('PostgreSQL', makeHome)

  test('all that was there is there, keys hold, numbers go on, and a page reads one table', async () => {
    const url = await server!.createDatabase()
    let store = await open(url)
    const rooms = firstSeqs(100).map((n) => `room ${n}`)
    const batch = rooms.map((room) => message(room, 'hello', { key: 'k', inbox: `inbox ${room}` }))
    const before = await store.append(batch)
    const { epoch } = store
    await store.close()
    const whole = await shapeOf(url)
    await split(url)
    expect(await shapeOf(url)).toEqual(whole)

    store = await open(url)
    expect(store.epoch).toBe(epoch)
    const again = await store.append(batch)
    expect(again.map(({ outcome }) => outcome)).toEqual(Array(100).fill('replayed'))
    for (const [index, room] of rooms.entries())
      expect(await readAll(store, room)).toEqual([recorded(before[index]).event])
    await store.append([message('room 1', 'next')])
    expect(await store.heads(['room 1', 'inbox room 1'])).toEqual([2, 1])

    const sql = server!.connect(url)
    const sizes = await sql`SELECT count(*)::int AS n FROM events GROUP BY tableoid`
    expect(sizes).toHaveLength(PARTITIONS)
    const plan = await sql`EXPLAIN SELECT FROM events WHERE timeline = 'room 1' AND seq > 0`
    const tables = new Set(JSON.stringify(plan).match(/events_\d+/g))
    expect(tables.size).toBe(1)
    await sql.end()
    await store.close()
  })

  test('what is split is not split again, and stays as it is', async () => {
    const url = await server!.createDatabase()
    await (await open(url)).close()
    await split(url)
    const store = await open(url)
    await store.append([message('room', 'hello')])
    expect(String(await failureOf(split(url)))).toContain('"events_0" already exists')
    await store.append([message('room', 'still here')])
    expect((await readAll(store, 'room')).map(textOf)).toEqual(['hello', 'still here'])
    await store.close()
  })
})
