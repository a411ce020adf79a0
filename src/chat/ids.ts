/**
 * Ids. Those of users, rooms and sessions are 96 random bits; those of direct conversations and
 * inboxes are derived, so that they need not be looked up or made before the first message.
 */
import { hash, randomBytes } from 'node:crypto'
import type { Id, TimelineId } from '../types.ts'

const ID = /^[a-z][A-Za-z0-9_-]{16}$/

function randomId(kind: string): Id {
  return kind + randomBytes(12).toString('base64url')
}

export const newUserId = (): Id => randomId('u')
export const newRoomId = (): Id => randomId('r')
export const newSessionId = (): Id => randomId('s')

/** Whether a text can be an id at all; saves a look-up where it can't. */
export function isId(text: string): boolean {
  return ID.test(text)
}

/** The one timeline of a pair of users, whichever of them asks. The two may be the same. */
export function directTimeline(one: Id, other: Id): TimelineId {
  const pair = one < other ? `${one} ${other}` : `${other} ${one}`
  return `d${hash('sha256', pair, 'base64url').slice(0, 16)}`
}

export function inboxTimeline(user: Id): TimelineId {
  return `i${user.slice(1)}`
}
