/**
 * How news reaches live readers, in rounds:
 *
 * 1. *Gather.* A timeline with news joins the list for the next round. An idle lane begins it in
 *    the next turn of the loop. A busy one waits after a round for up to half of the time that it
 *    took, so that frames grow instead of their number: the whole half if a write held many events,
 *    less the fewer it held, for then waiting saves little. It never waits past the longest tick;
 *    rounds that take longer follow each other at once.
 * 2. *Hand out.* Each timeline's news is cut into slices, the same for all of its readers, and put
 *    before each reader as due. Then feeds that were waiting to join become live.
 * 3. *Write.* Each reader takes what is due in one write, whatever the number of its timelines. So
 *    many microseconds of this are done in one turn; the rest goes on in the next, after whatever
 *    else has come in. A reader that stops taking falls behind and reads on by a feed.
 *
 * Only phase 2 raises `flushed`, in order and without holes. That is why a live reader needs no
 * cursor of its own: it stands at `flushed`.
 *
 * There are two lanes, one for timelines with very many readers and one for the others. While a
 * room of ten thousand is written to, turn by turn, a room of a hundred has rounds of its own in
 * between, and never waits for more than a turn.
 */
import type { Clock } from '../clock.ts'
import { Feed } from './feed.ts'
import type { Hub } from './hub.ts'
import type { Reader } from './reader.ts'
import { cut, type Slice } from './slice.ts'
import type { LiveTimeline } from './timeline.ts'

/** The longest that one turn writes, in milliseconds: what everything else may have to wait. */
const TURN_MS = 4
/** The longest wait after a round, as a part of the time that it took. */
const WAIT_PART = 0.5
/** Readers written to between two looks at the clock. */
const WRITES_BETWEEN_LOOKS = 16

export interface LaneOptions {
  hub: Hub
  clock: Clock
  /** The longest time from one round to the next, in milliseconds, unless writing takes longer. */
  tickMsMax: number
  /** Told of each round: how long it wrote, and how many events it put before readers. */
  onRound: (tookMs: number, deliveries: number) => void
}

export class Lane {
  readonly #options: LaneOptions
  #dirty: LiveTimeline[] = []
  /** Readers of the round under way, and the first that has not been written to. */
  #readers: Reader[] = []
  #next = 0
  #scheduled = false
  #startedAtMs = 0
  /** On the monotonic clock: no round before this moment. */
  #notBeforeMs = Number.NEGATIVE_INFINITY
  #tookMs = 0
  #deliveries = 0

  constructor(options: LaneOptions) {
    this.#options = options
  }

  /** True while a round is under way that takes more than one turn. */
  get isWriting(): boolean {
    return this.#readers.length > 0
  }

  /** Phase 1. */
  gather(timeline: LiveTimeline): void {
    if (timeline.dirty) return
    timeline.dirty = true
    this.#dirty.push(timeline)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled || this.#dirty.length === 0) return
    this.#scheduled = true
    const waitMs = this.#notBeforeMs - this.#options.clock.monotonicMs()
    if (waitMs < 1) setImmediate(this.#begin)
    else setTimeout(this.#begin, waitMs)
  }

  readonly #begin = (): void => {
    this.#startedAtMs = this.#options.clock.monotonicMs()
    this.#tookMs = 0
    this.#deliveries = 0
    const dirty = this.#dirty
    this.#dirty = []
    for (const timeline of dirty) this.#handOut(timeline)
    this.#write(this.#startedAtMs)
  }

  /** Phase 2. */
  #handOut(timeline: LiveTimeline): void {
    timeline.dirty = false
    const events = timeline.tail.after(timeline.flushed) ?? []
    const slices = cut(timeline, events)
    for (const reader of timeline.readers) {
      // One that has fallen behind reads on by its feed.
      if (!reader.ended && reader.feedOf(timeline) === undefined) this.#put(reader, slices)
    }
    this.#deliveries += timeline.readers.length * events.length
    timeline.flushed = timeline.head
    timeline.charsAtFlushed = timeline.charsAtHead
    timeline.flushedAtMs = this.#startedAtMs
    const { joining } = timeline
    timeline.joining = []
    for (const feed of joining) feed.run()
    this.#options.hub.trim(timeline)
  }

  #put(reader: Reader, slices: readonly Slice[]): void {
    if (reader.due === undefined) reader.due = [...slices]
    else reader.due.push(...slices)
    // What the other lane holds for it goes along: who is in both must not wait for the wide one.
    if (reader.listedBy === this) return
    reader.listedBy = this
    this.#readers.push(reader)
  }

  /** Phase 3. */
  #write(turnAtMs: number): void {
    const { clock } = this.#options
    const readers = this.#readers
    let nowMs = turnAtMs
    while (this.#next < readers.length && nowMs - turnAtMs < TURN_MS) {
      const end = Math.min(this.#next + WRITES_BETWEEN_LOOKS, readers.length)
      while (this.#next < end) this.#writeTo(readers[this.#next++]!)
      nowMs = clock.monotonicMs()
    }
    this.#tookMs += nowMs - turnAtMs
    if (this.#next < readers.length) setImmediate(this.#goOn)
    else this.#end()
  }

  readonly #goOn = (): void => this.#write(this.#options.clock.monotonicMs())

  #writeTo(reader: Reader): void {
    const { due } = reader
    reader.due = undefined
    reader.listedBy = undefined
    if (due === undefined || due.length === 0) return
    const taken = reader.ready ? reader.write(due) : 0
    if (taken < due.length && !reader.ended) this.#leaveBehind(reader, due.slice(taken))
  }

  #leaveBehind(reader: Reader, untaken: readonly Slice[]): void {
    for (const { timeline, after } of untaken) {
      if (reader.feedOf(timeline) !== undefined) continue
      const owed = untaken.filter((slice) => slice.timeline === timeline)
      const owedChars = owed.reduce((sum, { chars }) => sum + chars, 0)
      Feed.behind(this.#options.hub, timeline, { cursor: after, owedChars }, reader)
    }
  }

  #end(): void {
    const tookMs = this.#tookMs
    const writes = this.#readers.length
    // The part of all writes that was saved by gathering: none if each write held one event.
    const saved = this.#deliveries > writes ? 1 - writes / this.#deliveries : 0
    const apartMs = tookMs * (1 + WAIT_PART * saved)
    this.#readers = []
    this.#next = 0
    this.#scheduled = false
    this.#notBeforeMs = this.#startedAtMs + Math.min(apartMs, this.#options.tickMsMax)
    this.#options.onRound(tookMs, this.#deliveries)
    this.#schedule()
  }
}
