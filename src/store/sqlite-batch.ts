/**
 * How a batch of events crosses from one thread to the other: as two strings there and one array of
 * numbers back, whatever its size. Two strings cost half as much as an array of objects.
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

/** Bodies are JSON, which never holds a bare line feed, so they need no second round of escapes. */
export function packBatch(batch: readonly NewEvent[]): [rest: string, bodies: string] {
  const rest = batch.map(({ timeline, type, author, at, key = null, inbox = null }) => [
    timeline,
    type,
    author,
    at,
    key,
    inbox,
  ])
  return [JSON.stringify(rest), batch.map((event) => event.body).join('\n')]
}

export function unpackBatch(rest: string, bodies: string): AppendRow[] {
  const rows = JSON.parse(rest) as AppendRow[]
  const lines = bodies.split('\n')
  for (let i = 0; i < rows.length; i++) rows[i]![6] = lines[i]!
  return rows
}
