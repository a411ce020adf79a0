/**
 * How an event looks as JSON text. Encoding happens once per event and process; whatever differs
 * from reader to reader (`room`, `user`) is added to the finished text by `placed`.
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

/** The shared text of an event: `{"seq":42,"type":"message","at":"…","from":{…},"text":"…"}`. */
export function encodeEvent(event: Omit<StoredEvent, 'timeline'>): string {
  const time = event.author === null ? '' : `"at":"${isoTime(event.at)}",`
  return `{"seq":${event.seq},"type":"${event.type}",${time}${event.body.slice(1)}`
}

/** Adds one field to an encoded event. `id` is an id of ours and needs no escaping. */
export function placed(json: string, field: 'room' | 'user', id: Id): string {
  return `${json.slice(0, -1)},"${field}":"${id}"}`
}

/**
 * The body of the inbox entry for a direct event that now stands at `seq`: the event whole, as its
 * receiver sees it, so `user` is the author.
 */
export function inboxBody(event: NewEvent, seq: Seq, at: number): string {
  return `{"message":${placed(encodeEvent({ ...event, seq, at }), 'user', event.author)}}`
}

/** The type of every inbox entry. */
export const INBOX_ENTRY = 'direct'
