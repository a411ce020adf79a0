/**
 * Pages of history from a replica, a streaming standby of the database. It is asked only for what
 * the primary would answer with the same events, to the last one:
 *
 * 1. **Known.** Only pages that end at or below a head of which the primary has told this node.
 *    Events never change and seqs have no holes, so nothing that is posted later belongs on such a
 *    page. A replica may show what the primary does not show yet, because other standbys still lack
 *    it, and what it may lose: that is above every known head.
 * 2. **The same history.** The statement that reads the page also tells, in the same snapshot, who
 *    answers: a standby still, of this epoch and schema, on the primary's branch of the log. A
 *    standby that was left behind by a failover may hold other events under the same seqs, and
 *    stays on its old branch; PostgreSQL counts a new one at each promotion, and calls it a
 *    timeline.
 * 3. **Whole.** The replica has the page if it has the last event on it. If not, or if it does not
 *    answer, the primary is asked within the time that is left.
 */
import { systemClock } from '../clock.ts'
import type { Seq, TimelineId } from '../types.ts'
import type { PostgresConnection } from './postgres-connection.ts'
import {
  type EventReads,
  type PageQuery,
  type PageRow,
  pageOf,
  pageStatement,
  readPage,
} from './postgres-events.ts'
import { isRefusal } from './postgres-failures.ts'
import { PostgresPool } from './postgres-pool.ts'
import type { EncodedEvents, Range, ReplicaOutcome } from './store.ts'

export interface ReplicaOptions {
  url: string
  connectionsMax: number
  queueMax: number
  /** The longest that a page may take, the primary's answer included. */
  timeoutMs: number
  epoch: string
  /** The number of steps of the schema. */
  version: number
  onPage: (outcome: ReplicaOutcome) => void
}

/** Share of `timeoutMs` after which the primary is asked instead. */
const WAIT_SHARE = 0.25
/** How long one that failed or was unfit is left alone. */
const PAUSE_MS = 5_000
/** Timelines whose heads are remembered; pages of others come from the primary. */
export const KNOWN_HEADS_MAX = 50_000

/** Where a server stands: its cluster, and the branch of its log in hexadecimal. */
const BRANCH_OF_PRIMARY = `
  SELECT (SELECT system_identifier FROM pg_control_system()) || '/' ||
    CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END
    AS branch`
/** A standby tells the branch of its last checkpoint: it may lag behind, never run ahead. */
const IDENTITY = `,
  (SELECT value FROM meta WHERE name = 'epoch') AS epoch,
  (SELECT value FROM meta WHERE name = 'version') AS version,
  pg_is_in_recovery() AS standby,
  (SELECT system_identifier || '/' || upper(lpad(to_hex(timeline_id), 8, '0'))
   FROM pg_control_system(), pg_control_checkpoint()) AS branch`

interface IdentifiedRow extends PageRow {
  epoch: string | null
  version: string | null
  standby: boolean
  branch: string
}

export class Replica {
  readonly #options: ReplicaOptions
  readonly #pool: PostgresPool
  /** As the primary told, the least recently told first. */
  readonly #heads = new Map<TimelineId, Seq>()
  #branch: string | null = null
  #pausedUntilMs = 0

  constructor(options: ReplicaOptions) {
    const { url, connectionsMax, queueMax, timeoutMs } = options
    this.#options = options
    const limits = { connectionsMax, queueMax, timeoutMs: timeoutMs * WAIT_SHARE }
    this.#pool = new PostgresPool({ url, ...limits })
  }

  /**
   * Learns the primary's branch. To be called with each new connection to it before that is used:
   * whatever a new primary tells is then known to be of its branch.
   */
  async meet(primary: PostgresConnection): Promise<void> {
    const told = await primary
      .run<{ branch: string | null }>(BRANCH_OF_PRIMARY, [])
      .catch((error) => {
        // One that does not tell is of use all the same; then no page comes from the replica.
        if (isRefusal(error)) return []
        throw error
      })
    this.#branch = told[0]?.branch ?? null
  }

  /** What the primary's pool reads, with pages from here where they are certain to be the same. */
  before(primary: PostgresPool, events: EventReads): EventReads {
    return {
      ...events,
      listEncoded: async (timeline, range, label) => {
        const query = { timeline, range, label }
        const startedAt = systemClock.monotonicMs()
        const found = await this.#find(query)
        if (found !== undefined) return found
        const spentMs = systemClock.monotonicMs() - startedAt
        const page = await readPage(primary, query, this.#options.timeoutMs - spentMs)
        if (page.events.length > 0) this.#learn(timeline, page.firstSeq + page.events.length - 1)
        return page
      },
      heads: async (timelines) => {
        const heads = await events.heads(timelines)
        for (const [index, head] of heads.entries()) this.#learn(timelines[index]!, head)
        return heads
      },
    }
  }

  #learn(timeline: TimelineId, head: Seq): void {
    if (head === 0) return
    const known = this.#heads.get(timeline) ?? 0
    this.#heads.delete(timeline)
    this.#heads.set(timeline, Math.max(known, head))
    if (this.#heads.size <= KNOWN_HEADS_MAX) return
    const [oldest] = this.#heads.keys()
    this.#heads.delete(oldest!)
  }

  /** The page, or undefined if it is the primary's to answer. Never rejects. */
  async #find(query: PageQuery): Promise<EncodedEvents | undefined> {
    const { first, last } = endsOf(query.range)
    const isKnown = 1 <= first && first <= last && last <= (this.#heads.get(query.timeline) ?? 0)
    if (!isKnown || systemClock.monotonicMs() < this.#pausedUntilMs) return undefined
    const row = await this.#read(query)
    if (row === undefined) return this.#pause('away')
    if (!this.#isFit(row)) return this.#pause('unfit')
    const page = pageOf(row)
    const isWhole = page.firstSeq === first && page.events.length === last - first + 1
    this.#options.onPage(isWhole ? 'read' : 'behind')
    return isWhole ? page : undefined
  }

  async #read(query: PageQuery): Promise<IdentifiedRow | undefined> {
    const rows = this.#pool.read<IdentifiedRow>(...pageStatement(query, IDENTITY))
    return (await rows.catch(() => []))[0]
  }

  #isFit({ epoch, version, standby, branch }: IdentifiedRow): boolean {
    const { epoch: ourEpoch, version: ourVersion } = this.#options
    const isOurs = epoch === ourEpoch && version === String(ourVersion)
    return isOurs && standby && branch === this.#branch
  }

  #pause(outcome: ReplicaOutcome): undefined {
    this.#pausedUntilMs = systemClock.monotonicMs() + PAUSE_MS
    this.#options.onPage(outcome)
  }

  close(): Promise<void> {
    return this.#pool.close()
  }
}

/** The seqs between which a page lies if the log reaches that far. */
function endsOf(range: Range): { first: Seq; last: Seq } {
  if ('after' in range) return { first: range.after + 1, last: range.after + range.limit }
  return { first: Math.max(1, range.before - range.limit), last: range.before - 1 }
}
