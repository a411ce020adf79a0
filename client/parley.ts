/** The client: accounts, rooms and people, and the way to timelines. */
import { Core, listen } from './core.ts'
import { unreachable } from './failures.ts'
import { queryOf } from './history.ts'
import { request } from './http.ts'
import { PlaceTimeline } from './timeline.ts'
import type {
  InboxEntry,
  Message,
  Outbox,
  ParleyOptions,
  Place,
  Room,
  Session,
  Status,
  Timeline,
  User,
} from './types.ts'

/**
 * One person at one server. Every method that asks the server rejects with `ParleyError`; a session
 * that has ended makes `status` `signed-out` and ends all subscriptions.
 */
export class Parley {
  readonly #core: Core
  readonly #stopListening: () => void

  /** Throws a `TypeError` if there is no `url`, and no page to take it from. */
  constructor(options: ParleyOptions = {}) {
    this.#core = new Core(options)
    this.#stopListening = listenToNetwork(this.#core)
  }

  get url(): string {
    return this.#core.url
  }

  /** Set by `signIn` and `resume`; undefined when signed out. */
  get me(): User | undefined {
    return this.#core.me
  }

  /** The session's token, to be kept by a program; never there when the cookie signs in. */
  get token(): string | undefined {
    return this.#core.session.token
  }

  get status(): Status {
    return this.#core.status
  }

  /** Told of each change of `status`; the returned function stops it. */
  onStatus(listener: (status: Status) => void): () => void {
    return listen(this.#core.statusListeners, listener)
  }

  /** Makes an account, and does not sign in. */
  signUp(name: string, password: string): Promise<User> {
    return this.#ask('POST', '/users', { name, password })
  }

  async signIn(name: string, password: string): Promise<User> {
    const core = this.#core
    const { token, user } = await this.#ask<{ token: string; user: User }>('POST', '/sessions', {
      name,
      password,
    })
    core.begin({ token: core.cookie ? undefined : token, user })
    return user
  }

  /**
   * Who the token or the cookie stands for; undefined if it stands for nobody (any more). Rejects
   * when the server cannot be reached.
   */
  async resume(): Promise<User | undefined> {
    const core = this.#core
    const { session } = core
    try {
      const user = await core.whoAmI()
      if (session !== core.session) return core.me
      if (user.id !== core.me?.id) core.begin({ token: session.token, user })
      return user
    } catch (error) {
      if ((error as { status?: number }).status === 401) return undefined
      throw error
    }
  }

  /** Ends the session, forgets the token and what is kept in `storage` for this user. */
  async signOut(): Promise<void> {
    const core = this.#core
    const { session } = core
    // Now, so that the server's closing it is not taken for something that has happened to us.
    core.connection.stop()
    try {
      await this.#ask('DELETE', '/session')
    } catch (error) {
      core.connection.update()
      if (core.session === session) throw error
    }
    core.outbox.forgetOf(session.user)
    core.endSession(session)
  }

  listSessions(): Promise<Session[]> {
    return this.#ask('GET', '/sessions')
  }

  endSession(id: string): Promise<void> {
    return this.#ask('DELETE', `/sessions/${encodeURIComponent(id)}`)
  }

  /** Names that begin with `prefix`. At most `limit`: 1–1000, 100 by default. */
  listUsers(prefix?: string, limit?: number): Promise<User[]> {
    return this.#ask('GET', `/users${queryOf({ name: prefix, limit })}`)
  }

  getUser(id: string): Promise<User> {
    return this.#ask('GET', `/user/${encodeURIComponent(id)}`)
  }

  /** All rooms by name, unless there is a `limit`. */
  listRooms({ prefix, limit }: { prefix?: string; limit?: number } = {}): Promise<Room[]> {
    return this.#ask('GET', `/rooms${queryOf({ name: prefix, limit })}`)
  }

  getRoom(id: string): Promise<Room> {
    return this.#ask('GET', `/room/${encodeURIComponent(id)}`)
  }

  createRoom(name: string): Promise<Room> {
    return this.#ask('POST', '/rooms', { name })
  }

  room(id: string): Timeline<Message> {
    return this.#timeline({ room: id })
  }

  /** My direct conversation with a user. */
  user(id: string): Timeline<Message> {
    return this.#timeline({ user: id })
  }

  get inbox(): Timeline<InboxEntry> {
    return this.#timeline({ inbox: true })
  }

  get outbox(): Outbox {
    return this.#core.outbox
  }

  /**
   * Closes the connection, ends all subscriptions and forgets who was signed in. The session goes
   * on, and unsent posts stay in `storage`.
   */
  close(): void {
    this.#stopListening()
    this.#core.endSession(this.#core.session)
  }

  /** Tries now rather than at `retryAt`. */
  reconnect(): void {
    this.#core.connection.reconnect()
  }

  #timeline<E extends { seq: number }>(place: Place): Timeline<E> {
    return new PlaceTimeline<E>(this.#core, place)
  }

  async #ask<T>(method: string, path: string, body?: object): Promise<T> {
    return (await request<T>(this.#core, method, path, body)).data
  }
}

/** Where there is a global scope that tells, browsers first of all. */
function listenToNetwork(core: Core): () => void {
  const scope = globalThis as Partial<Pick<EventTarget, 'addEventListener' | 'removeEventListener'>>
  const hear = ({ type }: Event) => {
    if (type === 'online') core.connection.reconnect()
    else if (core.wanted) core.connection.lose(unreachable())
  }
  const types = ['online', 'offline']
  for (const type of types) scope.addEventListener?.(type, hear)
  return () => {
    for (const type of types) scope.removeEventListener?.(type, hear)
  }
}
