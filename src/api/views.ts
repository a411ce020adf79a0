/** How our nouns look on the wire. Ids and times only; no secret has a way through here. */
import type { Viewer } from '../chat/sessions.ts'
import { isoTime } from '../events.ts'
import type { RoomWithHead, Session, User } from '../types.ts'

export function userView({ id, name, createdAt }: User) {
  return { id, name, createdAt: isoTime(createdAt) }
}

export function roomView({ id, name, head, createdAt, createdBy }: RoomWithHead) {
  return { id, name, head, createdAt: isoTime(createdAt), createdBy }
}

export function sessionView(session: Session, viewer: Viewer) {
  return {
    id: session.id,
    userAgent: session.userAgent,
    createdAt: isoTime(session.createdAt),
    lastUsedAt: isoTime(session.usedAt),
    expiresAt: isoTime(session.expiresAt),
    current: session.id === viewer.session.id,
  }
}

export function signedInView(token: string, { user, session }: Viewer) {
  return { token, user: userView(user), expiresAt: isoTime(session.expiresAt) }
}
