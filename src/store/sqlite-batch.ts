/**
 * How events cross from one thread to the other. A batch goes as one string there and one array of
 * numbers back, a page comes as one string, whatever their size. The runtime hands over a string as
 * it is; anything else is copied twice, which costs four times as much.
 *
 * Events are JSON, which never holds a bare line feed, so a line for each needs no further escapes.
 */
import type { Id, NewEvent, Seq, TimelineId } from '../types.ts'
import type { EncodedEvents } from './store.ts'

/** An event on its way into the database. */
export type AppendRow = [
  timeline: TimelineId,
  type: string,
  author: Id,
  at: number,
  key: string | null,
  inbox: TimelineId | null,
  body: string,
]

/** Four numbers an event come back: outcome, seq, at, seq in the inbox (or 0). */
export const NUMBERS_PER_EVENT = 4
export const RECORDED = 0
export const REPLAYED = 1
export const KEY_REUSED = 2

/** The first line is JSON: the call's id and all but the bodies. Then a line for each body. */
export function packBatch(id: number, batch: readonly NewEvent[]): string {
  const rest = batch.map(({ timeline, type, author, at, key = null, inbox = null }) => [
    timeline,
    type,
    author,
    at,
    key,
    inbox,
  ])
  const lines = batch.map((event) => event.body)
  lines.unshift(JSON.stringify([id, rest]))
  return lines.join('\n')
}

export function unpackBatch(packed: string): { id: number; rows: AppendRow[] } {
  const lines = packed.split('\n')
  const [id, rows] = JSON.parse(lines[0]!) as [number, AppendRow[]]
  for (let i = 0; i < rows.length; i++) rows[i]![6] = lines[i + 1]!
  return { id, rows }
}

/** The first line is the seq of the first event. Then a line for each event. */
export function packEncoded(firstSeq: Seq, events: readonly string[]): string {
  return [firstSeq, ...events].join('\n')
}

export function unpackEncoded(packed: string): EncodedEvents {
  const [firstSeq, ...events] = packed.split('\n')
  return { firstSeq: Number(firstSeq), events }
}
