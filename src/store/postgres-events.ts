/** Reading events from PostgreSQL: pages of a timeline, and heads. */
import type { Label } from '../events.ts'
import type { StoredEvent, TimelineId } from '../types.ts'
import { arrayOf } from './postgres-append.ts'
import type { PostgresPool } from './postgres-pool.ts'
import type { EncodedEvents, Range, Store } from './store.ts'

export type EventReads = Pick<Store, 'list' | 'listEncoded' | 'heads'>

export function eventsIn(pool: PostgresPool): EventReads {
  const columns = 'timeline, seq, type, author, at, body'
  return {
    list: (timeline, range) =>
      pool.read<StoredEvent>(`SELECT ${columns} FROM ${inRange(range)} ORDER BY seq`, [
        timeline,
        ...boundsOf(range),
      ]),
    listEncoded: (timeline, range, label) => readPage(pool, { timeline, range, label }),
    heads: async (timelines) => {
      const rows = await pool.read<{ head: number }>(
        `SELECT coalesce(head, 0) AS head
         FROM unnest($1::text[]) WITH ORDINALITY AS asked (id, n)
         LEFT JOIN timelines USING (id) ORDER BY n`,
        [arrayOf(timelines)],
      )
      return rows.map((row) => row.head)
    },
  }
}

export interface PageQuery {
  timeline: TimelineId
  range: Range
  label: Label
}

/** One text with an event a line, for JSON holds no bare line feed; of no events, NULL. */
export interface PageRow {
  first: number | null
  lines: string
}

/** Within `withinMs`, or as long as a call of the pool may take. */
export async function readPage(
  pool: PostgresPool,
  query: PageQuery,
  withinMs?: number,
): Promise<EncodedEvents> {
  const [row] = await pool.read<PageRow>(...pageStatement(query), withinMs)
  return pageOf(row!)
}

/** The statement whose one row is the page, with more columns if given, and its values. */
export function pageStatement(
  { timeline, range, label }: PageQuery,
  more = '',
): [statement: string, values: unknown[]] {
  const encoded = 'encode_event(seq, type, author, at, body, $4, $5)'
  const lines = `string_agg(${encoded}, chr(10) ORDER BY seq) AS lines`
  return [
    `SELECT min(seq) AS first, ${lines}${more} FROM ${inRange(range)}`,
    [timeline, ...boundsOf(range), label?.field ?? null, label?.id ?? null],
  ]
}

export function pageOf({ first, lines }: PageRow): EncodedEvents {
  if (first === null) return { firstSeq: 0, events: [] }
  return { firstSeq: first, events: lines.split('\n') }
}

/** The events of timeline $1 that a range with the bounds $2 and $3 holds, in some order. */
function inRange(range: Range): string {
  const bound = 'after' in range ? 'seq > $2 ORDER BY seq' : 'seq < $2 ORDER BY seq DESC'
  return `(SELECT * FROM events WHERE timeline = $1 AND ${bound} LIMIT $3) AS events`
}

function boundsOf(range: Range): [number, number] {
  return ['after' in range ? range.after : range.before, range.limit]
}
