/** The store contract: sessions. */
import { expect, test } from 'bun:test'
import type { Session } from '../../src/types.ts'
import { ADA, BOB, firstSeqs, type MakeStoreHome, withStore } from './store-home.ts'

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

export function testSessions(makeHome: MakeStoreHome): void {
  test('a session is found by its token’s hash, also after reopening', () =>
    withStore(makeHome, async (store, reopen) => {
      await store.createSession(session(1))
      await store.createSession(session(2, { userId: BOB, userAgent: '' }))
      expect(await store.findSession('hash 1')).toEqual(session(1))
      expect(await store.findSession('hash 3')).toBeUndefined()

      const again = await reopen()
      expect(await again.findSession('hash 2')).toEqual(session(2, { userId: BOB, userAgent: '' }))
    }))

  test('a user’s sessions are listed newest first, without expired ones, up to the limit', () =>
    withStore(makeHome, async (store) => {
      for (const n of [3, 1, 5, 2, 4]) await store.createSession(session(n))
      await store.createSession(session(6, { userId: BOB }))
      const listed = async (now: number, limit: number) =>
        (await store.listSessions(ADA, now, limit)).map(({ createdAt }) => createdAt)

      expect(await store.listSessions(ADA, 0, 1)).toEqual([session(5)])
      expect(await listed(0, 10)).toEqual([5, 4, 3, 2, 1])
      expect(await listed(0, 3)).toEqual([5, 4, 3])
      expect(await listed(1_002, 10)).toEqual([5, 4, 3])
      expect(await listed(1_005, 10)).toEqual([])
      expect(await store.listSessions('u-nobody', 0, 10)).toEqual([])
    }))

  test('a session is deleted by its owner only, once', () =>
    withStore(makeHome, async (store) => {
      await store.createSession(session(1))
      expect(await store.deleteSession('s1', BOB)).toBeUndefined()
      expect(await store.findSession('hash 1')).toEqual(session(1))
      expect(await store.deleteSession('s1', ADA)).toEqual(session(1))
      expect(await store.deleteSession('s1', ADA)).toBeUndefined()
      expect(await store.findSession('hash 1')).toBeUndefined()
      expect(await store.listSessions(ADA, 0, 10)).toEqual([])
    }))

  test('using a session moves its times; one that is gone stays gone', () =>
    withStore(makeHome, async (store) => {
      await store.createSession(session(1))
      await store.createSession(session(2))
      await store.touchSession('s1', 500, 5_000)
      expect(await store.findSession('hash 1')).toEqual(
        session(1, { usedAt: 500, expiresAt: 5_000 }),
      )
      expect(await store.findSession('hash 2')).toEqual(session(2))

      await store.deleteSession('s1', ADA)
      await store.touchSession('s1', 600, 6_000)
      expect(await store.findSession('hash 1')).toBeUndefined()
      expect(await store.listSessions(ADA, 0, 10)).toEqual([session(2)])
    }))

  test('expired sessions are deleted, a bounded number at a time', () =>
    withStore(makeHome, async (store) => {
      for (const n of firstSeqs(10)) await store.createSession(session(n))
      expect(await store.deleteExpiredSessions(1_000, 100)).toBe(0)
      expect(await store.deleteExpiredSessions(1_008, 5)).toBe(5)
      expect(await store.deleteExpiredSessions(1_008, 5)).toBe(3)
      expect(await store.deleteExpiredSessions(1_008, 5)).toBe(0)
      const left = await store.listSessions(ADA, 0, 100)
      expect(left.map(({ id }) => id)).toEqual(['s10', 's9'])
    }))
}
