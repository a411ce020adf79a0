/**
 * A model of the server: timelines, sessions and idempotency keys in memory, HTTP and WebSocket as
 * the protocol has them, and nothing of how the real one does it. What it has ever committed stays
 * known, by epoch, so that a test can say what was true when.
 */
import type { InboxEntry, Message, Place } from '../../../client/types.ts'
import type { SimClock } from './clock.ts'

export type AnyEvent = Message | InboxEntry

export interface Answer {
  status: number
  body?: unknown
  headers?: Record<string, string>
}

export interface ServerConnection {
  user: string | undefined
  /** Timeline → the last seq sent. */
  subscriptions: Map<string, number>
  send(frame: object): void
  close(code: number, reason: string): void
}

const PAGE_DEFAULT = 10
/** Smaller than what the library asks for, so that it has to give in. */
const PAGE_MAX = 40
/** Events in one frame. */
const RUN_MAX = 7
export const TOO_LONG = 'too long'

export class ModelServer {
  epoch = 'E1'
  /** What there is. */
  logs = new Map<string, AnyEvent[]>()
  /** All that there ever was, by epoch. */
  readonly committed = new Map<string, Map<string, AnyEvent[]>>()
  readonly tokens = new Map<string, string>()
  readonly connections = new Set<ServerConnection>()
  isFull = false
  /** Answers to posts that are refused for now; counts down. */
  refusals = 0
  #keys = new Map<string, AnyEvent>()
  #epochs = 1
  readonly #clock: SimClock

  constructor(clock: SimClock) {
    this.#clock = clock
  }

  log(timeline: string): AnyEvent[] {
    const log = this.logs.get(timeline) ?? []
    this.logs.set(timeline, log)
    return log
  }

  timelineOf(user: string, place: Place): string {
    if ('room' in place) return place.room
    return 'user' in place ? `d-${[user, place.user].sort().join('-')}` : `i-${user}`
  }

  /** Everything that epoch ever had at this seq. */
  eventAt(epoch: string, timeline: string, seq: number): AnyEvent | undefined {
    return this.committed.get(epoch)?.get(timeline)?.[seq - 1]
  }

