/**
 * A run: people who post and follow, by every transport, while the test does what it likes to the
 * server. Everything is noted for the checker. Whoever loses the connection comes back as a good
 * client does: readers from their cursor, posters with the same key.
 */

import type { Seq } from '../../src/types.ts'
import { faultsOf } from '../../src/verify/checker.ts'
import type { Attempt, Fault, Reading, Seen } from '../../src/verify/history.ts'
import { type Message, Person, until } from '../harness.ts'
import { type Arrivals, Socket, Stream } from '../live.ts'

/** Where something is posted, in the two ways in which it can be said. */
export interface Spot {
  timeline: string
  path: string
  frame: { room: string } | { user: string }
}

export function roomSpot(id: string): Spot {
  return { timeline: id, path: `/room/${id}`, frame: { room: id } }
}

interface Draft {
  client: string
  key: string
  text: string
}

/** Codes that say that nothing was done. */
const REFUSED = new Set(['overloaded', 'storage_full', 'store_unavailable', 'rate_limited'])

export class Run {
  /** Asked for its address whenever somebody connects. */
  readonly server: { readonly url: string }
  readonly attempts: Attempt[] = []
  readonly readings: Reading[] = []
  /** Posters begin nothing new; what they have begun they finish. */
  stopping = false
  /** How many attempts were acknowledged; and how many of those found the post there already. */
  acknowledged = 0
  replayed = 0
  /** How long one post is tried over HTTP. */
  patienceMs = 20_000
  /** What each author leaves between one post and the next, where the load is to be light. */
  pauseMs = 0
  #lastKey = 0

  constructor(server: { readonly url: string }) {
    this.server = server
  }

  now(): number {
    return performance.now()
  }

  /** The same person at the address the server has now. */
  at({ id, name, token }: Person): Person {
    return new Person(this.server.url, id, name, token)
  }

  draft(client: string): Draft {
    this.#lastKey += 1
    return { client, key: `key ${this.#lastKey}`, text: `text ${this.#lastKey} of ${client}` }
  }

  note(
    draft: Draft,
    spot: Spot,
    invokedAt: number,
    result: { seq?: number; code?: string; replayed?: boolean },
  ): boolean {
    const { seq, code, replayed } = result
    if (seq !== undefined) this.acknowledged += 1
    if (replayed) this.replayed += 1
    const outcome = seq !== undefined ? 'ok' : REFUSED.has(code ?? '') ? 'failed' : 'unknown'
    const times = { invokedAt, completedAt: this.now() }
    const place = { timeline: spot.timeline, outcome } as const
    this.attempts.push({ ...draft, ...times, ...place, ...(seq !== undefined && { seq }) })
    return seq !== undefined
  }

  /** One try over HTTP; true if it was acknowledged. */
  async tryHttp(author: Person, spot: Spot, draft: Draft): Promise<boolean> {
    const invokedAt = this.now()
    try {
      const response = await this.at(author).fetch(`${spot.path}/messages`, {
        method: 'POST',
        json: { text: draft.text },
        headers: { 'idempotency-key': draft.key },
      })
      const answer = (await response.json()) as { seq?: number; code?: string }
      return this.note(draft, spot, invokedAt, { ...answer, replayed: response.status === 200 })
    } catch {
      return this.note(draft, spot, invokedAt, {})
    }
  }

  /** Posts one after the other over HTTP until the run stops. */
  async postHttp(author: Person, spot: Spot): Promise<void> {
    while (!this.stopping) {
      const draft = this.draft(author.name)
      const isIn = () => this.tryHttp(author, spot, draft)
      await until(isIn, `${draft.key} is acknowledged`, this.patienceMs)
      await this.#pause()
    }
  }

  /** Keeps some posts in flight over a WebSocket until the run stops; resends what was cut off. */
  async postSocket(author: Person, spot: Spot, inFlight = 8): Promise<void> {
    let waiting: Draft[] = []
    while (!this.stopping || waiting.length > 0) {
      const socket = await Socket.of(this.at(author)).catch(() => undefined)
      if (socket === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 5))
        continue
      }
      let open = true
      const closed = socket.closed.then(() => {
        open = false
        return undefined
      })
      while (open && (!this.stopping || waiting.length > 0)) {
        while (!this.stopping && waiting.length < inFlight) waiting.push(this.draft(author.name))
        const tries = waiting.map((draft) => this.trySocket(socket, spot, draft, closed))
        const done = await Promise.all(tries)
        waiting = waiting.filter((_, index) => !done[index])
        await this.#pause()
      }
      socket.close()
    }
  }

  async #pause(): Promise<void> {
    if (this.pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, this.pauseMs))
  }

  /** One try over a WebSocket; true if it was acknowledged before that was closed. */
  async trySocket(
    socket: Socket,
    spot: Spot,
    draft: Draft,
    closed: Promise<undefined> = socket.closed.then(() => undefined),
  ): Promise<boolean> {
    const invokedAt = this.now()
    const asked = socket.ask('post', { ...spot.frame, text: draft.text, key: draft.key })
    // The reply's own deadline passes long after the socket is gone, and nobody cares any more.
    asked.catch(() => {})
    const reply = await Promise.race([asked, closed])
    return this.note(draft, spot, invokedAt, {
      ...(reply?.ok && { seq: reply.ok.seq, replayed: reply.ok.replayed === true }),
      ...(reply?.error && { code: reply.error.code }),
    })
  }

  /** The log as history has it. */
  async log(reader: Person, path: string): Promise<Message[]> {
    const all: Message[] = []
    for (;;) {
      const page = await this.at(reader).list(path, `?after=${all.at(-1)?.seq ?? 0}&limit=1000`)
      all.push(...page)
      if (page.length < 1_000) return all
    }
  }

  /** What is wrong, once everything has come to rest. */
  async faults(reader: Person, spots: readonly Spot[]): Promise<Fault[]> {
    const log = new Map<string, Message[]>()
    for (const { timeline, path } of spots) log.set(timeline, await this.log(reader, path))
    return faultsOf({ attempts: this.attempts, log, readings: this.readings })
  }
}

