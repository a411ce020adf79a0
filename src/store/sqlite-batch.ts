/**
 * How a batch of events crosses from one thread to the other: as one string there and one array of
 * numbers back, whatever its size. The runtime hands over a string as it is; anything else is
 * copied twice, which costs four times as much.
 */
import type { Id, NewEvent, TimelineId } from '../types.ts'

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

/**
 * The first line is JSON: the call's id and all but the bodies. Then a line for each body: they are
 * JSON themselves, which never holds a bare line feed, so they need no second round of escapes.
 */
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
