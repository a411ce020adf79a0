/**
 * The nouns every layer shares. Times in memory are milliseconds since the Unix epoch (`…At`);
 * they become RFC 3339 strings only at the rim.
 */

/** An opaque URL-safe string. The first letter tells the kind: `u`ser, `r`oom, `s`ession. */
export type Id = string

/** Names one timeline: a room's own id, or an id derived for a direct conversation or an inbox. */
export type TimelineId = string

/** An event's place in its timeline: 1, 2, 3 … without a hole. Also every reader's cursor. */
export type Seq = number

/** Who did something, as it appears on the wire. Names never change, so events may carry them. */
export interface Author {
  id: Id
  name: string
}

export interface User extends Author {
  createdAt: number
}

/** A user together with the secret part that never leaves `chat/users`. */
export interface Account extends User {
  passwordHash: string
}

export interface Session {
  id: Id
  userId: Id
  /** SHA-256 of the token, base64url. The token itself is known to its owner alone. */
  tokenHash: string
  /** The `User-Agent` of the sign-in, so that people recognise their own sessions. */
  userAgent: string
  createdAt: number
  usedAt: number
  expiresAt: number
}

export type SessionExpiry = Pick<Session, 'id' | 'expiresAt'>

/** A session, and whose it is: who asks for the one needs the other. */
export interface SignedIn {
  session: Session
  user: User
}

export interface Room {
  id: Id
  name: string
  createdAt: number
  createdBy: Id
}

/** A room as lists show it: with the last seq of its timeline. */
export interface RoomWithHead extends Room {
  head: Seq
}

/** What `chat` asks a store to append. The store gives it a seq and a time. */
export interface NewEvent {
  timeline: TimelineId
  type: string
  /** The author's user id: the scope of `key`. */
  author: Id
  /** A JSON object with the fields of this type, for a message `{"from":{…},"text":"…"}`. */
  body: string
  /** When it happened, as its node saw it. The store keeps times from running backwards. */
  at: number
  /** Idempotency key, 1–255 characters, unique for this author in this timeline, for ever. */
  key?: string | undefined
  /** An inbox to enter the event in as well, in the same atomic step. */
  inbox?: TimelineId | undefined
}

/** An event as it is kept. */
export interface StoredEvent {
  timeline: TimelineId
  seq: Seq
  type: string
  /** `null` for inbox entries: the server writes those, and they have no time of their own. */
  author: Id | null
  at: number
  body: string
}