  commit(user: string, place: Place, text: string, key?: string): AnyEvent {
    const timeline = this.timelineOf(user, place)
    const used = `${timeline} ${user} ${key}`
    const known = key === undefined ? undefined : this.#keys.get(used)
    if (known) return known
    const at = new Date(this.#clock.now()).toISOString()
    const from = { id: user, name: user }
    const message: Message = { seq: 0, type: 'message', at, from, text }
    const event = this.#append(timeline, message)
    if (key !== undefined) this.#keys.set(used, event)
    if ('user' in place)
      this.#append(`i-${place.user}`, {
        seq: 0,
        type: 'direct',
        message: { ...(event as Message), user },
      })
    return event
  }

  #append<E extends AnyEvent>(timeline: string, event: E): E {
    const log = this.log(timeline)
    const numbered = { ...event, seq: log.length + 1 }
    log.push(numbered)
    const ever = this.committed.get(this.epoch) ?? new Map<string, AnyEvent[]>()
    this.committed.set(this.epoch, ever)
    ever.set(timeline, log)
    for (const connection of this.connections) this.#push(connection, timeline)
    return numbered
  }

  /** Brings back an older state, as a backup does: under a new epoch. */
  restore(keep: number): void {
    this.#epochs += 1
    this.epoch = `E${this.#epochs}`
    this.logs = new Map(
      [...this.logs].map(([id, log]) => [id, log.slice(0, Math.floor(log.length * keep))]),
    )
    this.committed.set(this.epoch, new Map(this.logs))
    const left = new Set([...this.logs.values()].flat())
    this.#keys = new Map([...this.#keys].filter(([, event]) => left.has(event)))
  }

  /** Every connection is told, or not, that it is over; `unseen` ones are just not answered. */
  closeAll(code: number, reason = ''): void {
    for (const connection of [...this.connections]) connection.close(code, reason)
  }

  endSession(token: string): void {
    const user = this.tokens.get(token)
    this.tokens.delete(token)
    for (const connection of [...this.connections])
      if (connection.user === user) connection.close(4401, 'signed out')
  }

  /** Proof of completeness, as the heartbeat brings it. */
  beat(): void {
    for (const { subscriptions, send } of this.connections)
      if (subscriptions.size > 0) send({ heads: Object.fromEntries(subscriptions) })
  }

  receive(connection: ServerConnection, frame: Record<string, unknown>): void {
    const { id, op, ...rest } = frame
    const reply = (ok: object) => connection.send({ re: id, ok })
    const refuse = (error: object) => connection.send({ re: id, error })
    if (op === 'auth') {
      connection.user = this.tokens.get(rest.token as string)
      if (connection.user !== undefined) return reply({ user: userOf(connection.user) })
      refuse({ status: 401, code: 'not_signed_in' })
      return connection.close(4401, 'not signed in')
    }
    if (connection.user === undefined) return connection.close(4401, 'not signed in')
    if (op === 'ping') return reply({})
    if (op === 'post') return this.#post(connection.user, rest, reply, refuse)
    if (op === 'subscribe') return this.#subscribe(connection, rest, reply, refuse)
    if (!connection.subscriptions.delete(rest.timeline as string))
      return refuse({ status: 404, code: 'not_subscribed' })
    reply({})
  }

  #post(
    user: string,
    { text, key, ...place }: Record<string, unknown>,
    reply: (ok: object) => void,
    refuse: (error: object) => void,
  ): void {
    const refusal = this.#refusal(user, { ...place, text, key })
    if (refusal) return refuse(refusal)
    const { seq, at } = this.commit(user, place as Place, text as string, key as string) as Message
    reply({ timeline: this.timelineOf(user, place as Place), seq, at })
  }

  #refusal(user: string, post: Record<string, unknown>): object | undefined {
    const { text, key, ...place } = post as { text: string; key: string }
    if ('inbox' in place) return { status: 400, code: 'unknown_field' }
    if (this.#keys.has(`${this.timelineOf(user, place as Place)} ${user} ${key}`)) return undefined
    if (text.includes(TOO_LONG)) return { status: 413, code: 'text_too_long' }
    if (this.isFull) return { status: 507, code: 'storage_full' }
    if (this.refusals === 0) return undefined
    this.refusals -= 1
    return this.refusals % 2 === 0
      ? { status: 503, code: 'store_unavailable' }
      : { status: 429, code: 'rate_limited', retryAfter: 2 }
  }

  #subscribe(
    connection: ServerConnection,
    { after, epoch, ...place }: Record<string, unknown>,
    reply: (ok: object) => void,
    refuse: (error: object) => void,
  ): void {
    if ('room' in place && !/^r\d$/.test(place.room as string))
      return refuse({ status: 404, code: 'no_such_room' })
    const timeline = this.timelineOf(connection.user!, place as Place)
    if (connection.subscriptions.has(timeline))
      return refuse({ status: 409, code: 'already_subscribed' })
    const head = this.log(timeline).length
    const cursor = after as number | undefined
    const known = (epoch ?? this.epoch) === this.epoch && (cursor ?? 0) <= head
    const recovered = cursor === undefined || known
    connection.subscriptions.set(timeline, recovered ? (cursor ?? head) : head)
    reply({ timeline, epoch: this.epoch, head, recovered })
    this.#push(connection, timeline)
    connection.send({ timeline, caughtUp: this.log(timeline).length })
  }

  #push({ subscriptions, send }: ServerConnection, timeline: string): void {
    let sent = subscriptions.get(timeline)
    if (sent === undefined) return
    const log = this.log(timeline)
    while (sent < log.length) {
      const events = log.slice(sent, sent + 1 + Math.floor(this.#clock.random() * RUN_MAX))
      sent += events.length
      subscriptions.set(timeline, sent)
      send({ timeline, events })
    }
  }

  /** A request over HTTP, answered with what is true now. */
  answer(method: string, path: string, token: string | undefined, body: unknown): Answer {
    const user = this.tokens.get(token ?? '')
    if (user === undefined) return problem(401, 'not_signed_in')
    const { pathname, searchParams } = new URL(path, 'http://sim')
    if (pathname === '/me') return { status: 200, body: userOf(user) }
    const [, kind, id] = /^(?:\/(room|user)\/([^/]+))?\/messages$/.exec(pathname) ?? []
    const place = (kind === undefined ? { inbox: true } : { [kind]: id }) as Place
    if (method === 'GET') return this.#page(user, place, searchParams)
    const { text, key } = body as { text: string; key: string }
    const refusal = this.#refusal(user, { ...place, text, key }) as { status: number } | undefined
    if (refusal) return { status: refusal.status, body: refusal }
    return { status: 201, body: labelled(this.commit(user, place, text, key), place) }
  }

  #page(user: string, place: Place, query: URLSearchParams): Answer {
    const number = (name: string) => (query.has(name) ? Number(query.get(name)) : undefined)
    const limit = number('limit') ?? PAGE_DEFAULT
    if (limit > PAGE_MAX) return problem(400, 'limit_out_of_range')
    const log = this.log(this.timelineOf(user, place))
    const [before, after, around] = [number('before'), number('after'), number('around')]
    const known = (query.get('epoch') ?? this.epoch) === this.epoch && (after ?? 0) <= log.length
    let end = log.length
    if (before !== undefined) end = Math.min(end, before - 1)
    if (after !== undefined) end = Math.min(end, after + limit)
    if (around !== undefined) end = Math.min(end, around + Math.floor(limit / 2))
    const start = after ?? Math.max(0, end - limit)
    const events = known ? log.slice(start, end).map((event) => labelled(event, place)) : []
    const headers = {
      'Parley-Epoch': this.epoch,
      ...(!known && { 'Parley-Recovered': 'false' }),
      ...(end < log.length && { Link: '<x>; rel="next"' }),
    }
    return { status: 200, body: events, headers }
  }
}

function labelled(event: AnyEvent, place: Place): AnyEvent {
  return 'inbox' in place ? event : { ...(event as Message), ...place }
}

function userOf(id: string): object {
  return { id, name: id, createdAt: '2026-01-01T00:00:00.000Z' }
}

function problem(status: number, code: string): Answer {
  return { status, body: { status, code } }
}
