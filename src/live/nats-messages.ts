/**
 * What nodes say to each other: the events of one timeline, a line of JSON for each, or a JSON list
 * of sessions that are over. Whoever reads it trusts no sender: what does not look as a node would
 * have written it is refused, so that it reaches no reader's frame.
 */
import type { Id, TimelineId } from '../types.ts'
import type { LiveEvent } from './bus.ts'

/**
 * Characters in one message, so that it fits into NATS' megabyte whatever they are: one takes three
 * bytes at the most. An event that is longer goes alone.
 */
export const MESSAGE_CHARS_MAX = 256 * 1024
/** Sessions in one message. */
const SESSIONS_MAX = 1_000
/** What may stand in a subject: no dot, no wildcard, no white space. */
const TOKEN = /^[A-Za-z0-9_-]{1,64}$/

export function isToken(text: string): boolean {
  return TOKEN.test(text)
}

/** The events of one commit as messages: for each timeline one, or several if it would be long. */
export function* eventMessages(events: readonly LiveEvent[]): Generator<[TimelineId, string]> {
  const open = new Map<TimelineId, string>()
  for (const { timeline, json } of events) {
    const before = open.get(timeline)
    if (before === undefined) open.set(timeline, json)
    else if (before.length + json.length < MESSAGE_CHARS_MAX)
      open.set(timeline, `${before}\n${json}`)
    else {
      yield [timeline, before]
      open.set(timeline, json)
    }
  }
  yield* open
}

/** The events of a message, or undefined if a node cannot have written it. */
export function readEvents(timeline: TimelineId, text: string): LiveEvent[] | undefined {
  const events: LiveEvent[] = []
  for (const json of text.split('\n')) {
    const seq = seqOf(json)
    if (seq === undefined) return undefined
    events.push({ timeline, seq, json })
  }
  return events
}

/** Of an event exactly as `encodeEvent` writes it, without anything around it. */
function seqOf(json: string): number | undefined {
  if (!json.startsWith('{"seq":') || !json.endsWith('}')) return undefined
  let event: { seq?: unknown; type?: unknown }
  try {
    event = JSON.parse(json)
  } catch {
    return undefined
  }
  const { seq, type } = event
  if (!Number.isSafeInteger(seq) || (seq as number) < 1 || typeof type !== 'string')
    return undefined
  return json.startsWith(`{"seq":${seq},"type":"`) ? (seq as number) : undefined
}

export function* sessionMessages(sessions: readonly Id[]): Generator<string> {
  for (let i = 0; i < sessions.length; i += SESSIONS_MAX)
    yield JSON.stringify(sessions.slice(i, i + SESSIONS_MAX))
}

/** The sessions of a message, or undefined if a node cannot have written it. */
export function readSessions(text: string): Id[] | undefined {
  let list: unknown
  try {
    list = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!Array.isArray(list) || list.length > SESSIONS_MAX) return undefined
  return list.every((id) => typeof id === 'string' && isToken(id)) ? list : undefined
}
