/**
 * PostgreSQL fails under the store: what was done is never called undone, what is unknown is called
 * so and settled by the key, and every answer comes in time.
 */
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type postgres from 'postgres'
import type { Problem } from '../../src/errors.ts'
import { openPostgres } from '../../src/store/postgres.ts'
import type { Store } from '../../src/store/store.ts'
import { failureOf, firstSeqs, message, readAll, textOf } from '../contracts/store-home.ts'
import { until } from '../harness.ts'
import { findPostgres, PostgresServer } from '../services/postgres.ts'
import { expectSoon, msOf } from '../soon.ts'
import { DeafProxy } from './deaf-proxy.ts'
import { mountSmallDisk } from './disk.ts'

const MIB = 1 << 20
const TIMEOUT_MS = 2_000
/** What every answer has come within, and a little for a busy machine. */
const ANSWER_MS = TIMEOUT_MS + 400
/** A machine may pause for as long. Less than a time-out: who is refused at once waits for none. */
const LATE_MS = 1_800

const programs = await findPostgres()
const server = programs === undefined ? undefined : await PostgresServer.start(programs)
const smallDisk = server === undefined ? undefined : mountSmallDisk(24 * MIB)

afterAll(async () => {
  await server?.remove()
  smallDisk?.remove()
})

let url: string
let store: Store
let sql: postgres.Sql

type Limits = { connectionsMax?: number; queueMax?: number; timeoutMs?: number }

const open = (address: string, more: Limits = {}) =>
  openPostgres({
    ...{ url: address, connectionsMax: 4, timeoutMs: TIMEOUT_MS, queueMax: 100, startMs: 2_000 },
    ...more,
  })

/** The code of the problem a call ends with; undefined if it succeeds. It must come in time. */
async function codeOf(call: Promise<unknown>, ms = TIMEOUT_MS): Promise<string | undefined> {
  const startedAt = performance.now()
  const problem = (await failureOf(call)) as Problem | undefined
  expect(performance.now() - startedAt).toBeLessThan(ms + LATE_MS)
  if (problem?.status === 503) expect(problem.options.retryAfterS).toBeGreaterThan(0)
  return problem?.code
}

const post = (text: string, more: Parameters<typeof message>[2] = {}) =>
  store.append([message('room', text, { key: text, ...more })])

const outcomeOf = async (text: string) => (await post(text))[0]!.outcome

/** Posts, and reads, until both have gone through. */
async function isBack(text: string): Promise<void> {
  const succeeds = async (call: Promise<unknown>) => (await failureOf(call)) === undefined
  await until(() => succeeds(post(text)), 'posting is back')
  await until(() => succeeds(store.heads(['room'])), 'reading is back')
}

/** Holds a lock in a transaction of somebody else's, until told to let go. */
async function holding(statement: string): Promise<() => Promise<void>> {
  const other = await sql.reserve()
  await other.unsafe('BEGIN')
  await other.unsafe(statement)
  return async () => {
    await other.unsafe('ROLLBACK')
    other.release()
  }
}

