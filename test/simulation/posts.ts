/** What a person has written: each draft is tried until it is acknowledged, with the same key. */
import type { Id, Seq, TimelineId } from '../../src/types.ts'
import type { History, Posting } from './history.ts'

export interface Draft {
  key: string
  text: string
  target: { room: Id } | { user: Id }
  timeline: TimelineId
  /** Whose key this uses for something else: it must be refused, as long as that one is there. */
  reuses: Draft | undefined
  /** Something else was sent with its key, which takes it if a restored backup knows it no more. */
  wasReused: boolean
  ackedAs?: { seq: Seq; era: number }
}

/** Said of a post with which nothing was done. */
const REFUSED = new Set(['overloaded', 'storage_full', 'store_unavailable', 'rate_limited'])

export interface PostReply {
  ok?: { seq: Seq; replayed?: boolean }
  error?: { code: string }
}

export class Posts {
  /** To be sent, the oldest first. */
  waiting: Draft[] = []
  readonly acked: Draft[] = []
  readonly #who: string
  readonly #history: History
  readonly #now: () => number
  /** Of the connection: what was recorded for the first time, by timeline. */
  #order = new Map<TimelineId, { id: number; seq: Seq }>()
  #lastKey = 0

  constructor(who: string, history: History, now: () => number) {
    this.#who = who
    this.#history = history
    this.#now = now
  }

  write(target: Draft['target'], timeline: TimelineId, chars: number): void {
    this.#lastKey += 1
    const text = `${this.#who} ${this.#lastKey} ${'.'.repeat(chars)}`
    const key = `k${this.#lastKey}`
    this.waiting.push({ key, text, target, timeline, reuses: undefined, wasReused: false })
  }

  /** Sends again what was acknowledged, or something else with its key. */
  again(which: number, isReuse: boolean): void {
    const draft = this.acked[Math.floor(which * this.acked.length)]
    if (draft === undefined) return
    if (!isReuse) this.waiting.push(draft)
    else {
      this.#lastKey += 1
      draft.wasReused = true
      this.waiting.push({ ...draft, text: `${this.#who} reuses ${this.#lastKey}`, reuses: draft })
    }
  }

  connected(): void {
    this.#order = new Map()
  }

  sending({ key, text, target, timeline }: Draft): Posting {
    const inboxOf = 'user' in target ? target.user : undefined
    const attempt: Posting = {
      ...{ client: this.#who, key, timeline, text, inboxOf, outcome: 'unknown' },
      ...{ invokedAt: this.#now(), completedAt: Number.POSITIVE_INFINITY },
    }
    this.#history.attempts.push(attempt)
    this.#history.operations += 1
    return attempt
  }

  /** True if it is to be tried again. */
  answered(id: number, draft: Draft, attempt: Posting, { ok, error }: PostReply): boolean {
    attempt.completedAt = this.#now()
    if (ok !== undefined) {
      this.#acked(id, draft, attempt, ok)
      return false
    }
    const code = error?.code ?? 'no answer'
    if (code === 'key_reused') {
      attempt.outcome = 'failed'
      const isLost = draft.wasReused && !this.#isThere(draft)
      if (draft.reuses === undefined && !isLost)
        this.#complain('key', `${draft.text} is told that its key was used`)
      return false
    }
    if (REFUSED.has(code)) attempt.outcome = 'failed'
    else if (code !== 'outcome_unknown') this.#complain('refused', `${draft.text}: ${code}`)
    return true
  }

  #acked(id: number, draft: Draft, attempt: Posting, ok: { seq: Seq; replayed?: boolean }): void {
    const { seq, replayed } = ok
    Object.assign(attempt, { outcome: 'ok', seq })
    if (draft.reuses !== undefined) {
      if (this.#isThere(draft.reuses)) this.#complain('key', `${draft.text} is acknowledged`)
      return
    }
    const { era } = this.#history
    const before = draft.ackedAs
    if (before?.era === era && (before.seq !== seq || !replayed))
      this.#complain('duplicate', `${draft.text} is acknowledged as ${before.seq} and ${seq}`)
    if (before === undefined) this.acked.push(draft)
    draft.ackedAs = { seq, era }
    if (replayed) return
    const last = this.#order.get(draft.timeline)
    if (last !== undefined && id > last.id !== seq > last.seq)
      this.#complain('reordered', `${draft.text} stands at ${seq}, sent after ${last.seq}`)
    this.#order.set(draft.timeline, { id, seq })
  }

  /** Acknowledged, and since then no backup was restored. */
  #isThere({ ackedAs }: Draft): boolean {
    return ackedAs?.era === this.#history.era
  }

  #complain(kind: string, what: string): void {
    this.#history.complain(kind, what)
  }
}
