/** Those who talk and those who listen, and come back whatever is done to them. */
import type { Seen } from './history.ts'
import type { Draft, Journal, Person, Spot } from './journal.ts'
import {
  type Following,
  follow,
  type OpenSocket,
  openSocket,
  type Transport,
} from './transports.ts'

/** Before another attempt, so that a server that is down is not besieged. */
const RETRY_MS = 50
/** A talker says something this often, on average. */
const PAUSE_MS = 60
const ANSWER_MS_MAX = 10_000

/** The address of some node; asked for whenever somebody connects, as a balancer would answer. */
export type Where = () => string

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Says one thing after the other; each is repeated with its key until it is acknowledged. */
export abstract class Talker {
  protected readonly where: Where
  protected readonly journal: Journal
  protected readonly person: Person
  protected readonly spot: Spot
  #stopped = false

  constructor(where: Where, journal: Journal, person: Person, spot: Spot) {
    this.where = where
    this.journal = journal
    this.person = person
    this.spot = spot
  }

  /** Begins nothing new; what was begun is finished. */
  stop(): void {
    this.#stopped = true
  }

  async talk(): Promise<void> {
    while (!this.#stopped) {
      const draft = this.journal.draft(this.person.name)
      for (;;) {
        const invokedAt = this.journal.sending(draft)
        const answer = await this.post(draft).catch(() => ({}))
        if (this.journal.sent(draft, this.spot, invokedAt, answer)) break
        await pause(RETRY_MS)
      }
      await pause(Math.random() * 2 * PAUSE_MS)
    }
    this.cut()
  }

  protected abstract post(draft: Draft): Promise<{ seq?: number; code?: string }>
  /** Breaks the connection, if there is one at this moment. */
  abstract cut(): void
}

export class HttpTalker extends Talker {
  #abort = new AbortController()

  protected async post({ key, text }: Draft) {
    this.#abort = new AbortController()
    const response = await fetch(`${this.where()}${this.spot.path}/messages`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${this.person.token}`,
        'content-type': 'application/json',
        'idempotency-key': key,
      },
      body: JSON.stringify({ text }),
      signal: AbortSignal.any([this.#abort.signal, AbortSignal.timeout(ANSWER_MS_MAX)]),
    })
    return (await response.json()) as { seq?: number; code?: string }
  }

  cut(): void {
    this.#abort.abort()
  }
}

export class SocketTalker extends Talker {
  #socket: OpenSocket | undefined
  #lastId = 1
  #answered: ((frame: Record<string, unknown>) => void) | undefined

  protected async post({ key, text }: Draft) {
    const socket = (this.#socket ??= this.#open())
    const id = ++this.#lastId
    const answer = new Promise<{ seq?: number; code?: string }>((resolve) => {
      this.#answered = ({ re, ok, error }) => {
        if (re === id) resolve((ok ?? error) as object)
      }
    })
    socket.send({ id, op: 'post', ...this.spot.frame, text, key })
    const late = pause(ANSWER_MS_MAX).then(() => this.cut())
    return Promise.race([answer, socket.closed.then(() => ({})), late.then(() => ({}))])
  }

  #open(): OpenSocket {
    const socket = openSocket(this.where(), this.person.token, (frame) => this.#answered?.(frame))
    void socket.closed.then(() => {
      if (this.#socket === socket) this.#socket = undefined
    })
    return socket
  }

  cut(): void {
    this.#socket?.cut()
  }
}

/** Follows one timeline from its beginning, and goes on from its cursor whenever it was cut off. */
export class Listener {
  readonly spot: Spot
  readonly transport: Transport
  readonly #where: Where
  readonly #journal: Journal
  readonly #person: Person
  #cursor = 0
  #events: Seen[] = []
  #now: Following | undefined
  #stopped = false

  constructor(where: Where, journal: Journal, person: Person, spot: Spot, transport: Transport) {
    this.#where = where
    this.#journal = journal
    this.#person = person
    this.spot = spot
    this.transport = transport
  }

  get cursor(): number {
    return this.#cursor
  }

  async listen(): Promise<void> {
    const { spot, transport } = this
    const reader = { reader: this.#person.name, via: transport, timeline: spot.timeline }
    while (!this.#stopped) {
      const after = this.#cursor
      this.#events = []
      this.#now = follow(transport, {
        ...{ url: this.#where(), token: this.#person.token, spot, after },
        onEvent: (event) => {
          this.#events.push({ ...event, at: this.#journal.now() })
          this.#journal.seen(event.text)
          this.#cursor = Math.max(this.#cursor, event.seq)
        },
      })
      await this.#now.ended
      const events = this.#events
      this.#journal.readings.push({ ...reader, after, events, toTheEnd: this.#stopped })
      if (!this.#stopped) await pause(RETRY_MS)
    }
  }

  cut(): void {
    this.#now?.cut()
  }

  /** For good: what it has by now is all that it was given. */
  stop(): void {
    this.#stopped = true
    this.cut()
  }
}