describe.skipIf(server === undefined)('when PostgreSQL', () => {
  beforeEach(async () => {
    url = await server!.createDatabase()
    store = await open(url)
    sql = server!.connect(url)
  })

  afterEach(async () => {
    server!.thaw()
    await sql.end({ timeout: 1 })
    await store.close()
  })

  test('commits and its answer is lost, the outcome is unknown, and the key finds the post', async () => {
    const proxy = await DeafProxy.start(server!.port)
    const far = await open(url.replace(String(server!.port), String(proxy.port)))
    const given = [message('room', 'once', { key: 'k', inbox: 'inbox' })]
    await far.append([message('room', 'before')])
    proxy.isDeaf = true
    const lost = codeOf(far.append(given))
    await until(async () => (await store.heads(['room']))[0] === 2, 'it was committed')
    proxy.cut()
    proxy.isDeaf = false

    expect(await lost).toBe('outcome_unknown')

    const [answer] = await until(() => far.append(given).catch(() => undefined), 'it is back')
    expect(answer).toMatchObject({ outcome: 'replayed', event: { seq: 2 } })
    expect(await store.heads(['room', 'inbox'])).toEqual([2, 1])
    await far.close()
    proxy.stop()
  })

  test('ends the session within the commit, the outcome is unknown, and nothing was done', async () => {
    await sql.unsafe(`
      CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER die AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION die()`)
    expect(await codeOf(post('once'))).toBe('outcome_unknown')
    expect(await store.heads(['room'])).toEqual([0])
    await sql`DROP TRIGGER die ON events`
    expect(await until(() => outcomeOf('once').catch(() => undefined), 'it is back')).toBe(
      'recorded',
    )
    expect((await readAll(store, 'room')).map(textOf)).toEqual(['once'])
  })

  test.each([
    ['40001', 2, undefined],
    ['40001', 3, 'store_unavailable'],
    ['40P01', 2, undefined],
    ['40P01', 3, 'store_unavailable'],
  ])('undoes a statement with %s %d times, a post ends with %p', async (state, times, code) => {
    // A sequence goes on when its transaction is undone.
    await sql.unsafe(`
      CREATE SEQUENCE tries;
      CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('tries') <= ${times} THEN RAISE SQLSTATE '${state}'; END IF; RETURN NULL;
      END $$;
      CREATE TRIGGER fail BEFORE INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION fail()`)
    expect(await codeOf(post('hello'))).toBe(code)
    const stored = code === undefined ? [1] : [0]
    expect(await store.heads(['room'])).toEqual(stored)
    expect(await codeOf(post('hello'))).toBeUndefined()
    expect(await store.heads(['room'])).toEqual([1])
  })

  test('has a row locked by somebody else, posts to it are refused in time, and others go on', async () => {
    await post('before')
    const letGo = await holding("SELECT FROM timelines WHERE id = 'room' FOR UPDATE")
    // A batch that waited for the one before is refused in time, too.
    const oneByOne = async () => [await codeOf(post('one')), await codeOf(post('two'))]
    const refused = async () =>
      expect(await oneByOne()).toEqual(['store_unavailable', 'store_unavailable'])
    await expectSoon(ANSWER_MS, 'both are refused', () => msOf(() => refused()))
    expect(await codeOf(store.append([message('another room', 'hello')]))).toBeUndefined()
    expect(await store.heads(['room'])).toEqual([1])
    await letGo()
    expect(await outcomeOf('one')).toBe('recorded')
    expect(await store.heads(['room'])).toEqual([2])
  })

  test('stops answering, every call is refused in time; it comes back by itself', async () => {
    await post('before')
    // More connections are idle than calls are begun now, and of no more use than the others.
    const openAll = async () => {
      await Promise.all(firstSeqs(20).map(() => store.heads(['room'])))
      return (await server!.sessionsOf(url)) === 4
    }
    await until(openAll, 'all connections are open')
    server!.freeze()
    const first = codeOf(post('one'))
    const next = codeOf(first.then(() => post('two')))
    const calls = [store.check(), store.findUser('u')].map((call) => codeOf(call))
    expect(await Promise.all(calls)).toEqual(Array(2).fill('store_unavailable'))
    expect([await first, await next]).toEqual(['outcome_unknown', 'store_unavailable'])
    // By now it is known to be away: nobody waits any more.
    expect(await codeOf(post('three'), 0)).toBe('store_unavailable')
    expect(await codeOf(store.check(), 0)).toBe('store_unavailable')
    server!.thaw()
    await isBack('four')
    for (const text of ['one', 'two', 'three']) await post(text)
    const texts = (await readAll(store, 'room')).map(textOf)
    expect(texts.toSorted()).toEqual(['before', 'four', 'one', 'three', 'two'])
    // Whatever was tried meanwhile is over: no session stays behind unused.
    await until(async () => (await server!.sessionsOf(url)) <= 4, 'the sessions have ended')
  })

  test('is away, every call is refused in time; it comes back by itself', async () => {
    await post('before')
    await server!.stop()
    expect(await codeOf(post('one'))).toMatch(/store_unavailable|outcome_unknown/)
    expect(await codeOf(post('two'))).toBe('store_unavailable')
    expect(await codeOf(store.check())).toBe('store_unavailable')
    await server!.restart()
    await isBack('three')
    expect(await codeOf(store.check())).toBeUndefined()
    await post('one')
    expect((await readAll(store, 'room')).map(textOf).toSorted()).toEqual([
      'before',
      'one',
      'three',
    ])
  })

  test('ends all sessions, the next calls have new ones', async () => {
    await post('before')
    for (const n of firstSeqs(5)) {
      expect(await server!.terminateSessions(url)).toBeGreaterThan(0)
      await isBack(`after ${n}`)
      expect(await store.heads(['room'])).toEqual([1 + n])
    }
  })

  test('keeps reads waiting, so many wait as the limit says, and the next is refused at once', async () => {
    const small = await open(url, { connectionsMax: 2, queueMax: 3, timeoutMs: 10_000 })
    await small.heads(['room'])
    const letGo = await holding('LOCK TABLE timelines IN ACCESS EXCLUSIVE MODE')
    const read = () => small.heads(['room'])
    const waiting = [1, 2, 3, 4].map(read)
    expect(await codeOf(read(), 0)).toBe('overloaded')
    await letGo()
    expect(await Promise.all(waiting)).toEqual(Array(4).fill([0]))
    expect(await read()).toEqual([0])
    await small.close()
  })

  test('keeps reads waiting too long, they are refused in time, and the next are served', async () => {
    const small = await open(url, { connectionsMax: 2 })
    const letGo = await holding('LOCK TABLE timelines IN ACCESS EXCLUSIVE MODE')
    const codes = await Promise.all([1, 2, 3].map(() => codeOf(small.heads(['room']))))
    // One after the other has the only connection for as long as a lock is waited for. The last one
    // has hardly waited too long by then, and may still get it where a machine pauses.
    expect(codes.slice(0, 2)).toEqual(['store_unavailable', 'store_unavailable'])
    expect(codes[2]).toBeOneOf(['overloaded', 'store_unavailable'])
    await letGo()
    expect(await small.heads(['room'])).toEqual([0])
    await small.close()
  })

  test('only reads, it is not ready, and posts are refused', async () => {
    const name = new URL(url).pathname.slice(1)
    await sql.unsafe(`ALTER DATABASE ${name} SET default_transaction_read_only = on`)
    await server!.terminateSessions(url)
    const readOnly = async () => (await codeOf(store.check())) === 'store_unavailable'
    await until(readOnly, 'it is not ready')
    expect(await codeOf(post('hello'))).toBe('store_unavailable')
    await server!.sql.unsafe(`ALTER DATABASE ${name} RESET default_transaction_read_only`)
    await server!.terminateSessions(url)
    await isBack('hello')
    expect(await codeOf(store.check())).toBeUndefined()
  })

  test.skipIf(smallDisk === undefined)(
    'has no room, posts are refused and reading goes on',
    async () => {
      server!.own(smallDisk!.path)
      await server!.sql.unsafe(`CREATE TABLESPACE small LOCATION '${smallDisk!.path}'`)
      const ballast = join(smallDisk!.path, 'ballast')
      writeFileSync(ballast, Buffer.alloc(2 * MIB, 'x'))
      const cramped = await server!.createDatabase('TABLESPACE small')
      const full = await open(cramped)
      const text = 'x'.repeat(100_000)
      let stored = 0
      const fill = async () => {
        // Random letters, for PostgreSQL would make little of the same one.
        const noise = firstSeqs(5_000).map(() => Math.random().toString(36).slice(2))
        const code = await codeOf(full.append([message('room', noise.join('') + text)]), 10_000)
        if (code === undefined) stored += 1
        return code
      }
      expect(await until(fill, 'the disk is full', 30_000)).toBe('storage_full')
      expect(stored).toBeGreaterThan(0)
      expect(await full.heads(['room'])).toEqual([stored])
      expect(await full.list('room', { after: stored - 1, limit: 5 })).toHaveLength(1)
      rmSync(ballast)
      expect(await failureOf(full.append([message('room', 'there is room again')]))).toBeUndefined()
      expect(await full.heads(['room'])).toEqual([stored + 1])
      await full.close()
    },
  )

  test('is told to stop while calls are under way, closing waits for them', async () => {
    await post('before')
    const posts = firstSeqs(20).map((n) => post(`${n}`))
    const reads = firstSeqs(20).map(() => store.heads(['room']))
    const closing = store.close()
    await Promise.all([...posts, ...reads])
    await closing
    expect(await codeOf(store.heads(['room']), 0)).toBe('restarting')
    await until(async () => (await server!.sessionsOf(url)) === 0, 'nothing stays behind')
    store = await open(url)
    expect(await store.heads(['room'])).toEqual([21])
  })
})
