/**
 * How an event looks as JSON text. Encoding happens once per event and process; whatever differs
 * from reader to reader (`room`, `user`) is the label, put in at the end.
 */
import type { Id, NewEvent, Seq, StoredEvent } from './types.ts'

/** Milliseconds since the Unix epoch → `2026-11-22T20:15:03.120Z`. */
export function isoTime(ms: number): string {
  if (ms !== lastTime.ms) {
    lastTime.ms = ms
    lastTime.text = new Date(ms).toISOString()
  }
  return lastTime.text
}

/** Under load a millisecond has many events, and writing a time costs more than finding it here. */
const lastTime = { ms: Number.NaN, text: '' }

/** What tells a reader of one timeline alone where an event stands: nothing in an inbox. */
export type Label = { field: 'room' | 'user'; id: Id } | null

/**
 * `{"seq":42,"type":"message","at":"…","from":{…},"text":"…"}`, with `"room":"…"` or `"user":"…"`
 * at its end if there is a label.
 */
export function encodeEvent(event: Omit<StoredEvent, 'timeline'>, label: Label = null): string {
  const time = event.author === null ? '' : `"at":"${isoTime(event.at)}",`
  const start = `{"seq":${event.seq},"type":"${event.type}",${time}`
  return label === null
    ? start + event.body.slice(1)
    : `${start}${event.body.slice(1, -1)}${ending(label)}`
}

/** Adds the label to an event that is encoded already. */
export function labelled(json: string, label: Label): string {
  return label === null ? json : `${json.slice(0, -1)}${ending(label)}`
}

/** Ids are ours and need no escaping. */
function ending({ field, id }: NonNullable<Label>): string {
  return `,"${field}":"${id}"}`
}

/**
 * The body of the inbox entry for a direct event that now stands at `seq`: the event whole, as its
 * receiver sees it, so `user` is the author.
 */
export function inboxBody(event: NewEvent, seq: Seq, at: number): string {
  const label: Label = { field: 'user', id: event.author }
  return `{"message":${encodeEvent({ ...event, seq, at }, label)}}`
}

/** The type of every inbox entry. */
export const INBOX_ENTRY = 'direct'
