/**
 * Finds the last ring that was lost: no later one shows the hole, so heads are compared with the
 * store now and then. Timelines that have moved since the last look are left out, because whoever
 * hears one ring has noticed every hole before it; what it may miss is found by the next look.
 */
import type { Metrics } from '../metrics.ts'
import type { Store } from '../store/store.ts'
import { HEADS_AT_ONCE } from './heads.ts'
import type { Hub } from './hub.ts'
import type { LiveTimeline } from './timeline.ts'

export interface HeadCheckOptions {
  hub: Hub
  store: Store
  metrics: Metrics
}

export class HeadCheck {
  readonly #options: HeadCheckOptions

  constructor(options: HeadCheckOptions) {
    this.#options = options
  }

  /** With `all` those that have moved, too. Rejects if the store cannot be read. */
  async run(all: boolean): Promise<void> {
    const asked = this.#choose(all)
    for (let i = 0; i < asked.length; i += HEADS_AT_ONCE)
      await this.#compare(asked.slice(i, i + HEADS_AT_ONCE))
  }

  #choose(all: boolean): LiveTimeline[] {
    const chosen: LiveTimeline[] = []
    for (const timeline of this.#options.hub.timelines) {
      const hasMoved = timeline.head !== timeline.headAtCheck
      timeline.headAtCheck = timeline.head
      if (timeline.early === undefined && (all || !hasMoved)) chosen.push(timeline)
    }
    return chosen
  }

  async #compare(timelines: readonly LiveTimeline[]): Promise<void> {
    const { hub, store, metrics } = this.#options
    const heads = await store.heads(timelines.map(({ id }) => id))
    metrics.headChecks.inc(timelines.length)
    for (const [index, timeline] of timelines.entries()) {
      const head = heads[index] ?? 0
      if (head <= timeline.head) continue
      metrics.headsBehind.inc()
      hub.heard(timeline, head)
    }
  }
}
