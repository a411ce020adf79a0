/** What is noted of a run while it goes on, for the checker and for the report. */
import type { Seq } from '../types.ts'
import type { Attempt, Reading } from './history.ts'

export interface Person {
  id: string
  name: string
  token: string
}

/** Where something is posted or read, in the ways in which that can be said. */
export interface Spot {
  /** Names the timeline in the journal. */
  timeline: string
  /** `/room/ID`, `/user/ID`, or empty for the inbox. */
  path: string
  frame: { room: string } | { user: string } | { inbox: true }
}

export interface Draft {
  client: string
  key: string
  text: string
}

/** Codes that say that nothing was done. */
const REFUSED = new Set(['overloaded', 'storage_full', 'store_unavailable', 'rate_limited'])

export class Journal {
  readonly attempts: Attempt[] = []
  readonly readings: Reading[] = []
  /** From sending a post that was answered at once to each reader's getting it, in ms. */
  readonly latenciesMs: number[] = []
  acknowledged = 0
  /** Attempts that were not the first of their post. */
  repeated = 0
  readonly #sentAt = new Map<string, number>()
  #lastKey = 0

  now(): number {
    return performance.now()
  }

  /** Each message of a run has a text of its own, by which it is recognised. */
  draft(client: string): Draft {
    this.#lastKey += 1
    return { client, key: `verify ${this.#lastKey}`, text: `${client} says ${this.#lastKey}` }
  }

  /** Before each attempt. */
  sending({ text }: Draft): number {
    const now = this.now()
    if (this.#sentAt.has(text)) {
      this.repeated += 1
      // Its way was interrupted: how long that took says nothing of the usual way.
      this.#sentAt.set(text, Number.NaN)
    } else this.#sentAt.set(text, now)
    return now
  }

  /** After it; true if it was acknowledged. */
  sent(
    draft: Draft,
    { timeline }: Spot,
    invokedAt: number,
    { seq, code }: { seq?: Seq | undefined; code?: string | undefined },
  ): boolean {
    const outcome = seq !== undefined ? 'ok' : REFUSED.has(code ?? '') ? 'failed' : 'unknown'
    const times = { invokedAt, completedAt: this.now() }
    const answer = seq === undefined ? {} : { seq }
    this.attempts.push({ ...draft, ...times, timeline, outcome, ...answer })
    if (outcome === 'ok') this.acknowledged += 1
    return outcome === 'ok'
  }

  /** A reader has just been given this text. */
  seen(text: string): void {
    const ms = this.now() - (this.#sentAt.get(text) ?? Number.NaN)
    if (!Number.isNaN(ms)) this.latenciesMs.push(ms)
  }
}
