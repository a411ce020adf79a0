/**
 * The one WebSocket: opened when something wants it, closed when nothing has for a while, and in
 * between kept alive whatever happens to it.
 *
 * 1. *Opening.* With a token the first frame signs in; with a cookie the handshake did. A browser
 *    does not say why a handshake was refused, so `GET /me` is asked.
 * 2. *Ready.* Operations are sent and answered. One without an answer, and silence that a ping does
 *    not break, mean that the connection is dead, though it may look alive for minutes.
 * 3. *Waiting*, until `retryAt`: with full jitter, longer each time, and at least as long as the
 *    server asks for. A connection that was of use starts the count anew.
 *
 * Whatever comes from a socket that has been given up is not heard.
 */
import { Alarm, Retry } from './clock.ts'
import type { Core } from './core.ts'
import { ParleyError } from './errors.ts'
import { failure, unreachable, waitMs } from './failures.ts'
import { parsed } from './http.ts'
import {
  CALLS_MAX,
  IDLE_MS,
  LONG_WAIT_MS,
  PING_TIMEOUT_MS,
  REPLY_TIMEOUT_MS,
  SILENCE_MS,
} from './limits.ts'

/**
 * Told the reply, or the server's refusal; neither if the connection was lost before. Called
 * synchronously, for what the next frame means may depend on it.
 */
// biome-ignore lint/suspicious/noExplicitAny: each operation knows its own reply
export type Done = (ok?: any, error?: ParleyError) => void

interface Call {
  id: number
  frame: string
  done: Done
  timeout: Alarm
}

/** Closed for a fault of ours, or for too much of us: another attempt at once would not help. */
const FAULTS = [1008, 1009, 4013, 4400]

export class Connection {
  ready = false
  /** There after a failure, until the connection is ready again. */
  retryAt: number | undefined
  error: ParleyError | undefined
  readonly #core: Core
  /** Of the present attempt; after a refusal a dead one, until it is known why. */
  #socket: WebSocket | undefined
  #lastId = 0
  readonly #calls = new Map<number, Call>()
  #queue: Call[] = []
  readonly #retry: Retry
  readonly #watch: Alarm
  readonly #idle: Alarm

  constructor(core: Core) {
    this.#core = core
    this.#retry = new Retry(core.clock)
    this.#watch = new Alarm(core.clock)
    this.#idle = new Alarm(core.clock)
  }

