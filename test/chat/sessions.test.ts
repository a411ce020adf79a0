/** Sessions on several nodes that share a store, with a bus that brings nothing. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { Sessions, type Viewer } from '../../src/chat/sessions.ts'
import { Users } from '../../src/chat/users.ts'
import { type Problem, problem } from '../../src/errors.ts'
import { createLocalBus } from '../../src/live/bus-local.ts'
import { createLog } from '../../src/log.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import type { Session } from '../../src/types.ts'
import { ADA, failureOf, firstSeqs } from '../contracts/store-home.ts'
import { scratchFolder, until } from '../harness.ts'

const TTL_MS = 1_000_000
const TRUSTED_MS = 4_000

const folder = scratchFolder()
let store: Store

beforeAll(async () => {
  const onFatal = (error: Error) => {
    throw error
  }
  store = await openSqlite({
    folder: folder.path,
    timeoutMs: 10_000,
    queueMax: 10_000,
    readersMax: 1,
    onFatal,
  })
  await store.createUser({ id: ADA, name: 'ada', createdAt: 1, passwordHash: '' })
})

afterAll(async () => {
  await store.close()
  folder.remove()
})

class Node {
  readonly sessions: Sessions
  /** What connections are told. */
  readonly ended: string[] = []
  held: string[] = []
  nowMs = 1_000_000
  /** How often the store was asked for one session, and for many. */
  finds = 0
  checks = 0
  storeIsAway = false
  /** Sessions are ended, but nobody is told. */
  outcomeIsUnknown = false

  constructor(trustedMs = TRUSTED_MS, perUserMax = 10_000) {
    const watched = {
      ...store,
      findSession: (hash: string) => {
        this.finds += 1
        return this.storeIsAway ? Promise.reject(new Error('away')) : store.findSession(hash)
      },
      deleteSession: async (id: string, user: string) => {
        const ended = await store.deleteSession(id, user)
        if (this.outcomeIsUnknown) throw problem('outcome_unknown')
        return ended
      },
      createSession: async (session: Session, keep: number) => {
        const surplus = await store.createSession(session, keep)
        if (this.outcomeIsUnknown) throw problem('outcome_unknown')
        return surplus
      },
      liveSessions: (ids: string[]) => {
        this.checks += 1
        return store.liveSessions(ids)
      },
    }
    const passwords = { checkRoom() {}, verify: async () => true } as never
    const clock = { now: () => this.nowMs, monotonicMs: () => this.nowMs }
    this.sessions = new Sessions({
      ...{ store: watched, clock, trustedMs, ttlMs: TTL_MS },
      ...{ cachedMax: 10_000, perUserMax, bus: createLocalBus() },
      users: new Users({ store, passwords, clock, cachedMax: 10 }),
      log: createLog('silent'),
    })
    this.sessions.heldBy({
      ended: (id) => void this.ended.push(id),
      held: () => this.held,
    })
  }

  async signIn(): Promise<{ token: string; viewer: Viewer }> {
    return this.sessions.signIn('ada', 'a password', 'a browser')
  }
}

test('a session that another node ended is refused once it is not trusted any more', async () => {
  const [here, there] = [new Node(), new Node()]
  const { token, viewer } = await here.signIn()
  expect(await there.sessions.authenticate(token)).toMatchObject({
    session: { id: viewer.session.id },
  })
  await here.sessions.end(ADA, viewer.session.id)

  there.nowMs += TRUSTED_MS
  expect(there.sessions.authenticate(token)).not.toBeInstanceOf(Promise)
  there.nowMs += 1
  expect(await there.sessions.authenticate(token)).toBeUndefined()
  // Whoever has a connection of it hears of it, too.
  expect(there.ended).toEqual([viewer.session.id])
  expect(await there.sessions.authenticate(token)).toBeUndefined()
})

test('a session that lives is asked for once in a while, and is the same object', async () => {
  const node = new Node()
  const { token, viewer } = await node.signIn()
  for (let i = 0; i < 10; i++) {
    node.nowMs += TRUSTED_MS + 1
    expect(await node.sessions.authenticate(token)).toBe(viewer)
    expect(node.sessions.authenticate(token)).toBe(viewer)
    expect(node.finds).toBe(i + 1)
  }
})

