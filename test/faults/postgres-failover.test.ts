/**
 * Replicas after a failover: one that was promoted, and one that was left behind with events that
 * the new primary never had, are not read from, for they hold other events under the same seqs.
 */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { openPostgres } from '../../src/store/postgres.ts'
import type { ReplicaOutcome, Store } from '../../src/store/store.ts'
import { Network } from '../browser/proxy.ts'
import { message } from '../contracts/store-home.ts'
import { until } from '../harness.ts'
import { findPostgres, PostgresServer } from '../services/postgres.ts'

const programs = await findPostgres()
const HOOK_MS = 60_000

let primary: PostgresServer
let first: PostgresServer
let second: PostgresServer
let network: Network
let store: Store
let outcomes: ReplicaOutcome[]

const addressOf = (server: PostgresServer) => `http://127.0.0.1:${server.port}`

/** A node whose primary is wherever the network leads. */
function open(replica: PostgresServer): Promise<Store> {
  const onPage = (outcome: ReplicaOutcome) => outcomes.push(outcome)
  const url = new URL(primary.urlOf('postgres'))
  url.port = new URL(network.url).port
  const limits = { connectionsMax: 4, timeoutMs: 20_000, queueMax: 100, startMs: 2_000 }
  return openPostgres({
    url: url.href,
    ...limits,
    replica: { url: replica.urlOf('postgres'), onPage },
  })
}

async function post(to: Store, text: string): Promise<void> {
  await to.append([message('room', text)])
}

async function history(): Promise<string[]> {
  const [head] = await store.heads(['room'])
  const { events } = await store.listEncoded('room', { after: 0, limit: head! }, null)
  return events.map((json) => JSON.parse(json).text)
}

describe.skipIf(programs === undefined)('after a failover', () => {
  beforeEach(async () => {
    primary = await PostgresServer.start(programs!)
    first = await primary.startStandby()
    second = await primary.startStandby()
    network = await Network.to(addressOf(primary))
    outcomes = []
  }, HOOK_MS)

  afterEach(async () => {
    await store.close()
    await network.close()
    for (const server of [second, first, primary]) await server.remove()
  }, HOOK_MS)

  test('a replica that was promoted is not read from, whatever it holds', async () => {
    store = await open(first)
    await post(store, 'in both')
    await first.catchUpWith(primary)
    expect(await history()).toEqual(['in both'])
    expect(outcomes).toEqual(['read'])

    await first.promote()
    const stray = await openPostgres({
      ...{ url: first.urlOf('postgres'), connectionsMax: 2, timeoutMs: 2_000 },
      ...{ queueMax: 100, startMs: 2_000 },
    })
    await post(stray, 'only in the stray one')
    await stray.close()
    await post(store, 'only in the primary')
    expect(await history()).toEqual(['in both', 'only in the primary'])
    expect(outcomes.at(-1)).toBe('unfit')
  })

  /** All have one event, and the second replica is read from. */
  async function beginWithAll(): Promise<void> {
    store = await open(second)
    await post(store, 'in all')
    for (const one of [first, second]) await one.catchUpWith(primary)
    expect(await history()).toEqual(['in all'])
    expect(outcomes).toEqual(['read'])
  }

  /** The first replica becomes the primary, for the node, too. */
  async function failOver(): Promise<void> {
    network.lead(addressOf(first))
    network.cut()
    network.restore()
    const posted = () =>
      post(store, 'after the failover').then(
        () => true,
        () => false,
      )
    await until(posted, 'the new primary takes posts')
  }

  test('a replica that was left behind is not read from, though it is a standby still', async () => {
    await beginWithAll()

    // The first takes over; the second has an event that the first never got.
    await first.promote()
    await post(store, 'lost with the old primary')
    await second.catchUpWith(primary)
    await failOver()

    expect(await history()).toEqual(['in all', 'after the failover'])
    expect(outcomes.at(-1)).toBe('unfit')
  })

  test('a replica that follows the new primary is read from after its next checkpoint', async () => {
    await beginWithAll()
    await first.promote()
    await failOver()
    await second.follow(first)
    await first.sql`CHECKPOINT`
    await second.catchUpWith(first)
    await second.sql`CHECKPOINT`
    const isRead = async () => {
      expect(await history()).toEqual(['in all', 'after the failover'])
      return outcomes.at(-1) === 'read'
    }
    outcomes = []
    await until(isRead, 'it is read from again', HOOK_MS)
  })
})