export type Via = 'socket' | 'socket on the path' | 'sse' | 'sse, Last-Event-ID' | 'ndjson'
export const VIAS: readonly Via[] = [
  ...(['socket', 'socket on the path', 'sse', 'sse, Last-Event-ID', 'ndjson'] as const),
]

/** A subscription that somebody holds. */
export interface Following {
  seen(): Seen[]
  /** The seq of the last event that came. */
  last(): Seq | undefined
  ended: Promise<unknown>
  close(): void
}

/** What arrives, each with the time at which it came. */
function timed<T>(arrivals: Arrivals<T>, messageOf: (item: T) => Message) {
  // Those that are here already came before anyone could look.
  const times = arrivals.all.map(() => performance.now())
  const add = arrivals.add.bind(arrivals)
  arrivals.add = (item) => {
    times.push(performance.now())
    add(item)
  }
  return {
    seen: () =>
      arrivals.all.map((item, index) => {
        const { seq, text } = messageOf(item)
        return { seq, text, at: times[index]! }
      }),
    last: () => {
      const item = arrivals.all.at(-1)
      return item && messageOf(item).seq
    },
  }
}

/** Subscribes after a seq. Rejects if the server cannot be reached. */
export async function follow(
  person: Person,
  { path, frame }: Spot,
  via: Via,
  after: number,
  epoch: string,
): Promise<Following> {
  if (via === 'socket' || via === 'socket on the path') {
    const onPath = `${path}/subscribe?after=${after}&epoch=${epoch}`
    const socket = await Socket.of(person, via === 'socket' ? '/ws' : onPath)
    if (via === 'socket') socket.send({ id: 9_999, op: 'subscribe', ...frame, after, epoch })
    const events = timed(socket.events, ({ event }) => event)
    return { ...events, ended: socket.closed, close: () => socket.close() }
  }
  const accept = { accept: via === 'ndjson' ? 'application/x-ndjson' : 'text/event-stream' }
  const stream =
    via === 'sse, Last-Event-ID'
      ? await Stream.open(person, `${path}/subscribe`, {
          ...accept,
          'last-event-id': `${epoch}:${after}`,
        })
      : await Stream.open(person, `${path}/subscribe?after=${after}&epoch=${epoch}`, accept)
  const events = timed(stream.events, (event) => event)
  return { ...events, ended: stream.ended, close: () => stream.close() }
}

/** A reader that comes back from its cursor whenever its subscription ends. */
export class Follower {
  readonly #run: Run
  readonly #reader: Person
  readonly #spot: Spot
  readonly #via: Via
  readonly #epoch: string
  #cursor = 0
  #now: Following | undefined
  #stopped = false
  readonly #done: Promise<void>

  constructor(run: Run, reader: Person, spot: Spot, via: Via, epoch: string) {
    this.#run = run
    this.#reader = reader
    this.#spot = spot
    this.#via = via
    this.#epoch = epoch
    this.#done = this.#follow()
  }

  get timeline(): string {
    return this.#spot.timeline
  }

  get cursor(): number {
    return this.#now?.last() ?? this.#cursor
  }

  async #follow(): Promise<void> {
    while (!this.#stopped) {
      const after = this.#cursor
      const following = await follow(
        this.#run.at(this.#reader),
        this.#spot,
        this.#via,
        after,
        this.#epoch,
      ).catch(() => undefined)
      if (following === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 5))
        continue
      }
      this.#now = following
      await following.ended
      this.#note(following, after)
      this.#cursor = this.cursor
      this.#now = undefined
    }
  }

  #note(following: Following, after: number): void {
    this.#run.readings.push({
      ...{ reader: this.#reader.name, via: this.#via, timeline: this.#spot.timeline },
      ...{ after, events: following.seen(), toTheEnd: this.#stopped },
    })
  }

  /** Waits until it has everything up to the head, then leaves. */
  async finish(head: number): Promise<void> {
    await until(() => this.#now && this.cursor >= head, `${this.#via} reaches ${head}`, 15_000)
    this.#stopped = true
    this.#now!.close()
    await this.#done
  }
}
