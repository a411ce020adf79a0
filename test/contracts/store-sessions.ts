/** The store contract: sessions. */
import { expect, test } from 'bun:test'
import type { Store } from '../../src/store/store.ts'
import type { Session } from '../../src/types.ts'
import { ADA, BOB, firstSeqs, type MakeStoreHome, withStore } from './store-home.ts'

/** More than any test makes. */
const MANY = 1_000

const session = (n: number, more: Partial<Session> = {}): Session => ({
  id: `s${n}`,
  userId: ADA,
  tokenHash: `hash ${n}`,
  userAgent: `agent ${n}`,
  createdAt: n,
  usedAt: n,
  expiresAt: 1_000 + n,
  ...more,
})

const account = (id: string) => ({ id, name: `name of ${id}`, passwordHash: 'hash', createdAt: 7 })

/** Whose sessions these are. */
async function signUpBoth(store: Store): Promise<void> {
  for (const id of [ADA, BOB]) await store.createUser(account(id))
}

async function find(store: Store, tokenHash: string): Promise<Session | undefined> {
  return (await store.findSession(tokenHash))?.session
}

export function testSessions(makeHome: MakeStoreHome): void {
  test('a session is found by its token’s hash, also after reopening', () =>
    withStore(makeHome, async (store, reopen) => {
      await signUpBoth(store)
      await store.createSession(session(1), MANY)
      await store.createSession(session(2, { userId: BOB, userAgent: '' }), MANY)
      expect(await find(store, 'hash 1')).toEqual(session(1))
      expect(await find(store, 'hash 3')).toBeUndefined()

      const again = await reopen()
      expect(await find(again, 'hash 2')).toEqual(session(2, { userId: BOB, userAgent: '' }))
    }))

  test('its user comes with it, and without one it is not found', () =>
    withStore(makeHome, async (store) => {
      await store.createSession(session(1), MANY)
      expect(await store.findSession('hash 1')).toBeUndefined()
      const { passwordHash: _, ...user } = account(ADA)
      await store.createUser(account(ADA))
      expect(await store.findSession('hash 1')).toEqual({ session: session(1), user })
    }))

  test('a user’s sessions are listed newest first, without expired ones, up to the limit', () =>
    withStore(makeHome, async (store) => {
      for (const n of [3, 1, 5, 2, 4]) await store.createSession(session(n), MANY)
      await store.createSession(session(6, { userId: BOB }), MANY)
      const listed = async (now: number, limit: number) =>
        (await store.listSessions(ADA, now, limit)).map(({ createdAt }) => createdAt)

      expect(await store.listSessions(ADA, 0, 1)).toEqual([session(5)])
      expect(await listed(0, 10)).toEqual([5, 4, 3, 2, 1])
      expect(await listed(0, 3)).toEqual([5, 4, 3])
      expect(await listed(1_002, 10)).toEqual([5, 4, 3])
      expect(await listed(1_005, 10)).toEqual([])
      expect(await store.listSessions('u-nobody', 0, 10)).toEqual([])
    }))

  test('with a new session the oldest beyond the limit are deleted, in one step', () =>
    withStore(makeHome, async (store) => {
      await signUpBoth(store)
      await store.createSession(session(1, { userId: BOB }), 3)
      for (const n of [3, 2, 4]) expect(await store.createSession(session(n), 3)).toEqual([])
      expect(await store.createSession(session(5), 3)).toEqual(['s2'])
      // The limit may have been lowered since.
      expect((await store.createSession(session(6), 2)).sort()).toEqual(['s3', 's4'])
      const left = await store.listSessions(ADA, 0, MANY)
      expect(left.map(({ id }) => id)).toEqual(['s6', 's5'])
      expect(await find(store, 'hash 1')).toBeDefined()
    }))

  test('expired sessions do not count as surplus, nor does the new one ever', () =>
    withStore(makeHome, async (store) => {
      await store.createSession(session(1, { createdAt: 50, expiresAt: 100 }), 1)
      await store.createSession(session(2, { createdAt: 40 }), MANY)
      // At 100 the first one has expired, so two is all there are.
      expect(await store.createSession(session(3, { createdAt: 100 }), 2)).toEqual([])
      // Begun in the same millisecond as the third, and sorted after it.
      expect(await store.createSession(session(4, { createdAt: 100 }), 1)).toHaveLength(2)
      const left = await store.listSessions(ADA, 100, MANY)
      expect(left.map(({ id }) => id)).toEqual(['s4'])
    }))

  test('a session is deleted by its owner only, once', () =>
    withStore(makeHome, async (store) => {
      await signUpBoth(store)
      await store.createSession(session(1), MANY)
      expect(await store.deleteSession('s1', BOB)).toBeUndefined()
      expect(await find(store, 'hash 1')).toEqual(session(1))
      expect(await store.deleteSession('s1', ADA)).toEqual(session(1))
      expect(await store.deleteSession('s1', ADA)).toBeUndefined()
      expect(await find(store, 'hash 1')).toBeUndefined()
      expect(await store.listSessions(ADA, 0, 10)).toEqual([])
    }))

  test('of many sessions, those that are kept are found, with when they expire', () =>
    withStore(makeHome, async (store) => {
      const ids = firstSeqs(1_500).map((n) => `s${n}`)
      expect(await store.liveSessions([])).toEqual([])
      expect(await store.liveSessions(ids)).toEqual([])
      for (const n of [1, 2, 3, 1_500]) await store.createSession(session(n), MANY)
      await store.createSession(session(2_000, { userId: BOB }), MANY)
      await store.deleteSession('s2', ADA)
      await store.touchSession('s3', 500, 5_000)
      const live = await store.liveSessions([...ids, 's2000', 'never was', "'; --"])
      expect(live.sort((a, b) => a.expiresAt - b.expiresAt)).toEqual([
        { id: 's1', expiresAt: 1_001 },
        { id: 's1500', expiresAt: 2_500 },
        { id: 's2000', expiresAt: 3_000 },
        { id: 's3', expiresAt: 5_000 },
      ])
    }))

  test('using a session moves its times; one that is gone stays gone', () =>
    withStore(makeHome, async (store) => {
      await signUpBoth(store)
      await store.createSession(session(1), MANY)
      await store.createSession(session(2), MANY)
      await store.touchSession('s1', 500, 5_000)
      expect(await find(store, 'hash 1')).toEqual(session(1, { usedAt: 500, expiresAt: 5_000 }))
      expect(await find(store, 'hash 2')).toEqual(session(2))

      await store.deleteSession('s1', ADA)
      await store.touchSession('s1', 600, 6_000)
      expect(await find(store, 'hash 1')).toBeUndefined()
      expect(await store.listSessions(ADA, 0, 10)).toEqual([session(2)])
    }))

  test('expired sessions are deleted, a bounded number at a time', () =>
    withStore(makeHome, async (store) => {
      for (const n of firstSeqs(10)) await store.createSession(session(n), MANY)
      expect(await store.deleteExpiredSessions(1_000, 100)).toBe(0)
      expect(await store.deleteExpiredSessions(1_008, 5)).toBe(5)
      expect(await store.deleteExpiredSessions(1_008, 5)).toBe(3)
      expect(await store.deleteExpiredSessions(1_008, 5)).toBe(0)
      const left = await store.listSessions(ADA, 0, 100)
      expect(left.map(({ id }) => id)).toEqual(['s10', 's9'])
    }))
}
