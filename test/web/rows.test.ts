import { expect, test } from 'bun:test'
import type { Message } from '../../client/index.ts'
import { rowsOf } from '../../web/talk/rows.ts'

function said(seq: number, who: string, at: string): Message {
  return { seq, type: 'message', at, from: { id: who, name: who }, text: `${seq}`, room: 'r' }
}

test('messages of one person, said one after the other, stand under one name', () => {
  const rows = rowsOf(
    [
      said(1, 'ada', '2026-11-24T10:00:00.000Z'),
      said(2, 'ada', '2026-11-24T10:04:59.000Z'),
      said(3, 'bob', '2026-11-24T10:05:00.000Z'),
      said(4, 'ada', '2026-11-24T10:05:01.000Z'),
      said(5, 'ada', '2026-11-24T10:10:01.000Z'),
    ],
    undefined,
  )
  expect(rows.map((row) => row.startsGroup)).toEqual([true, false, true, true, true])
})

test('a day begins with the first message that is said on it, and so does a group', () => {
  const rows = rowsOf(
    [
      said(1, 'ada', '2026-11-20T12:00:00.000Z'),
      said(2, 'ada', '2026-11-20T12:01:00.000Z'),
      said(3, 'ada', '2026-11-22T12:00:00.000Z'),
    ],
    undefined,
  )
  expect(rows.map((row) => row.startsDay)).toEqual([true, false, true])
  expect(rows[2]?.startsGroup).toBe(true)
})

test('what is new begins after the last message that was read, once', () => {
  const at = '2026-11-20T12:00:00.000Z'
  const rows = rowsOf([said(7, 'ada', at), said(8, 'ada', at), said(9, 'ada', at)], 7)
  expect(rows.map((row) => row.startsUnread)).toEqual([false, true, false])
  expect(rows.map((row) => row.startsGroup)).toEqual([true, true, false])
})
