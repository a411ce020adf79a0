/** Many nodes write into the same timelines at once: gapless, once, and without a deadlock. */
import { afterAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { spawn } from 'bun'
import { openPostgres } from '../../src/store/postgres.ts'
import { firstSeqs, message, readAll } from '../contracts/store-home.ts'
import { findPostgres, PostgresServer } from '../services/postgres.ts'
import { BATCHES, HOT, HOT_PER_BATCH, TIMELINES, type Written } from './postgres-writer.ts'

const WRITERS = ['one', 'two', 'three', 'four']

const programs = await findPostgres()
const server = programs === undefined ? undefined : await PostgresServer.start(programs)

afterAll(() => server?.remove())

const open = (url: string) =>
  openPostgres({ url, connectionsMax: 4, timeoutMs: 20_000, queueMax: 1_000, startMs: 10_000 })

async function write(url: string, name: string, order: string): Promise<Written[]> {
  const script = join(import.meta.dir, 'postgres-writer.ts')
  const cmd = [process.execPath, script, url, name, order]
  const writer = spawn({ cmd, stdout: 'pipe', stderr: 'inherit' })
  const printed = await new Response(writer.stdout).text()
  expect(await writer.exited).toBe(0)
  return JSON.parse(printed)
}

async function deadlocks(url: string): Promise<number> {
  const [counts] = await server!.connect(url)`
    SELECT deadlocks::int AS count FROM pg_stat_database WHERE datname = current_database()`
  return counts!.count
}

describe.skipIf(server === undefined)('on one PostgreSQL', () => {
  test('four processes write in opposite orders: no deadlock, gapless, each event once', async () => {
    const url = await server!.createDatabase()
    const all = await Promise.all(
      WRITERS.map((name, index) => write(url, name, index % 2 === 0 ? 'given' : 'reversed')),
    )

    expect(await deadlocks(url)).toBe(0)
    const store = await open(url)
    const own = WRITERS.length * BATCHES
    const sizes = new Map([...TIMELINES.map((id) => [id, own] as const)])
    sizes.set(HOT, own * HOT_PER_BATCH + BATCHES)
    for (const [timeline, size] of sizes) {
      const log = await readAll(store, timeline)
      expect(log.map((event) => event.seq)).toEqual(firstSeqs(size))
      const times = log.map((event) => event.at)
      expect(times).toEqual(times.toSorted((a, b) => a - b))
      const inbox = await readAll(store, `i-${timeline}`)
      const entered = size - (timeline === HOT ? BATCHES : 0)
      expect(inbox.map((entry) => entry.seq)).toEqual(firstSeqs(entered))
    }
    await store.close()

    // Whoever asks with the same key is told the same seq, and one of them was the first.
    const byKey = Map.groupBy(all.flat(), ({ timeline, key }) => `${timeline} ${key}`)
    for (const [key, answers] of byKey) {
      expect(new Set(answers.map(({ seq }) => seq)).size, key).toBe(1)
      expect(answers.filter(({ outcome }) => outcome === 'recorded').length, key).toBe(1)
      expect(answers.filter(({ outcome }) => outcome === 'key_reused').length, key).toBe(0)
    }
    expect(all.flat().filter(({ outcome }) => outcome === 'replayed').length).toBe(
      BATCHES * (WRITERS.length - 1),
    )
  })

  test('timelines that are new to all of them are made in opposite orders: no deadlock', async () => {
    const url = await server!.createDatabase()
    const nodes = await Promise.all(WRITERS.map(() => open(url)))
    const rounds = firstSeqs(15)
    for (const round of rounds) {
      const batch = firstSeqs(300).map((n) => message(`r${round}-${n}`, 'first'))
      await Promise.all(
        nodes.map((node, index) => node.append(index % 2 === 0 ? batch : batch.toReversed())),
      )
    }
    const all = rounds.flatMap((round) => firstSeqs(300).map((n) => `r${round}-${n}`))
    expect(new Set(await nodes[0]!.heads(all))).toEqual(new Set([WRITERS.length]))
    await Promise.all(nodes.map((node) => node.close()))
    expect(await deadlocks(url)).toBe(0)
  })

  test('one key from many nodes at the same moment gives one event, or is refused', async () => {
    const url = await server!.createDatabase()
    const nodes = await Promise.all(WRITERS.map(() => open(url)))
    await Promise.all(nodes.map((node) => node.heads(['room'])))
    for (const n of firstSeqs(30)) {
      const answers = await Promise.all(
        nodes.map((node, index) =>
          node.append([
            message('room', 'the same', { key: `k${n}` }),
            message('room', `of ${index}`, { key: `other ${n}` }),
          ]),
        ),
      )
      const outcomes = (place: number) => answers.map((one) => one[place]!.outcome).toSorted()
      expect(outcomes(0)).toEqual(['recorded', 'replayed', 'replayed', 'replayed'])
      expect(outcomes(1)).toEqual(['key_reused', 'key_reused', 'key_reused', 'recorded'])
      expect(await nodes[0]!.heads(['room'])).toEqual([2 * n])
    }
    await Promise.all(nodes.map((node) => node.close()))
  })

  test('the last of a user’s sessions are kept, however many sign in at the same moment', async () => {
    const url = await server!.createDatabase()
    const nodes = await Promise.all(WRITERS.map(() => open(url)))
    const user = { id: 'u1', name: 'ada', passwordHash: 'x', createdAt: 1 }
    await nodes[0]!.createUser(user)
    const ended: string[] = []
    for (const round of firstSeqs(10))
      await Promise.all(
        nodes.map(async (node, index) => {
          const id = `s${round}-${index}`
          const times = { createdAt: 1_000 + round, usedAt: 1_000, expiresAt: 9_000 }
          const session = { id, userId: 'u1', tokenHash: `hash of ${id}`, userAgent: '', ...times }
          ended.push(...(await node.createSession(session, 3)))
        }),
      )
    const kept = await nodes[0]!.listSessions('u1', 0, 100)
    expect(kept).toHaveLength(3)
    expect(new Set(ended).size).toBe(10 * WRITERS.length - 3)
    await Promise.all(nodes.map((node) => node.close()))
  })

  test('expired sessions are deleted by all nodes at once, and none waits for another', async () => {
    const url = await server!.createDatabase()
    const nodes = await Promise.all(WRITERS.map(() => open(url)))
    const other = await server!.connect(url).reserve()
    for (const n of firstSeqs(100)) {
      const times = { createdAt: 1, usedAt: 1, expiresAt: 10 }
      const session = { id: `s${n}`, userId: `u${n}`, tokenHash: `${n}`, userAgent: '', ...times }
      await nodes[0]!.createSession(session, 3)
    }
    await other`BEGIN`
    await other`SELECT FROM sessions WHERE id = 's7' FOR UPDATE`
    const deleted = await Promise.all(nodes.map((node) => node.deleteExpiredSessions(11, 1_000)))
    expect(deleted.reduce((sum, count) => sum + count, 0)).toBe(99)
    await other`ROLLBACK`
    other.release()
    expect(await nodes[0]!.deleteExpiredSessions(11, 1_000)).toBe(1)
    await Promise.all(nodes.map((node) => node.close()))
  })
})
