/** What the parts of a client share: who is signed in, the connection, the channels, the outbox. */
import { Channel } from './channel.ts'
import { systemClock } from './clock.ts'
import { Connection } from './connection.ts'
import type { ParleyError } from './errors.ts'
import { failure } from './failures.ts'
import { keyOf } from './history.ts'
import { request } from './http.ts'
import { PostOutbox } from './outbox.ts'
import type { Clock, Fetch, ParleyOptions, Place, PostStorage, Status, User } from './types.ts'

/** One sign-in. Another object takes its place when it ends, so late answers find it gone. */
export interface SignedIn {
  token?: string | undefined
  user?: User
  /** The server has just said who we are, so a new connection need not ask. */
  fresh?: boolean
}

interface Frame {
  timeline: string
  events?: { seq: number }[]
  caughtUp?: number
  heads?: Record<string, number>
}

export class Core {
  readonly url: string
  readonly cookie: boolean
  readonly clock: Clock
  readonly fetch: Fetch
  readonly WebSocket: typeof WebSocket | undefined
  readonly storage: PostStorage | undefined
  session: SignedIn
  readonly channels = new Map<string, Channel>()
  /** Those subscribed on the present connection, by the server's name for them. */
  readonly timelines = new Map<string, Channel>()
  readonly connection: Connection
  readonly outbox: PostOutbox
  readonly statusListeners = new Set<(status: Status) => void>()
  #told = JSON.stringify({ state: 'signed-out' })
  #soon = new Set<() => unknown>()

  constructor(options: ParleyOptions) {
    const origin = (globalThis as { location?: { origin: string } }).location?.origin
    const { url = origin, token } = options
    if (!url) throw new TypeError('Where is the server? Give a `url`.')
    this.url = url.replace(/\/+$/, '')
    this.cookie = options.cookie ?? (!token && this.url === origin)
    this.clock = options.clock ?? systemClock
    this.fetch = options.fetch ?? (((...given) => fetch(...given)) as typeof fetch)
    this.WebSocket = options.WebSocket ?? globalThis.WebSocket
    this.storage = options.storage
    this.session = { token }
    this.connection = new Connection(this)
    this.outbox = new PostOutbox(this)
  }

  get me(): User | undefined {
    return this.session.user
  }

  /** Something asks for a connection. */
  get wanted(): boolean {
    return !!this.me && (this.channels.size > 0 || this.outbox.hasUnsent)
  }

  get status(): Status {
    const { ready, retryAt, error } = this.connection
    if (!this.me) return { state: 'signed-out' }
    if (!this.wanted) return { state: 'idle' }
    if (retryAt) return { state: 'offline', retryAt, ...(error && { error }) }
    const live = ready && [...this.channels.values()].every((channel) => channel.live)
    return { state: live ? 'live' : 'catching-up' }
  }

  /** Something that `status` is made of may have changed. */
  changed(): void {
    for (const channel of this.channels.values()) channel.check()
    this.soon(this.#tellStatus)
  }

  readonly #tellStatus = (): void => {
    const { status } = this
    const now = JSON.stringify(status)
    if (now === this.#told) return
    this.#told = now
    tell(this.statusListeners, status)
  }

  /** Once, when what is being done now is done: a frame tells nobody twice. */
  soon(work: () => unknown): void {
    if (this.#soon.size === 0)
      queueMicrotask(() => {
        const all = this.#soon
        this.#soon = new Set()
        for (const one of all) one()
      })
    this.#soon.add(work)
  }

  /** Throws unless subscriptions and posts are possible. */
  requireMe(): User {
    if (!this.me) throw failure('not_signed_in', 401)
    if (!this.WebSocket) throw failure('no_websocket', 400)
    return this.me
  }

  async whoAmI(): Promise<User> {
    return (await request<User>(this, 'GET', '/me')).data
  }

  /** Whoever was signed in before is no longer. */
  begin(session: SignedIn): void {
    this.endSession(this.session)
    this.session = { ...session, fresh: true }
    this.outbox.load()
    this.connection.update()
    this.changed()
  }

  /** A session that is not the present one has ended already. */
  endSession(session: SignedIn, error?: ParleyError): void {
    if (session !== this.session) return
    this.session = {}
    this.connection.stop()
    this.outbox.stop()
    for (const channel of [...this.channels.values()]) channel.end(error)
    this.changed()
    this.outbox.changed()
  }

  channel(place: Place): Channel {
    const key = keyOf(place)
    let channel = this.channels.get(key)
    if (!channel) this.channels.set(key, (channel = new Channel(this, place, key)))
    return channel
  }

  connected(): void {
    for (const channel of this.channels.values()) channel.subscribe()
    this.outbox.pump()
    this.changed()
  }

  disconnected(): void {
    this.timelines.clear()
    for (const channel of this.channels.values()) channel.disconnected()
    this.changed()
  }

  /** A frame that nobody asked for. */
  hear({ timeline, events, caughtUp, heads }: Frame): void {
    const channel = this.timelines.get(timeline)
    if (events) channel?.run(events)
    if (caughtUp) channel?.raise(caughtUp)
    for (const id in heads) this.timelines.get(id)?.raise(heads[id]!)
  }
}

/** What a listener throws is its own affair: it is reported, and the others are told. */
export function tell<T>(listeners: Iterable<(value: T) => void>, value: T): void {
  for (const listener of [...listeners])
    try {
      listener(value)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
}

/** Adds it, and returns the function that takes it away again. */
export function listen<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}
