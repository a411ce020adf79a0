import { expect, test } from 'bun:test'
import { hrefOf, parseRoute } from '../../web/places.ts'

test('an address leads to a place, a message of it, or the sessions', () => {
  const room = { room: 'rAb_-9' }
  expect(parseRoute(hrefOf(room))).toEqual({ page: 'talk', place: room, seq: undefined })
  expect(parseRoute(hrefOf(room, 42))).toEqual({ page: 'talk', place: room, seq: 42 })
  const person = { user: 'u1' }
  expect(parseRoute(hrefOf(person, 7))).toEqual({ page: 'talk', place: person, seq: 7 })
  expect(parseRoute('#/sessions')).toEqual({ page: 'sessions' })
})

for (const hash of [
  '',
  '#',
  '#/',
  '#/room/',
  '#/room/a/b',
  '#/room/a/1/2',
  '#/room/a%2Fb',
  '#/room/<b>',
  '#/inbox/a',
  '#/room/a/-1',
  '#/room/a/1e3',
  '#/room/a/9999999999999999',
])
  test(`what is no address leads home: ${hash}`, () => {
    expect(parseRoute(hash)).toEqual({ page: 'home' })
  })

test('there is no message 0', () => {
  expect(parseRoute('#/room/a/0')).toMatchObject({ seq: 1 })
})
