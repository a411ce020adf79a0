/** The store contract: idempotency, ranges, durability and what reopening keeps. */
import { expect, test } from 'bun:test'
import { encodeEvent, INBOX_ENTRY } from '../../src/events.ts'
import type { NewEvent } from '../../src/types.ts'
import { appendOne, recorded } from './store-append.ts'
import {
  ADA,
  BOB,
  firstSeqs,
  type MakeStoreHome,
  message,
  readAll,
  textOf,
  withStore,
} from './store-home.ts'

export function testEvents(makeHome: MakeStoreHome): void {
  testOnce(makeHome)
  testRanges(makeHome)
  testDurable(makeHome)
}

const keyed = (text: string, more: Partial<NewEvent> = {}) =>
  message('room', text, { key: 'k', ...more })

function testOnce(makeHome: MakeStoreHome): void {
  test('a key used twice in one batch gives one event, and the original the second time', () =>
    withStore(makeHome, async (store) => {
      const answers = await store.append([keyed('x'), message('room', 'y'), keyed('x')])
      const { event } = recorded(answers[0])
      expect(answers[2]).toEqual({ outcome: 'replayed', event })
      expect((await readAll(store, 'room')).map(textOf)).toEqual(['x', 'y'])
    }))

  test('a key used again gives the original, whose time and seq stay as they were', () =>
    withStore(makeHome, async (store, reopen) => {
      const given = keyed('x', { at: 3_000, inbox: 'inbox' })
      const { event } = await appendOne(store, given)
      const later = { ...given, at: 9_000 }
      const replayed = [{ outcome: 'replayed' as const, event }]
      expect(await store.append([later])).toEqual(replayed)

      const again = await reopen()
      expect(await again.append([later])).toEqual(replayed)
      expect(await again.heads(['room', 'inbox'])).toEqual([1, 1])
      expect((await appendOne(again, message('room', 'next'))).event).toMatchObject({
        seq: 2,
        at: 3_000,
      })
    }))

  test('a key is another one for another author or in another timeline', () =>
    withStore(makeHome, async (store) => {
      const answers = await store.append([
        keyed('x'),
        keyed('x', { author: BOB }),
        keyed('x', { timeline: 'other' }),
        keyed('x', { key: 'K' }),
        keyed('x', { key: 'k ' }),
      ])
      expect(answers.map((answer) => answer.outcome)).toEqual(Array(5).fill('recorded'))
      expect(await store.heads(['room', 'other'])).toEqual([4, 1])
    }))

  test('events without a key are never taken for each other', () =>
    withStore(makeHome, async (store) => {
      const answers = await store.append(Array(3).fill(message('room', 'same')))
      expect(answers.map((answer) => recorded(answer).event.seq)).toEqual([1, 2, 3])
    }))

  test('a key with another body or type is refused, and nothing is stored', () =>
    withStore(makeHome, async (store, reopen) => {
      await store.append([keyed('x')])
      const others = [keyed('other', { inbox: 'inbox' }), keyed('x', { type: 'other' })]
      const refused = Array(2).fill({ outcome: 'key_reused' })
      expect(await store.append(others)).toEqual(refused)
      expect(
        await store.append([keyed('in one batch', { key: 'n' }), keyed('!', { key: 'n' })]),
      ).toEqual([expect.objectContaining({ outcome: 'recorded' }), { outcome: 'key_reused' }])

      const again = await reopen()
      expect(await again.append(others)).toEqual(refused)
      expect(await again.heads(['room', 'inbox'])).toEqual([2, 0])
      expect((await readAll(again, 'room')).map(textOf)).toEqual(['x', 'in one batch'])
    }))
}

