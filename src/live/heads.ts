/**
 * Heads read from the store. Whatever is asked for in one turn of the loop goes in one query, for
 * when a node ends everyone comes to another one and opens their timelines there at once.
 */
import type { Store } from '../store/store.ts'
import type { Seq, TimelineId } from '../types.ts'

/** Timelines in one query. */
export const HEADS_AT_ONCE = 1_000

export class Heads {
  readonly #store: Store
  #asked: TimelineId[] = []
  #answer: Promise<Seq[]> | undefined

  constructor(store: Store) {
    this.#store = store
  }

  /** 0 for a timeline without events. Rejects if the store cannot be read. */
  async read(timeline: TimelineId): Promise<Seq> {
    if (this.#asked.length === HEADS_AT_ONCE) this.#answer = undefined
    this.#answer ??= this.#ask()
    const index = this.#asked.push(timeline) - 1
    const heads = await this.#answer
    return heads[index] ?? 0
  }

  async #ask(): Promise<Seq[]> {
    const asked: TimelineId[] = []
    this.#asked = asked
    await Promise.resolve()
    if (this.#asked === asked) this.#answer = undefined
    return this.#store.heads(asked)
  }
}
