/** An event as it stands in the store, made into what travels and waits in tails. */
import { encodeEvent } from '../events.ts'
import type { StoredEvent } from '../types.ts'
import type { LiveEvent } from './bus.ts'

export function liveEvent(event: StoredEvent): LiveEvent {
  const { timeline, seq } = event
  return { timeline, seq, json: inOnePiece(encodeEvent(event)) }
}

const BRACE = 0x7b

/**
 * The same text. The runtime keeps what was concatenated as a tree of its parts, ten strings for an
 * event, and a tail would keep them all; to look at a character puts the text together.
 */
function inOnePiece(json: string): string {
  if (json.charCodeAt(0) !== BRACE) throw new Error('An event is an object.')
  return json
}
