/** The store contract: order, atomicity and time of what is appended. */
import { expect, test } from 'bun:test'
import { INBOX_ENTRY, inboxBody } from '../../src/events.ts'
import type { Appended, Store } from '../../src/store/store.ts'
import type { StoredEvent } from '../../src/types.ts'
import {
  ADA,
  BOB,
  failureOf,
  firstSeqs,
  type MakeStoreHome,
  message,
  readAll,
  textOf,
  withStore,
} from './store-home.ts'

/** The event of an answer that must be `recorded`. */
export function recorded(answer: Appended | undefined): {
  event: StoredEvent
  inboxEntry: StoredEvent | null
} {
  if (answer?.outcome !== 'recorded') throw new Error(`not recorded: ${JSON.stringify(answer)}`)
  return answer
}

export async function appendOne(store: Store, event: Parameters<Store['append']>[0][number]) {
  const [answer] = await store.append([event])
  return recorded(answer)
}

export function testAppend(makeHome: MakeStoreHome): void {
  testOrder(makeHome)
  testInbox(makeHome)
  testAtomic(makeHome)
  testTime(makeHome)
}

function testOrder(makeHome: MakeStoreHome): void {
  test('a batch gets seqs 1, 2, 3 … in the order given, in each of its timelines', () =>
    withStore(makeHome, async (store) => {
      const given = ['a1', 'b1', 'a2', 'a3', 'b2', 'c1'].map((text) => message(text[0]!, text))

      const answers = await store.append(given)

      expect(answers.map((answer) => recorded(answer).event.seq)).toEqual([1, 1, 2, 3, 2, 1])
      for (const [index, answer] of answers.entries()) {
        const { timeline, type, author, body, at } = given[index]!
        const { event, inboxEntry } = recorded(answer)
        expect(event).toEqual({ timeline, type, author, body, at, seq: event.seq })
        expect(inboxEntry).toBeNull()
      }
      expect((await readAll(store, 'a')).map(textOf)).toEqual(['a1', 'a2', 'a3'])
      expect(await store.heads(['a', 'b', 'c'])).toEqual([3, 2, 1])
    }))

  test('seqs go on without a hole across batches, and what is listed is what was told', () =>
    withStore(makeHome, async (store) => {
      const told: StoredEvent[] = []
      for (let batch = 0; batch < 20; batch++) {
        const size = (batch * 7) % 11
        const given = firstSeqs(size).map((n) => message('room', `${batch}.${n}`))
        const answers = await store.append(given)
        expect(answers).toHaveLength(size)
        told.push(...answers.map((answer) => recorded(answer).event))
      }

      expect(told.map((event) => event.seq)).toEqual(firstSeqs(told.length))
      expect(await readAll(store, 'room')).toEqual(told)
      expect(await store.heads(['room'])).toEqual([told.length])
    }))

  test('an empty batch is answered and changes nothing', () =>
    withStore(makeHome, async (store) => {
      await store.append([message('room', 'one')])
      expect(await store.append([])).toEqual([])
      expect(await store.heads(['room'])).toEqual([1])
    }))

  test('batches handed over without waiting are appended in the order given', () =>
    withStore(makeHome, async (store) => {
      const batches = firstSeqs(50).map((n) => store.append([message('room', String(n))]))
      const answers = (await Promise.all(batches)).flat()
      expect(answers.map((answer) => recorded(answer).event.seq)).toEqual(firstSeqs(50))
    }))

  test('bodies come back letter for letter', () =>
    withStore(makeHome, async (store) => {
      const odd = ['"quoted"', '\\', "'; --", '\t\n\x01', '\u2028\u2029\ufeff']
      const texts = [...odd, 'käse ß 𝔘𝔫𝔦 🦜']
      await store.append(texts.map((text) => message('room', text)))
      expect((await readAll(store, 'room')).map(textOf)).toEqual(texts)
    }))
}

function testInbox(makeHome: MakeStoreHome): void {
  test('a direct event enters the inbox with what its receiver will see', () =>
    withStore(makeHome, async (store) => {
      await store.append([message('direct', 'before'), message('ib', 'other', { inbox: 'inbox' })])
      const given = message('direct', 'hello', { inbox: 'inbox', at: 5_000 })

      const { event, inboxEntry } = await appendOne(store, given)

      expect(event).toMatchObject({ timeline: 'direct', seq: 2, author: ADA, at: 5_000 })
      expect(inboxEntry).toEqual({
        timeline: 'inbox',
        seq: 2,
        type: INBOX_ENTRY,
        author: null,
        at: 5_000,
        body: inboxBody(given, 2, 5_000),
      })
      const inbox = await readAll(store, 'inbox')
      expect(inbox[1]).toEqual(inboxEntry!)
      expect(JSON.parse(inbox[1]!.body).message).toMatchObject({ seq: 2, user: ADA, text: 'hello' })
      expect(await store.heads(['direct', 'inbox', 'ib'])).toEqual([2, 2, 1])
    }))

  test('many direct conversations share one inbox without a hole', () =>
    withStore(makeHome, async (store) => {
      const given = firstSeqs(60).map((n) =>
        message(`direct-${n % 7}`, String(n), { inbox: 'inbox', author: n % 2 ? ADA : BOB }),
      )
      for (let from = 0; from < given.length; from += 13)
        await store.append(given.slice(from, from + 13))

      const inbox = await readAll(store, 'inbox')
      expect(inbox.map((entry) => entry.seq)).toEqual(firstSeqs(60))
      for (const [index, entry] of inbox.entries()) {
        const inner = JSON.parse(entry.body).message
        expect(inner.text).toBe(String(index + 1))
        const [direct] = await store.list(given[index]!.timeline, {
          after: inner.seq - 1,
          limit: 1,
        })
        expect(textOf(direct!)).toBe(inner.text)
      }
    }))

  test('an event and its inbox entry are never apart, whenever one looks', () =>
    withStore(makeHome, async (store) => {
      let writing = true
      let looks = 0
      let batches = 0
      const writer = (async () => {
        for (; batches < 100 || looks <= 5; batches++)
          await store.append(
            firstSeqs(5).map((i) => message('direct', `${batches}.${i}`, { inbox: 'inbox' })),
          )
        writing = false
      })()
      while (writing) {
        // The later of two looks must not have less of one than the earlier had of the other.
        const [[directFirst], [inboxThen], [directLast]] = [
          await store.heads(['direct']),
          await store.heads(['inbox']),
          await store.heads(['direct']),
        ]
        expect(inboxThen).toBeGreaterThanOrEqual(directFirst!)
        expect(directLast).toBeGreaterThanOrEqual(inboxThen!)
        const [direct, inbox] = await store.heads(['direct', 'inbox'])
        expect(Math.abs(direct! - inbox!) % 5).toBe(0)
        looks += 1
      }
      await writer
      expect(await store.heads(['direct', 'inbox'])).toEqual([5 * batches, 5 * batches])
    }))
}

