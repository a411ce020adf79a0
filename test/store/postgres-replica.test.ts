/**
 * A store that reads pages of history from a replica answers as one that does not. The replica is a
 * real standby: it lags, goes silent, is promoted, and is left behind by a failover.
 */
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { openPostgres } from '../../src/store/postgres.ts'
import { KNOWN_HEADS_MAX } from '../../src/store/postgres-replica.ts'
import type { Range, ReplicaOutcome, Store } from '../../src/store/store.ts'
import { readingContract, type StoreHome } from '../contracts/store.ts'
import { failureOf, firstSeqs, message } from '../contracts/store-home.ts'
import { ServerProcess, signUp, until } from '../harness.ts'
import { findPostgres, PostgresServer } from '../services/postgres.ts'
import { expectSoon, msOf } from '../soon.ts'

const TIMEOUT_MS = 2_000
/** Timers are late, and by more on a busy machine; what is wrong is late by far more than this. */
const LATE_MS = 400
/** A little less than in the source, for timers are not exact. */
const PAUSE_MS = 4_900

const programs = await findPostgres()
const server = programs === undefined ? undefined : await PostgresServer.start(programs)
const standby = await server?.startStandby()

afterAll(async () => {
  await standby?.remove()
  await server?.remove()
})

/** What came of each page that a replica was asked for. */
let outcomes: ReplicaOutcome[] = []

/** A store at `url` whose replica is the same database at `replica`. By default nobody hurries. */
function open(
  url: string,
  replica: PostgresServer,
  { timeoutMs = 20_000, connectionsMax = 4 } = {},
): Promise<Store> {
  const name = new URL(url).pathname.slice(1)
  const onPage = (outcome: ReplicaOutcome) => outcomes.push(outcome)
  const limits = { connectionsMax, timeoutMs, queueMax: 10_000, startMs: 10_000 }
  return openPostgres({ url, ...limits, replica: { url: replica.urlOf(name), onPage } })
}

async function pageOf(store: Store, range: Range): Promise<string[]> {
  const { firstSeq, events } = await store.listEncoded('room', range, null)
  return events.map((json, index) => {
    const { seq, text } = JSON.parse(json)
    expect(seq).toBe(firstSeq + index)
    return text
  })
}

const texts = (from: number, to: number, prefix = 'post') =>
  firstSeqs(to)
    .slice(from - 1)
    .map((n) => `${prefix} ${n}`)

const post = (store: Store, ...all: string[]) =>
  store.append(all.map((text) => message('room', text)))

describe.skipIf(server === undefined)('with a replica that follows at its own pace', () => {
  const makeHome = async (): Promise<StoreHome> => {
    const url = await server!.createDatabase()
    await standby!.catchUpWith(server!)
    return {
      open: () => open(url, standby!),
      remove: () => server!.dropDatabase(url),
    }
  }

  readingContract('PostgreSQL', makeHome)
})