function testRanges(makeHome: MakeStoreHome): void {
  test('a range gives the first ones after a seq, or the last before one, ascending', () =>
    withStore(makeHome, async (store) => {
      await store.append(firstSeqs(10).map((n) => message('room', String(n))))
      const after = async (seq: number, limit: number) =>
        (await store.list('room', { after: seq, limit })).map((event) => event.seq)
      const before = async (seq: number, limit: number) =>
        (await store.list('room', { before: seq, limit })).map((event) => event.seq)

      expect(await after(0, 3)).toEqual([1, 2, 3])
      expect(await after(7, 3)).toEqual([8, 9, 10])
      expect(await after(7, 4)).toEqual([8, 9, 10])
      expect(await after(9, 1)).toEqual([10])
      expect(await after(10, 5)).toEqual([])
      expect(await after(Number.MAX_SAFE_INTEGER, 5)).toEqual([])
      expect(await before(1, 5)).toEqual([])
      expect(await before(2, 5)).toEqual([1])
      expect(await before(5, 2)).toEqual([3, 4])
      expect(await before(11, 3)).toEqual([8, 9, 10])
      expect(await before(Number.MAX_SAFE_INTEGER, 2)).toEqual([9, 10])
      expect(await before(Number.MAX_SAFE_INTEGER, 50)).toEqual(firstSeqs(10))
    }))

  test('an encoded range is the listed one, as text, with the label', () =>
    withStore(makeHome, async (store) => {
      const odd = ['"quoted"\n\\', '\u2028', 'käse 🦜', 'a\nb']
      await store.append(odd.map((text, i) => message('room', text, { at: 1_000 * i })))
      await store.append([message('direct', 'x', { inbox: 'room' })])
      const ranges = [
        { after: 0, limit: 9 },
        { after: 2, limit: 2 },
        { after: 5, limit: 2 },
        { before: 4, limit: 2 },
        { before: 1, limit: 2 },
      ]
      for (const label of [null, { field: 'room', id: 'room' } as const])
        for (const range of ranges) {
          const listed = await store.list('room', range)
          expect(await store.listEncoded('room', range, label)).toEqual({
            firstSeq: listed[0]?.seq ?? 0,
            events: listed.map((event) => encodeEvent(event, label)),
          })
        }
      const inbox = await store.listEncoded('room', { after: 4, limit: 1 }, null)
      expect(JSON.parse(inbox.events[0]!)).toMatchObject({ type: INBOX_ENTRY, seq: 5 })
    }))

  test('an unknown timeline is an empty one', () =>
    withStore(makeHome, async (store) => {
      await store.append([message('known', 'x')])
      expect(await store.list('unknown', { after: 0, limit: 5 })).toEqual([])
      expect(await store.list('unknown', { before: 9, limit: 5 })).toEqual([])
      const nothing = { firstSeq: 0, events: [] }
      expect(await store.listEncoded('unknown', { after: 0, limit: 5 }, null)).toEqual(nothing)
      expect(await store.heads(['unknown', 'known', 'unknown'])).toEqual([0, 1, 0])
      expect(await store.heads([])).toEqual([])
    }))

  test('timelines whose ids are alike do not mix', () =>
    withStore(makeHome, async (store) => {
      const ids = ['r', 'R', 'r1', 'r ', 'r\u0301', 'ŕ']
      await store.append(ids.map((id) => message(id, id)))
      for (const id of ids) expect((await readAll(store, id)).map(textOf)).toEqual([id])
    }))
}

function testDurable(makeHome: MakeStoreHome): void {
  test('a read begun after a write resolved sees it', () =>
    withStore(makeHome, async (store) => {
      for (const n of firstSeqs(200)) {
        await store.append([message('room', String(n), { inbox: 'inbox' })])
        const [[last], heads] = await Promise.all([
          store.list('room', { after: n - 1, limit: 1 }),
          store.heads(['room', 'inbox']),
        ])
        expect(last?.seq).toBe(n)
        expect(heads).toEqual([n, n])
      }
    }))

  test('everything is there after closing and opening again, and numbers go on', () =>
    withStore(makeHome, async (store, reopen) => {
      await store.append(firstSeqs(30).map((n) => message('room', String(n), { inbox: 'inbox' })))
      const [room, inbox] = [await readAll(store, 'room'), await readAll(store, 'inbox')]

      const again = await reopen()
      expect(await readAll(again, 'room')).toEqual(room)
      expect(await readAll(again, 'inbox')).toEqual(inbox)
      const { event, inboxEntry } = await appendOne(
        again,
        message('room', '31', { inbox: 'inbox' }),
      )
      expect([event.seq, inboxEntry!.seq]).toEqual([31, 31])
    }))

  test('close finishes what was begun', () =>
    withStore(makeHome, async (store, reopen) => {
      const batches = firstSeqs(20).map((n) => store.append([message('room', String(n))]))
      const user = store.createUser({ id: ADA, name: 'ada', createdAt: 1, passwordHash: 'h' })
      const reopened = reopen()
      const answers = (await Promise.all(batches)).flat()
      expect(answers.map((answer) => recorded(answer).event.seq)).toEqual(firstSeqs(20))
      expect(await user).toBe(true)

      const again = await reopened
      expect(await again.heads(['room'])).toEqual([20])
      expect(await again.findUser(ADA)).toBeDefined()
    }))

  test('the epoch stays with the data, and other data has another', async () => {
    const epochs: string[] = []
    for (let i = 0; i < 2; i++)
      await withStore(makeHome, async (store, reopen) => {
        const { epoch } = store
        expect(epoch).toMatch(/^[\w-]{8,64}$/)
        const again = await reopen()
        expect(again.epoch).toBe(epoch)
        epochs.push(epoch)
      })
    expect(new Set(epochs).size).toBe(2)
  })

  test('a check resolves and changes nothing, also between batches', () =>
    withStore(makeHome, async (store) => {
      const work = [message('room', 'x'), message('room', 'y')].map((one) => store.append([one]))
      await Promise.all([store.check(), ...work, store.check()])
      await store.check()
      expect((await readAll(store, 'room')).map(textOf)).toEqual(['x', 'y'])
    }))
}
