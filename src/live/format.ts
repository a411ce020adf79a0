/**
 * How events become bytes for one kind of reader. A format is shared: all readers of a timeline
 * whose format has the same `key` get the very same frame, made once.
 */
import { deflateRawSync } from 'node:zlib'
import { type Label, labelled } from '../events.ts'
import type { Seq, TimelineId } from '../types.ts'
import type { LiveEvent } from './bus.ts'

/** Text, or bytes where a format packs them. */
export type Frame = string | Uint8Array

export interface Format {
  /** Equal keys mean equal frames for equal events of one timeline. */
  readonly key: string
  /** `events` are ascending, contiguous, at least one. */
  frame(timeline: TimelineId, events: readonly LiveEvent[]): Frame
}

function labelKey(label: Label): string {
  return label === null ? '' : `${label.field}=${label.id}`
}

/** WebSocket: `{"timeline":"…","events":[…]}`. */
export const socketFormat = {
  key: 'ws',
  frame: (timeline: TimelineId, events: readonly LiveEvent[]) =>
    `{"timeline":"${timeline}","events":[${events.map((event) => event.json).join(',')}]}`,
} satisfies Format

/** Shorter frames stay text: deflated they would save less than a packet's headers. */
const DEFLATED_CHARS_MIN = 512

/**
 * WebSocket, for those who asked for it: the same frame, deflated (RFC 1951, no header) once for
 * all of them, as a binary frame. Browsers inflate it with `DecompressionStream('deflate-raw')`.
 */
export const deflatedFormat: Format = {
  key: 'ws deflated',
  frame(timeline, events) {
    const text = socketFormat.frame(timeline, events)
    return text.length < DEFLATED_CHARS_MIN ? text : deflateRawSync(text)
  },
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
