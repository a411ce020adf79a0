/**
 * How a batch goes to PostgreSQL and comes back: one array a column there, a row for each event
 * back. What happens in between is told above `append_events` in `migrations/postgres.ts`.
 */
import { INBOX_ENTRY, inboxBody } from '../events.ts'
import type { NewEvent, StoredEvent } from '../types.ts'
import type { PostgresPool } from './postgres-pool.ts'
import type { Appended } from './store.ts'

const RECORDED = 0
const REPLAYED = 1

interface AppendedRow {
  /** Place in the batch, from 1. */
  n: number
  outcome: number
  seq: number
  at: number
  inbox_seq: number | null
}

const APPEND = 'SELECT * FROM append_events($1, $2, $3, $4, $5, $6, $7, $8)'

/** One transaction for the whole batch; see `Store.append`. */
export async function append(pool: PostgresPool, batch: readonly NewEvent[]): Promise<Appended[]> {
  if (batch.length === 0) return []
  const firsts = findFirsts(batch)
  const rows = await pool.change<AppendedRow>(APPEND, [
    arrayOf(batch.map((event) => event.timeline)),
    arrayOf(batch.map((event) => event.type)),
    arrayOf(batch.map((event) => event.author)),
    arrayOf(batch.map((event) => String(event.at))),
    arrayOf(batch.map((event) => event.key)),
    arrayOf(batch.map((event) => event.inbox)),
    arrayOf(batch.map((event) => event.body)),
    arrayOf(firsts.map((first, index) => String(first === index))),
  ])
  const answers: Appended[] = []
  for (const row of rows) answers[row.n - 1] = answerOf(batch[row.n - 1]!, row)
  return batch.map((given, index) => {
    const first = firsts[index]!
    return answers[index] ?? repeatedAnswer(given, batch[first]!, answers[first]!)
  })
}

/**
 * For each event the place of the first in the batch with its key, or its own. Those that come
 * later are not appended; if the key was new, the first says what becomes of them.
 */
function findFirsts(batch: readonly NewEvent[]): number[] {
  const seen = new Map<string, number>()
  return batch.map(({ timeline, author, key }, index) => {
    if (key === undefined) return index
    // Ids hold no space, so two different keys cannot look alike.
    const name = `${timeline} ${author} ${key}`
    const first = seen.get(name)
    if (first === undefined) seen.set(name, index)
    return first ?? index
  })
}

/** Of one whose key was new with `first`, an event of the same batch. */
function repeatedAnswer(given: NewEvent, first: NewEvent, answer: Appended): Appended {
  const isSame = first.type === given.type && first.body === given.body
  if (!isSame || answer.outcome === 'key_reused') return { outcome: 'key_reused' }
  return { outcome: 'replayed', event: answer.event }
}

function answerOf(given: NewEvent, { outcome, seq, at, inbox_seq }: AppendedRow): Appended {
  const { timeline, type, author, body, inbox } = given
  const event: StoredEvent = { timeline, seq, type, author, at, body }
  if (outcome === REPLAYED) return { outcome: 'replayed', event }
  if (outcome !== RECORDED) return { outcome: 'key_reused' }
  if (inbox === undefined) return { outcome: 'recorded', event, inboxEntry: null }
  const entry = { author: null, at, type: INBOX_ENTRY, body: inboxBody(given, seq, at) }
  return { outcome: 'recorded', event, inboxEntry: { timeline: inbox, seq: inbox_seq!, ...entry } }
}

/** PostgreSQL's notation of an array of texts: each in quotes, or NULL. */
export function arrayOf(values: readonly (string | undefined)[]): string {
  const quoted = values.map((value) =>
    value === undefined ? 'NULL' : `"${value.replace(/["\\]/g, '\\$&')}"`,
  )
  return `{${quoted.join(',')}}`
}
