/** Messages above a store and a recorder that say what the test wants. */
import { expect, test } from 'bun:test'
import type { Place } from '../../src/chat/access.ts'
import { Messages, type MessagesOptions } from '../../src/chat/messages.ts'
import type { Done } from '../../src/chat/record.ts'
import { systemClock } from '../../src/clock.ts'
import type { EncodedEvents, Range } from '../../src/store/store.ts'
import type { NewEvent } from '../../src/types.ts'

const ADA = { id: 'uada', name: 'ada', createdAt: 1 }
const PLACE: Place = { viewer: ADA, timeline: 'room', label: { field: 'room', id: 'room' } }

/** Messages whose parts are stand-ins; what a test does not name, it does not reach. */
function messagesOver(parts: Record<string, unknown>): Messages {
  const options = { clock: systemClock, textBytesMax: 10, ...parts }
  return new Messages(options as unknown as MessagesOptions)
}

/** The events `from` … `to` as a store hands them over. */
function encoded(from: number, to: number): EncodedEvents {
  const events = Array.from({ length: to - from + 1 }, (_, i) => `{"seq":${from + i}}`)
  return { firstSeq: events.length === 0 ? 0 : from, events }
}

/** A page around `seq` when the store gives these for the two halves. */
function pageAround(seq: number, older: EncodedEvents, later: EncodedEvents) {
  const listEncoded = async (_: string, range: Range) => ('after' in range ? later : older)
  const hub = { recent: () => undefined }
  const messages = messagesOver({ store: { epoch: 'e', listEncoded }, hub })
  return messages.list(PLACE, { around: seq }, 6)
}

test('a page around a message is its two halves, or the one that is there', async () => {
  expect(await pageAround(3, encoded(1, 3), encoded(4, 6))).toEqual({
    events: encoded(1, 6).events,
    first: 1,
    last: 6,
    recovered: true,
  })
  expect(await pageAround(0, encoded(1, 0), encoded(1, 3))).toMatchObject({ first: 1, last: 3 })
  expect(await pageAround(9, encoded(4, 6), encoded(1, 0))).toMatchObject({ first: 4, last: 6 })
  const nothing = { events: [], first: undefined, last: undefined, recovered: true }
  expect(await pageAround(9, encoded(1, 0), encoded(1, 0))).toEqual(nothing)
})

test('events that come between the two reads of a page leave no hole in it', async () => {
  // At the first read the head was 3; by the second, events up to 12 had come.
  const page = await pageAround(9, encoded(1, 3), encoded(10, 12))
  expect(page).toMatchObject({ events: encoded(1, 3).events, first: 1, last: 3 })
})

test('a post by callback is the same event as one by promise, and as strictly checked', async () => {
  const given: NewEvent[] = []
  const event = { timeline: 'room', seq: 7, type: 'message', author: 'uada', at: 5, body: '{}' }
  const recorded = { event, replayed: false }
  const recorder = {
    record: async (one: NewEvent) => {
      given.push(one)
      return recorded
    },
    submit: (one: NewEvent, done: Done) => {
      given.push(one)
      done(null, recorded)
    },
  }
  const messages = messagesOver({ recorder, clock: { ...systemClock, now: () => 5 } })
  const told: unknown[] = []
  const done: Done = (error, one) => told.push(error ?? one)

  expect(await messages.post(PLACE, { text: 'hi', key: 'k' })).toMatchObject({ seq: 7, at: 5 })
  messages.submit(PLACE, { text: 'hi', key: 'k' }, done)
  expect(told).toEqual([recorded])
  expect(given[1]).toEqual(given[0]!)
  expect(given[0]!.body).toBe('{"from":{"id":"uada","name":"ada"},"text":"hi"}')

  messages.submit(PLACE, { text: 'x'.repeat(10) }, done)
  const refused = (text: string) => () => messages.submit(PLACE, { text }, done)
  expect(refused('x'.repeat(11))).toThrow(expect.objectContaining({ code: 'text_too_long' }))
  expect(refused(' ')).toThrow(expect.objectContaining({ code: 'text_blank' }))
  expect(given).toHaveLength(3)
})

/** A node that has heard of the first `heard` of six events. */
function nodeBehind(heard: number) {
  const listEncoded = async (_: string, range: Range) => {
    const { after, limit } = range as { after: number; limit: number }
    return encoded(after + 1, Math.min(6, after + limit))
  }
  const store = { epoch: 'e', listEncoded, heads: async () => [6] }
  const recent = (_: string, range: Range) => {
    const { after, limit } = range as { after: number; limit: number }
    const { firstSeq, events } = encoded(after + 1, Math.min(heard, after + limit))
    return events.map((json, i) => ({ timeline: 'room', seq: firstSeq + i, json }))
  }
  return messagesOver({ store, hub: { recent } })
}

test('what another node has just recorded is found by its seq, and after a cursor', async () => {
  expect(JSON.parse(await nodeBehind(5).get(PLACE, 6))).toEqual({ seq: 6 })
  await expect(nodeBehind(5).get(PLACE, 7)).rejects.toMatchObject({ code: 'no_such_message' })
  const page = await nodeBehind(4).list(PLACE, { after: 4 }, 10)
  expect(page).toEqual({ events: encoded(5, 6).events, first: 5, last: 6, recovered: true })
  const beyond = { events: [], first: undefined, last: undefined }
  expect(await nodeBehind(6).list(PLACE, { after: 6 }, 10)).toEqual({ ...beyond, recovered: true })
  expect(await nodeBehind(6).list(PLACE, { after: 7 }, 10)).toEqual({ ...beyond, recovered: false })
})
