/**
 * Everything that is held open: WebSockets, streams and long-polls. One registry counts them, ends
 * them when their session ends, and keeps time for all of them, so that a connection needs no timer
 * of its own.
 */
import type { Sessions, Viewer } from '../chat/sessions.ts'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import { problem } from '../errors.ts'
import type { Metrics } from '../metrics.ts'
import type { Id } from '../types.ts'
import { Budget } from './limits.ts'

/** Why we end a connection. `transport` modules know how to say it in their own way. */
export type EndCause =
  | 'signed_out'
  | 'not_signed_in'
  | 'no_auth_in_time'
  | 'too_slow'
  | 'too_many'
  | 'bad_frame'
  | 'too_busy'
  | 'dead'
  | 'failed'
  | 'restarting'

export interface Connection {
  readonly transport: 'websocket' | 'sse' | 'ndjson' | 'long-poll'
  readonly viewer: Viewer | undefined
  /** Says why, then closes. Called once or more. */
  end(cause: EndCause): void
  /**
   * Every `heartbeatMs`: prove that the other side is alive. The beat before the last one was at
   * `beforeLastMs`, on the monotonic clock, or this process started then.
   */
  beat(beforeLastMs: number): void
  /** Twice a second: end what has taken too long. */
  sweep(now: number): void
}

/** How often time is kept; a session's end is noticed within it. */
const SWEEP_MS = 500
/** Heartbeats are spread over so many turns, so that they come evenly. */
const BEAT_TURNS = 20
/** Those who are not let in are told to come back within this time, in seconds. */
const RETRY_SPREAD_S = 5

export class Connections {
  readonly #config: Config
  readonly #clock: Clock
  readonly #sessions: Sessions
  readonly #metrics: Metrics
  readonly #turns: Set<Connection>[] = Array.from({ length: BEAT_TURNS }, () => new Set())
  /** Most sessions have one connection, for which a set would be a waste. */
  readonly #bySession = new Map<Id, Connection | Set<Connection>>()
  readonly #byUser = new Map<Id, number>()
  readonly #admission: Budget
  #admissionFullAt = 0
  #size = 0
  #nextTurn = 0
  #timers: ReturnType<typeof setInterval>[] = []
  /** When each turn of the last two rounds was; a process that stands still has its turns late. */
  readonly #beatenAtMs: number[] = []

  constructor(config: Config, clock: Clock, sessions: Sessions, metrics: Metrics) {
    this.#config = config
    this.#clock = clock
    this.#sessions = sessions
    this.#metrics = metrics
    const { connectsPerSecondMax, connectsBurstMax } = config
    this.#admission = new Budget(connectsBurstMax, 60 * connectsPerSecondMax, clock)
    sessions.heldBy({
      ended: (id) => this.#endSession(id),
      held: () => this.#bySession.keys(),
    })
  }

  get size(): number {
    return this.#size
  }

  start(): void {
    this.#beatenAtMs.push(...Array(2 * BEAT_TURNS).fill(this.#clock.monotonicMs()))
    this.#timers = [
      setInterval(() => this.#sweep(), SWEEP_MS),
      setInterval(() => this.#beat(), this.#config.heartbeatMs / BEAT_TURNS),
    ]
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer)
  }

  /**
   * To be asked before a connection is made. When everyone comes back at once, some are told to
   * come a little later, each at another moment, so that those who are let in are served soon.
   * Throws `overloaded`.
   */
  admit(): void {
    const fullAt = this.#admission.take(this.#admissionFullAt)
    if (fullAt !== undefined) this.#admissionFullAt = fullAt
    else {
      this.#metrics.refusals.inc({ cause: 'connects' })
      throw problem('overloaded', { retryAfterS: 1 + Math.floor(Math.random() * RETRY_SPREAD_S) })
    }
  }

  /** Throws `too_many_connections`. Every `add` has its `remove`. */
  add(connection: Connection): void {
    if (this.#size >= this.#config.connectionsMax) throw problem('too_many_connections')
    this.#turns[this.#nextTurn]!.add(connection)
    this.#nextTurn = (this.#nextTurn + 1) % BEAT_TURNS
    this.#size += 1
    this.#metrics.counts[connection.transport] += 1
    try {
      if (connection.viewer) this.signedIn(connection, connection.viewer)
    } catch (error) {
      this.remove(connection)
      throw error
    }
  }

  /** The connection belongs to this viewer from now on. Throws `too_many_connections`. */
  signedIn(connection: Connection, { user, session }: Viewer): void {
    const count = this.#byUser.get(user.id) ?? 0
    if (count >= this.#config.connectionsPerUserMax) throw problem('too_many_connections')
    const ofSession = this.#bySession.get(session.id)
    if (ofSession instanceof Set) ofSession.add(connection)
    else if (ofSession === undefined) this.#bySession.set(session.id, connection)
    else this.#bySession.set(session.id, new Set([ofSession, connection]))
    this.#byUser.set(user.id, count + 1)
  }

  /** With the cause, if it was us who ended it. */
  remove(connection: Connection, cause?: EndCause): void {
    if (!this.#turns.some((turn) => turn.delete(connection))) return
    if (cause !== undefined) this.#metrics.drops.inc({ cause })
    this.#size -= 1
    this.#metrics.counts[connection.transport] -= 1
    if (connection.viewer) this.#removeFrom(connection, connection.viewer)
  }

  #removeFrom(connection: Connection, { user, session }: Viewer): void {
    const ofSession = this.#bySession.get(session.id)
    // One that was refused for being too many was never counted.
    const isOne = ofSession instanceof Set ? ofSession.delete(connection) : ofSession === connection
    if (!isOne) return
    if (!(ofSession instanceof Set) || ofSession.size === 0) this.#bySession.delete(session.id)
    const count = (this.#byUser.get(user.id) ?? 1) - 1
    if (count === 0) this.#byUser.delete(user.id)
    else this.#byUser.set(user.id, count)
  }

  #endSession(id: Id): void {
    const found = this.#bySession.get(id)
    const all = found instanceof Set ? [...found] : found === undefined ? [] : [found]
    for (const connection of all) connection.end('signed_out')
  }

  endAll(cause: EndCause): void {
    for (const turn of this.#turns) for (const connection of [...turn]) connection.end(cause)
  }

  #sweep(): void {
    const now = this.#clock.monotonicMs()
    const isLive = this.#sessions.liveAt(this.#clock.now())
    for (const turn of this.#turns)
      for (const connection of turn) {
        const { viewer } = connection
        if (viewer && !isLive(viewer)) connection.end('signed_out')
        connection.sweep(now)
      }
  }

  #beat(): void {
    const turn = this.#turns.shift()!
    this.#turns.push(turn)
    const beforeLastMs = this.#beatenAtMs.shift()!
    this.#beatenAtMs.push(this.#clock.monotonicMs())
    for (const connection of turn) connection.beat(beforeLastMs)
  }
}