function testAtomic(makeHome: MakeStoreHome): void {
  test('a batch is all or nothing: one event that cannot be stored keeps out all', () =>
    withStore(makeHome, async (_, reopen) => {
      // A backend may hold that such an event is a bug of ours, after which the process should end.
      const store = await reopen(() => {})
      await store.append([message('room', 'one')])
      const impossible = message('fresh', 'never', { at: 0.5 })

      const attempt = store.append([
        message('room', 'two', { key: 'two' }),
        message('direct', 'three', { inbox: 'inbox' }),
        impossible,
        message('room', 'four'),
      ])
      expect(await failureOf(attempt)).toBeInstanceOf(Error)

      const again = await reopen()
      expect(await again.heads(['room', 'direct', 'inbox', 'fresh'])).toEqual([1, 0, 0, 0])
      expect(await readAll(again, 'inbox')).toEqual([])
      const { event } = await appendOne(again, message('room', 'two', { key: 'two' }))
      expect(event.seq).toBe(2)
    }))

  test('a batch that failed leaves no trace in the numbers of the next one', () =>
    withStore(makeHome, async (_, reopen) => {
      const store = await reopen(() => {})
      await store.append([message('room', 'one')])
      const failing = [
        message('room', 'no', { inbox: 'inbox' }),
        message('room', 'no', { at: 2e9 + 0.5 }),
      ]
      expect(await failureOf(store.append(failing))).toBeInstanceOf(Error)

      const { event, inboxEntry } = await appendOne(
        store,
        message('room', 'two', { inbox: 'inbox' }),
      )

      expect([event.seq, event.at, inboxEntry!.seq]).toEqual([2, 1_000, 1])
      expect((await readAll(store, 'room')).map(textOf)).toEqual(['one', 'two'])
    }))

  test('a batch is seen whole or not at all', () =>
    withStore(makeHome, async (store) => {
      let writing = true
      const writer = (async () => {
        for (let n = 0; n < 60; n++)
          await store.append(firstSeqs(10).map((i) => message('room', `${n}.${i}`)))
        writing = false
      })()
      while (writing) {
        const events = await store.list('room', { after: 0, limit: 1_000 })
        expect(events.length % 10).toBe(0)
        expect(events.map((event) => event.seq)).toEqual(firstSeqs(events.length))
      }
      await writer
    }))
}

function testTime(makeHome: MakeStoreHome): void {
  test('`at` never decreases, in a batch, across batches and after reopening', () =>
    withStore(makeHome, async (store, reopen) => {
      const at = (times: number[]) => times.map((time) => message('room', 'x', { at: time }))
      const first = await store.append(at([5_000, 4_000, 6_000]))
      expect(first.map((answer) => recorded(answer).event.at)).toEqual([5_000, 5_000, 6_000])
      const second = await store.append(at([1, 5_999, 6_001]))
      expect(second.map((answer) => recorded(answer).event.at)).toEqual([6_000, 6_000, 6_001])

      const again = await reopen()
      expect((await appendOne(again, message('room', 'x', { at: 7 }))).event.at).toBe(6_001)
      expect((await appendOne(again, message('other', 'x', { at: 7 }))).event.at).toBe(7)
      const times = (await readAll(again, 'room')).map((event) => event.at)
      expect(times).toEqual([5_000, 5_000, 6_000, 6_000, 6_000, 6_001, 6_001])
    }))

  test('an inbox entry carries the time of its message, also when that was held up', () =>
    withStore(makeHome, async (store) => {
      await store.append([message('one', 'x', { at: 9_000 })])
      const held = await appendOne(store, message('one', 'y', { at: 1_000, inbox: 'inbox' }))
      expect(held.event.at).toBe(9_000)
      expect(held.inboxEntry!.at).toBe(9_000)
      expect(JSON.parse(held.inboxEntry!.body).message.at).toBe('1970-01-01T00:00:09.000Z')
      expect((await readAll(store, 'inbox'))[0]).toEqual(held.inboxEntry!)
    }))
}
