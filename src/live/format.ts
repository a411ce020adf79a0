/**
 * How events become bytes for one kind of reader. A format is shared: all readers of a timeline
 * whose format has the same `key` get the very same text, made once a flush.
 */
import { type Label, labelled } from '../events.ts'
import type { Seq, TimelineId } from '../types.ts'
import type { LiveEvent } from './bus.ts'

/** Text in one frame; a single event may be larger than that. */
const FRAME_CHARS = 262_144

export interface Format {
  /** Equal keys mean equal text for equal events of one timeline. */
  readonly key: string
  /** `events` are ascending, contiguous, at least one. */
  frame(timeline: TimelineId, events: readonly LiveEvent[]): string
}

function labelKey(label: Label): string {
  return label === null ? '' : `${label.field}=${label.id}`
}

/** WebSocket: `{"timeline":"…","events":[…]}`. */
export const socketFormat: Format = {
  key: 'ws',
  frame: (timeline, events) =>
    `{"timeline":"${timeline}","events":[${events.map((event) => event.json).join(',')}]}`,
}

/** NDJSON: one event a line. */
export function linesFormat(label: Label): Format {
  return {
    key: `lines ${labelKey(label)}`,
    frame: (_, events) => events.map((event) => `${labelled(event.json, label)}\n`).join(''),
  }
}

/** Server-Sent Events: the cursor is `epoch:seq`. */
export function eventStreamFormat(label: Label, epoch: string): Format {
  const one = ({ seq, json }: LiveEvent) =>
    `id: ${cursorId(epoch, seq)}\ndata: ${labelled(json, label)}\n\n`
  return {
    key: `sse ${labelKey(label)}`,
    frame: (_, events) => events.map(one).join(''),
  }
}

export function cursorId(epoch: string, seq: Seq): string {
  return `${epoch}:${seq}`
}

/** Cuts a run of events so that no frame grows without bound. */
export function* slices(events: readonly LiveEvent[]): Generator<readonly LiveEvent[]> {
  let from = 0
  let chars = 0
  for (let i = 0; i < events.length; i++) {
    const length = events[i]!.json.length
    if (i > from && chars + length > FRAME_CHARS) {
      yield events.slice(from, i)
      from = i
      chars = 0
    }
    chars += length
  }
  if (from < events.length) yield events.slice(from)
}