  /** Looks again whether it is wanted. */
  update(): void {
    if (this.#core.wanted) {
      this.#idle.clear()
      if (!this.#socket && !this.#retry.pending) this.#open()
    } else if (this.#socket && !this.#idle.pending) this.#idle.set(IDLE_MS, () => this.stop())
  }

  /** Tries now; or, if it seems connected, makes sure of it. */
  reconnect(): void {
    if (this.ready) this.#ping()
    else if (this.#core.wanted) this.#open()
  }

  stop(): void {
    this.#idle.clear()
    this.#drop()
    this.#retry.succeeded()
    this.retryAt = this.error = undefined
    this.#core.changed()
  }

  send(op: string, fields: object, done: Done): void {
    if (!this.ready && op !== 'auth') return done()
    this.#lastId += 1
    const id = this.#lastId
    const timeout = new Alarm(this.#core.clock)
    const call = { id, frame: JSON.stringify({ id, op, ...fields }), done, timeout }
    if (this.#calls.size < CALLS_MAX) this.#transmit(call)
    else this.#queue.push(call)
  }

  /** Gives it up and comes back. */
  lose(error?: ParleyError, atLeastMs = waitMs(error)): void {
    this.#drop()
    this.error = error
    this.retryAt = this.#core.clock.now() + this.#retry.later(() => this.update(), atLeastMs)
    this.#core.changed()
  }

  #open(): void {
    this.#drop()
    const core = this.#core
    if (this.retryAt) this.retryAt = Math.min(this.retryAt, core.clock.now())
    let socket: WebSocket
    try {
      socket = new core.WebSocket!(`${core.url.replace('http', 'ws')}/ws`)
    } catch {
      return this.lose(unreachable())
    }
    this.#socket = socket
    this.#loseAfter(REPLY_TIMEOUT_MS)
    let opened = false
    const ifPresent =
      <T>(hear: (event: T) => void) =>
      (event: T) => {
        if (this.#socket === socket) hear(event)
      }
    socket.onopen = ifPresent(() => {
      opened = true
      this.#signIn()
    })
    socket.onmessage = ifPresent(({ data }: MessageEvent) => this.#hear(data))
    socket.onclose = ifPresent(({ code, reason }: CloseEvent) => {
      if (opened) this.#closed(code, reason)
      else this.#askWhy()
    })
    // What there is to say is said by `close`, but some runtimes insist on a listener.
    socket.onerror = () => {}
    core.changed()
  }

  #signIn(): void {
    const { session } = this.#core
    const { token, fresh } = session
    session.fresh = false
    // Refused, it is closed as well, with a code that says more.
    if (token) this.send('auth', { token }, (ok) => ok && this.#isReady())
    else if (fresh) this.#isReady()
    else this.#askWho(() => this.#isReady())
  }

  #isReady(): void {
    this.ready = true
    this.retryAt = this.error = undefined
    this.#watchSilence()
    this.#core.connected()
  }

  /**
   * Another tab may have changed the cookie, and with it who we are. `then` is called if we are
   * still the same.
   */
  #askWho(then: () => void): void {
    const socket = this.#socket
    const { session } = this.#core
    this.#core.whoAmI().then(
      ({ id }) => {
        if (this.#socket !== socket) return
        if (id === session.user?.id) then()
        else this.#core.endSession(session)
      },
      (error) => {
        // One that says that we are signed out has had its effect.
        if (this.#socket === socket) this.lose(error)
      },
    )
  }

  /** If we are still signed in, it was for another reason: a proxy may be in the way. */
  #askWhy(): void {
    const socket = this.#socket
    this.#drop()
    this.#socket = socket
    this.#askWho(() => this.lose(unreachable()))
  }

  #closed(code: number, reason: string): void {
    if (code === 4401) return this.#askWhy()
    if (FAULTS.includes(code)) this.lose(failure(`closed_${code}`, 400), LONG_WAIT_MS)
    else this.lose(undefined, Number(parsed(reason)?.retryMs) || 0)
  }

  #hear(data: unknown): void {
    const frame = parsed(data as string) ?? {}
    if (this.ready) {
      this.#retry.succeeded()
      this.#watchSilence()
    }
    if (frame.re === undefined) return this.#core.hear(frame)
    const call = this.#calls.get(frame.re)
    if (!call) return
    this.#calls.delete(frame.re)
    call.timeout.clear()
    call.done(frame.ok, frame.error && new ParleyError(frame.error))
    const next = this.#queue.shift()
    if (next) this.#transmit(next)
  }

  #transmit(call: Call): void {
    this.#calls.set(call.id, call)
    call.timeout.set(REPLY_TIMEOUT_MS, () => this.lose(unreachable()))
    this.#socket!.send(call.frame)
  }

  #watchSilence(): void {
    this.#watch.set(SILENCE_MS, () => {
      this.#ping()
      this.#loseAfter(PING_TIMEOUT_MS)
    })
  }

  #ping(): void {
    this.send('ping', {}, () => {})
  }

  #loseAfter(ms: number): void {
    this.#watch.set(ms, () => this.lose(unreachable()))
  }

  /** Lets go of the socket, if there is one, and tells whoever waits for a reply. */
  #drop(): void {
    this.#watch.clear()
    this.#retry.clear()
    this.ready = false
    const socket = this.#socket
    this.#socket = undefined
    const calls = [...this.#calls.values(), ...this.#queue]
    this.#calls.clear()
    this.#queue = []
    socket?.close()
    for (const { timeout } of calls) timeout.clear()
    for (const { done } of calls) done()
    this.#core.disconnected()
  }
}