describe.skipIf(server === undefined)('a page of history', () => {
  let url: string
  let store: Store

  beforeEach(async () => {
    url = await server!.createDatabase()
    store = await open(url, standby!)
    outcomes = []
    await post(store, ...texts(1, 20))
    await standby!.catchUpWith(server!)
  })

  afterEach(async () => {
    for (const one of [server!, standby!]) one.thaw()
    await standby!.sql`SELECT pg_wal_replay_resume()`
    await store.close()
    await server!.dropDatabase(url)
  })

  /** As a node is by default, or with other limits; it has read from the replica before. */
  async function inHaste(limits: Parameters<typeof open>[2] = {}): Promise<void> {
    await store.close()
    store = await open(url, standby!, { timeoutMs: TIMEOUT_MS, ...limits })
    await store.heads(['room'])
    const isAsked = async () => {
      outcomes = []
      await pageOf(store, { after: 0, limit: 1 })
      return outcomes[0] === 'read'
    }
    await until(isAsked, 'the replica is read from')
    outcomes = []
  }

  test('comes from the replica once the primary has told a head at or beyond its end', async () => {
    expect(await pageOf(store, { after: 0, limit: 5 })).toEqual(texts(1, 5))
    expect(outcomes).toEqual([])
    await store.heads(['room'])
    for (const [range, first, last] of [
      [{ after: 0, limit: 5 }, 1, 5],
      [{ after: 15, limit: 5 }, 16, 20],
      [{ after: 0, limit: 20 }, 1, 20],
      [{ before: 21, limit: 5 }, 16, 20],
      [{ before: 21, limit: 20 }, 1, 20],
      [{ before: 4, limit: 100 }, 1, 3],
    ] as const) {
      outcomes = []
      expect(await pageOf(store, range)).toEqual(texts(first, last))
      expect(outcomes).toEqual(['read'])
    }
  })

  test('that could be fuller comes from the primary, and so does one that nobody vouches for', async () => {
    await store.heads(['room'])
    const other = await open(url, standby!)
    await post(other, ...texts(21, 30))
    await other.close()
    await standby!.catchUpWith(server!)

    // The replica has it all, but as far as this node was told the log ends with 20.
    expect(await pageOf(store, { after: 18, limit: 3 })).toEqual(texts(19, 21))
    expect(outcomes).toEqual([])
    expect(await pageOf(store, { after: 28, limit: 5 })).toEqual(texts(29, 30))
    expect(await pageOf(store, { after: 30, limit: 5 })).toEqual([])
    expect(await pageOf(store, { before: 40, limit: 2 })).toEqual(texts(29, 30))
    expect(await pageOf(store, { before: 1, limit: 5 })).toEqual([])
    expect(await pageOf(store, { after: -1, limit: 1 })).toEqual(texts(1, 1))
    expect(outcomes).toEqual([])
  })

  test('that the replica does not have yet comes from the primary, with what was just posted', async () => {
    await standby!.sql`SELECT pg_wal_replay_pause()`
    await until(async () => {
      const [row] = await standby!.sql`SELECT pg_get_wal_replay_pause_state() AS state`
      return row!.state === 'paused'
    }, 'it replays nothing')
    await post(store, ...texts(21, 30))
    await store.heads(['room'])
    expect(await pageOf(store, { after: 25, limit: 5 })).toEqual(texts(26, 30))
    expect(await pageOf(store, { after: 15, limit: 10 })).toEqual(texts(16, 25))
    expect(await pageOf(store, { before: 31, limit: 4 })).toEqual(texts(27, 30))
    expect(await pageOf(store, { before: 22, limit: 3 })).toEqual(texts(19, 21))
    expect(outcomes).toEqual(['behind', 'behind', 'behind', 'behind'])
    expect(await pageOf(store, { before: 21, limit: 3 })).toEqual(texts(18, 20))
    expect(outcomes.at(-1)).toBe('read')

    await standby!.sql`SELECT pg_wal_replay_resume()`
    await standby!.catchUpWith(server!)
    expect(await pageOf(store, { after: 25, limit: 5 })).toEqual(texts(26, 30))
    expect(outcomes.at(-1)).toBe('read')
  })

  test('is the log’s at any moment, whichever of the two answers', async () => {
    const log = texts(1, 20)
    const below = (n: number) => Math.floor(Math.random() * n)
    for (let round = 0; round < 400; round++) {
      // Now and then the replica stands still for a while.
      if (round % 50 === 20) await standby!.sql`SELECT pg_wal_replay_pause()`
      if (round % 50 === 40) await standby!.sql`SELECT pg_wal_replay_resume()`
      const more = texts(log.length + 1, log.length + below(4))
      await post(store, ...more)
      log.push(...more)
      if (below(3) === 0) await store.heads(['room'])
      const limit = 1 + below(12)
      const cursor = Math.max(0, log.length + 3 - below(round % 2 === 0 ? 20 : log.length))
      const isForward = below(2) === 0
      const page = await pageOf(store, { [isForward ? 'after' : 'before']: cursor, limit } as Range)
      const end = Math.max(0, cursor - 1)
      const wanted = isForward ? log.slice(cursor, cursor + limit) : log.slice(0, end).slice(-limit)
      expect(page).toEqual(wanted)
    }
    for (const outcome of ['read', 'behind'] as const) expect(outcomes).toContain(outcome)
  })

  test('comes from the primary in time while the replica is silent, which is then left alone', async () => {
    await inHaste({ timeoutMs: 3 * TIMEOUT_MS })
    standby!.freeze()
    const startedAt = performance.now()
    expect(await pageOf(store, { after: 0, limit: 5 })).toEqual(texts(1, 5))
    // A quarter of the time is for the replica; the rest is longer than a machine stands still.
    expect(performance.now() - startedAt).toBeLessThan(2 * TIMEOUT_MS)
    expect(outcomes).toEqual(['away'])
    standby!.thaw()
    const isAsked = async () => {
      expect(await pageOf(store, { after: 0, limit: 5 })).toEqual(texts(1, 5))
      return outcomes.at(-1) === 'read'
    }
    await until(isAsked, 'it is asked again')
    // More than half of this was over before the pause began.
    expect(performance.now() - startedAt).toBeGreaterThan(TIMEOUT_MS / 2 + PAUSE_MS)
    expect(outcomes).toEqual(['away', 'read'])
  })

  test('is refused in time if both are silent', async () => {
    const refused = async (): Promise<number> => {
      for (const one of [server!, standby!]) one.thaw()
      await inHaste()
      for (const one of [server!, standby!]) one.freeze()
      return msOf(async () => {
        const failure = await failureOf(pageOf(store, { after: 0, limit: 5 }))
        expect(failure).toMatchObject({ code: 'store_unavailable' })
      })
    }
    const inTimeMs = TIMEOUT_MS + LATE_MS
    await expectSoon(inTimeMs, 'it is refused', refused)
  })

  test('is refused in time if the replica is silent and the primary busy', async () => {
    const timeoutMs = 2 * TIMEOUT_MS
    const sql = server!.connect(url)
    const refused = async (): Promise<number> => {
      await inHaste({ timeoutMs, connectionsMax: 2 })
      // Each page takes more than half of the time, and there is one connection for both.
      await sql.unsafe(`
        ALTER FUNCTION encode_event RENAME TO encode_at_once;
        CREATE FUNCTION encode_event(bigint, text, text, bigint, text, text, text) RETURNS text
        LANGUAGE sql AS 'SELECT encode_at_once($1, $2, $3, $4, $5, $6, $7) FROM pg_sleep(2.4)'`)
      standby!.freeze()
      // On a machine that stands still it may be refused as well, a little later than it would end.
      const first = Promise.allSettled([pageOf(store, { after: 19, limit: 2 })])
      const tookMs = await msOf(async () => {
        const failure = await failureOf(pageOf(store, { after: 0, limit: 1 }))
        expect(failure).toMatchObject({ code: 'store_unavailable' })
      })
      expect(outcomes).toEqual(['away'])
      await first
      standby!.thaw()
      await sql.unsafe(`
        DROP FUNCTION encode_event;
        ALTER FUNCTION encode_at_once RENAME TO encode_event`)
      await standby!.catchUpWith(server!)
      return tookMs
    }
    const inTimeMs = timeoutMs + LATE_MS
    await expectSoon(inTimeMs, 'it is refused', refused)
  })

  test('comes from the primary once its epoch is another than the replica’s', async () => {
    await store.close()
    await standby!.sql`SELECT pg_wal_replay_pause()`
    await server!.connect(url)`DELETE FROM meta WHERE name = 'epoch'`
    store = await open(url, standby!)
    await store.heads(['room'])
    expect(await pageOf(store, { after: 0, limit: 5 })).toEqual(texts(1, 5))
    expect(outcomes).toEqual(['unfit'])
  })

  test('comes from the primary while the replica’s schema is another than ours', async () => {
    await server!.connect(url)`UPDATE meta SET value = '999' WHERE name = 'version'`
    await standby!.catchUpWith(server!)
    await store.heads(['room'])
    expect(await pageOf(store, { after: 0, limit: 5 })).toEqual(texts(1, 5))
    expect(outcomes).toEqual(['unfit'])
  })

  test('comes from the primary if what is called a replica is no standby', async () => {
    await store.close()
    store = await open(url, server!)
    await store.heads(['room'])
    expect(await pageOf(store, { after: 0, limit: 5 })).toEqual(texts(1, 5))
    expect(outcomes).toEqual(['unfit'])
  })

  test('comes from the primary if too many other heads were told since its own', async () => {
    const others = firstSeqs(KNOWN_HEADS_MAX).map((n) => `other ${n}`)
    for (let from = 0; from < others.length; from += 2_500)
      await store.append(others.slice(from, from + 2_500).map((id) => message(id, 'x')))
    await standby!.catchUpWith(server!)
    const hear = async (ids: string[]) => {
      for (let from = 0; from < ids.length; from += 2_500)
        await store.heads(ids.slice(from, from + 2_500))
    }
    // The one that reading would make known again is looked for last.
    await hear(['room', ...others.slice(1)])
    expect(await pageOf(store, { after: 0, limit: 5 })).toEqual(texts(1, 5))
    expect(outcomes).toEqual(['read'])
    await hear(others.slice(0, 1))
    expect(await pageOf(store, { after: 0, limit: 5 })).toEqual(texts(1, 5))
    expect(outcomes).toEqual(['read'])
  })

  test('comes from the primary while no replica is there, also at the start', async () => {
    await store.close()
    await standby!.stop()
    store = await open(url, standby!)
    await store.heads(['room'])
    expect(await pageOf(store, { after: 0, limit: 5 })).toEqual(texts(1, 5))
    expect(outcomes).toEqual(['away'])
    await standby!.restart()
  })
})

test.skipIf(server === undefined)('a server reads there and counts it', async () => {
  const databaseUrl = await server!.createDatabase()
  const databaseReplicaUrl = standby!.urlOf(new URL(databaseUrl).pathname.slice(1))
  // Small tails, so that little is answered from memory.
  const tails = { tailEventsMax: 1, idleTimelinesMax: 0 }
  const node = await ServerProcess.start({
    ...{ databaseUrl, databaseReplicaUrl, databaseTimeoutMs: 20_000 },
    ...tails,
  })
  try {
    const ada = await signUp(node.url)
    const place = `/room/${(await ada.createRoom()).id}`
    for (const text of texts(1, 20)) await ada.post(place, text)
    await standby!.catchUpWith(server!)
    expect(await ada.list(place)).toHaveLength(20)
    const page = await ada.get<{ text: string }[]>(`${place}/messages?before=11&limit=5`)
    expect(page.map(({ text }) => text)).toEqual(texts(6, 10))
    const figures = await (await fetch(`${node.url}/metrics`)).text()
    expect(figures).toContain('parley_replica_pages_total{outcome="read"} 1')
  } finally {
    await node.stopAndForget()
  }
})
