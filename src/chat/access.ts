/**
 * Who may go where. Every path to a timeline leads through here: a `Place` is both the answer and
 * the permission, so code that has one need not ask again.
 *
 * Everyone signed in may read and write every room, without joining. A direct conversation is
 * reached through the other person, so nobody can even name one that is not theirs. An inbox is
 * reached as "mine", and only the server writes to it.
 */
import { problem } from '../errors.ts'
import type { Label } from '../events.ts'
import type { Id, TimelineId, User } from '../types.ts'
import { directTimeline, inboxTimeline } from './ids.ts'
import type { Rooms } from './rooms.ts'
import type { Users } from './users.ts'

/** What a client names: a room, a person to talk with, or the own inbox. */
export type Target = { room: Id } | { user: Id } | { inbox: true }

export interface Place {
  readonly viewer: User
  readonly timeline: TimelineId
  /** What tells a reader of this timeline alone where its events stand. */
  readonly label: Label
  /** The inbox that messages posted here go to as well. */
  readonly inbox?: TimelineId
}

export class Access {
  readonly #rooms: Rooms
  readonly #users: Users

  constructor(rooms: Rooms, users: Users) {
    this.#rooms = rooms
    this.#users = users
  }

  /**
   * Throws, or rejects with, `no_such_room` or `no_such_user`. Answers at once for whatever is in
   * memory, which keeps the usual post free of waiting.
   */
  place(viewer: User, target: Target): Place | Promise<Place> {
    if ('room' in target) return this.#room(viewer, target.room)
    if ('user' in target) return this.#direct(viewer, target.user)
    return { viewer, timeline: inboxTimeline(viewer.id), label: null }
  }

  #room(viewer: User, id: Id): Place | Promise<Place> {
    const place: Place = { viewer, timeline: id, label: { field: 'room', id } }
    return whenFound(this.#rooms.find(id), 'no_such_room', place)
  }

  #direct(viewer: User, id: Id): Place | Promise<Place> {
    const timeline = directTimeline(viewer.id, id)
    const label: Label = { field: 'user', id }
    const place: Place = { viewer, timeline, label, inbox: inboxTimeline(id) }
    return whenFound(this.#users.find(id), 'no_such_user', place)
  }
}

function whenFound(
  found: object | undefined | Promise<object | undefined>,
  code: 'no_such_room' | 'no_such_user',
  place: Place,
): Place | Promise<Place> {
  if (found instanceof Promise) return found.then((late) => whenFound(late, code, place))
  if (found === undefined) throw problem(code)
  return place
}
