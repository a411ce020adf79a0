/**
 * A run of events of one timeline, ascending and contiguous, and its frame in each format: made
 * when the first reader needs it, the same for all who get it.
 */
import type { Seq } from '../types.ts'
import type { LiveEvent } from './bus.ts'
import type { Format, Frame } from './format.ts'
import type { LiveTimeline } from './timeline.ts'

/**
 * Text in one slice; a single event may be larger than that. A reader that stalls has at most one
 * slice waiting in its socket, so ten thousand of them cost at most half a gigabyte.
 */
export const SLICE_CHARS = 49_152

export class Slice {
  readonly timeline: LiveTimeline
  readonly events: readonly LiveEvent[]
  readonly chars: number
  #format: Format | undefined
  #frame: Frame = ''
  /** Frames in further formats, by their key. */
  #others: Map<string, Frame> | undefined

  constructor(timeline: LiveTimeline, events: readonly LiveEvent[], chars: number) {
    this.timeline = timeline
    this.events = events
    this.chars = chars
  }

  /** The seq before its first event: where a reader must stand to be given it. */
  get after(): Seq {
    return this.events[0]!.seq - 1
  }

  /** Where a reader stands after it. */
  get last(): Seq {
    return this.events.at(-1)!.seq
  }

  frame(format: Format): Frame {
    if (format === this.#format) return this.#frame
    if (this.#format === undefined) {
      this.#format = format
      this.#frame = format.frame(this.timeline.id, this.events)
      return this.#frame
    }
    return this.#otherFrame(format)
  }

  #otherFrame(format: Format): Frame {
    if (format.key === this.#format!.key) return this.#frame
    this.#others ??= new Map()
    let frame = this.#others.get(format.key)
    if (frame === undefined) {
      frame = format.frame(this.timeline.id, this.events)
      this.#others.set(format.key, frame)
    }
    return frame
  }
}

/** Cuts a run of events so that no slice grows without bound. */
export function cut(timeline: LiveTimeline, events: readonly LiveEvent[]): Slice[] {
  const slices: Slice[] = []
  let from = 0
  let chars = 0
  for (let i = 0; i < events.length; i++) {
    const { length } = events[i]!.json
    if (i > from && chars + length > SLICE_CHARS) {
      slices.push(new Slice(timeline, events.slice(from, i), chars))
      from = i
      chars = 0
    }
    chars += length
  }
  if (from === 0 && events.length > 0) slices.push(new Slice(timeline, events, chars))
  else if (from < events.length) slices.push(new Slice(timeline, events.slice(from), chars))
  return slices
}