test('a node alone never asks for what it has in memory', async () => {
  const node = new Node(Number.POSITIVE_INFINITY)
  const { token, viewer } = await node.signIn()
  node.nowMs += TTL_MS - 1
  expect(node.sessions.authenticate(token)).toBe(viewer)
  expect(node.finds).toBe(0)
})

test('while the store is away nobody is taken for signed in on old trust', async () => {
  const node = new Node()
  const { token } = await node.signIn()
  node.storeIsAway = true
  expect(node.sessions.authenticate(token)).not.toBeInstanceOf(Promise)
  node.nowMs += TRUSTED_MS + 1
  const failure = await failureOf(node.sessions.authenticate(token) as Promise<unknown>)
  expect((failure as Problem).message).toBe('away')
})

test('a session that another node has prolonged goes on', async () => {
  const [here, there] = [new Node(), new Node()]
  const { token, viewer } = await here.signIn()
  const known = (await there.sessions.authenticate(token))!
  here.nowMs += TTL_MS - 1
  there.nowMs = here.nowMs + 1
  expect(await here.sessions.authenticate(token)).toBe(viewer)
  await until(
    async () => (await store.liveSessions([viewer.session.id]))[0]!.expiresAt > there.nowMs,
    'it is prolonged',
  )
  // By what it knows the session has expired a moment ago.
  expect(there.sessions.isLive(known)).toBe(false)
  expect(await there.sessions.authenticate(token)).toBe(known)
  expect(there.sessions.isLive(known)).toBe(true)
})

test('of the sessions with connections, those that are over are ended, all in a few queries', async () => {
  const [here, there] = [new Node(), new Node()]
  const tokens: string[] = []
  for (const _ of firstSeqs(1_001)) {
    const { token, viewer } = await here.signIn()
    tokens.push(token)
    there.held.push(viewer.session.id)
  }
  const known = (await there.sessions.authenticate(tokens[0]!))!
  const over = [there.held[1]!, there.held[999]!, there.held[1_000]!]
  for (const id of over) await store.deleteSession(id, ADA)
  there.nowMs += TRUSTED_MS
  await there.sessions.check()
  expect(there.ended).toEqual(over)
  expect(there.checks).toBe(2)

  // The check has asked for this one, so it is good for as long again.
  there.nowMs += TRUSTED_MS
  expect(there.sessions.authenticate(tokens[0]!)).toBe(known)
  there.held.splice(1_000)
  await there.sessions.check()
  expect(there.checks).toBe(3)
})

test('a check without connections asks nothing', async () => {
  const node = new Node()
  await node.sessions.check()
  expect(node.checks).toBe(0)
})

const ALONE_MS = Number.POSITIVE_INFINITY
const UNKNOWN = { code: 'outcome_unknown' }

test('a session whose end was not told is ended all the same', async () => {
  const node = new Node(ALONE_MS)
  const { token, viewer } = await node.signIn()
  const other = await node.signIn()
  node.held = [viewer.session.id, other.viewer.session.id]
  node.outcomeIsUnknown = true
  expect(await failureOf(node.sessions.end(ADA, viewer.session.id))).toMatchObject(UNKNOWN)
  await until(() => node.ended.length > 0, 'the session is ended')
  expect(node.ended).toEqual([viewer.session.id])
  expect(await node.sessions.authenticate(token)).toBeUndefined()
  expect(await node.sessions.authenticate(other.token)).toBeDefined()
})

test('a session that gave way to another one is ended though that was not told', async () => {
  const node = new Node(ALONE_MS, 1)
  const { token, viewer } = await node.signIn()
  node.held = [viewer.session.id]
  node.outcomeIsUnknown = true
  expect(await failureOf(node.signIn())).toMatchObject(UNKNOWN)
  await until(() => node.ended.includes(viewer.session.id), 'the session is ended')
  expect(await node.sessions.authenticate(token)).toBeUndefined()
})
