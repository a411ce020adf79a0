/**
 * News that came before what it follows. Several nodes write into one timeline and their rings come
 * in any order; now and then one is lost. So:
 *
 * 1. *Keep.* An event past a hole is put aside, as long as not too many are; if they are, only its
 *    seq is remembered.
 * 2. *Wait.* Most holes are closed by a ring that is a moment late, and then nothing is read.
 * 3. *Read.* What is still missing is read from the store, page by page. However many ask, one
 *    reads; while the store is away, it is tried again every second.
 */
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Seq, TimelineId } from '../types.ts'
import type { LiveEvent } from './bus.ts'
import type { LiveTimeline } from './timeline.ts'

/** Events put aside, in all timelines. */
export const KEPT_EVENTS_MAX = 10_000
/** Wait before a hole that could not be read is tried again. */
const RETRY_MS = 1_000

export interface HolesOptions {
  /** How long a ring may be late before the store is asked, in milliseconds. */
  waitMs: number
  /** Whether the timeline is still followed on this node. */
  isOpen: (timeline: LiveTimeline) => boolean
  /** The next page of events after a seq, from the store. */
  read: (id: TimelineId, after: Seq) => Promise<LiveEvent[]>
  /** Takes the event right after the head, and raises the head. */
  push: (timeline: LiveTimeline, event: LiveEvent) => void
  log: Log
  metrics: Metrics
}

export class Holes {
  readonly #options: HolesOptions
  #kept = 0

  constructor(options: HolesOptions) {
    this.#options = options
  }

  /** An event further than one past the head. */
  add(timeline: LiveTimeline, event: LiveEvent): void {
    const ahead = (timeline.ahead ??= new Map())
    if (this.#kept < KEPT_EVENTS_MAX && !ahead.has(event.seq)) {
      ahead.set(event.seq, event)
      this.#kept += 1
    }
    this.heard(timeline, event.seq)
  }

  /** The log is known to go up to `seq`, or is said to. */
  heard(timeline: LiveTimeline, seq: Seq): void {
    if (seq <= timeline.head) return
    const isClosing = timeline.rumoured > 0
    timeline.rumoured = Math.max(timeline.rumoured, seq)
    if (!isClosing) void this.#close(timeline)
  }

  /** The head was raised: what was put aside may come right after it now. */
  followUp(timeline: LiveTimeline): void {
    for (;;) {
      const next = timeline.ahead?.get(timeline.head + 1)
      if (next === undefined) return
      this.#take(timeline, next)
    }
  }

  #take(timeline: LiveTimeline, event: LiveEvent): void {
    if (timeline.ahead?.delete(event.seq)) this.#kept -= 1
    this.#options.push(timeline, event)
  }

  async #close(timeline: LiveTimeline): Promise<void> {
    const { waitMs, isOpen, log } = this.#options
    while (isOpen(timeline) && timeline.head < timeline.rumoured) {
      const before = timeline.head
      if (waitMs > 0) await pause(waitMs)
      // Rings have closed it. One beyond it, if there is one, has a wait of its own.
      if (timeline.head > before) continue
      try {
        if (!(await this.#read(timeline, timeline.rumoured))) break
      } catch (error) {
        log.warn({ err: error, timeline: timeline.id }, 'a hole could not be read yet')
        await pause(RETRY_MS)
      }
    }
    timeline.rumoured = 0
    this.#kept -= timeline.ahead?.size ?? 0
    timeline.ahead = undefined
  }

  /** False if the store does not go so far: the rumour was not true. */
  async #read(timeline: LiveTimeline, upTo: Seq): Promise<boolean> {
    const { isOpen, read, metrics } = this.#options
    metrics.holes.inc()
    while (isOpen(timeline) && timeline.head < upTo) {
      const page = await read(timeline.id, timeline.head)
      if (page.length === 0) return false
      for (const event of page) if (event.seq > timeline.head) this.#take(timeline, event)
      this.followUp(timeline)
    }
    return true
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
