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
import { delayMs } from './clock.ts'
import type { Core } from './core.ts'
import { ParleyError, type Problem, unreachable, waitMs } from './errors.ts'
import { parsed } from './http.ts'
import {
  CALLS_MAX,
  IDLE_MS,
  LONG_WAIT_MS,
  PING_TIMEOUT_MS,
  REPLY_TIMEOUT_MS,
  SILENCE_MS,
} from './limits.ts'
import type { User } from './types.ts'

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
  timer?: unknown
}

/** Closed for a fault of ours, or for too much of us: another attempt at once would not help. */
const FAULTS: Record<number, Problem> = {
  1008: { code: 'rate_limited', status: 429, title: 'Too many frames were sent.' },
  1009: { code: 'body_too_large', status: 413, title: 'A frame was too long.' },
  4013: { code: 'too_many_connections', status: 429, title: 'Too many connections.' },
  4400: { code: 'bad_frame', status: 400, title: 'The server did not understand a frame.' },
}

export class Connection {
  ready = false
  /** There after a failure, until the connection is ready again. */
  retryAt: number | undefined
  error: ParleyError | undefined
  readonly #core: Core
  #socket: WebSocket | undefined
  #attempt = 0
  #lastId = 0
  readonly #calls = new Map<number, Call>()
  #queue: Call[] = []
  #retry: unknown
  #watch: unknown
  #idle: unknown

  constructor(core: Core) {
    this.#core = core
  }

  /** Looks again whether it is wanted. */
  update(): void {
    const { clock, wanted } = this.#core
    if (wanted) {
      clock.clearTimeout(this.#idle)
      this.#idle = undefined
      if (this.#socket === undefined && this.#retry === undefined) this.#open()
    } else this.#idle ??= clock.setTimeout(() => this.stop(), IDLE_MS)
  }

  /** Tries now; or, if it seems connected, makes sure of it. */
  reconnect(): void {
    if (this.ready) this.#probe()
    else if (this.#core.wanted) this.#open()
  }

  stop(): void {
    const { clock } = this.#core
    clock.clearTimeout(this.#idle)
    this.#idle = undefined
    this.#drop()
    this.#attempt = 0
    this.retryAt = this.error = undefined
    this.#core.changed()
  }

  send(op: string, fields: object, done: Done): void {
    if (!this.#socket) return done()
    this.#lastId += 1
    const id = this.#lastId
    const call = { id, frame: JSON.stringify({ id, op, ...fields }), done }
    if (this.#calls.size < CALLS_MAX) this.#transmit(call)
    else this.#queue.push(call)
  }

  /** Gives it up and comes back. */
  lose(error?: ParleyError, atLeastMs = waitMs(error ?? {})): void {
    const { clock } = this.#core
    const delay = delayMs(clock, this.#attempt, atLeastMs)
    this.#attempt += 1
    this.#drop()
    this.error = error
    this.retryAt = clock.now() + delay
    this.#retry = clock.setTimeout(() => {
      this.#retry = undefined
      this.update()
    }, delay)
    this.#core.changed()
  }

  #open(): void {
    this.#drop()
    const core = this.#core
    if (this.retryAt !== undefined) this.retryAt = Math.min(this.retryAt, core.clock.now())
    this.#watchFor(REPLY_TIMEOUT_MS, () => this.lose(unreachable()))
    let socket: WebSocket
    try {
      socket = new core.WebSocket!(`${core.url.replace('http', 'ws')}/ws`)
    } catch {
      return this.lose(unreachable())
    }
    this.#socket = socket
    let opened = false
    const ifCurrent =
      <T>(hear: (event: T) => void) =>
      (event: T) => {
        if (this.#socket === socket) hear(event)
      }
    socket.onopen = ifCurrent(() => {
      opened = true
      this.#signIn()
    })
    socket.onmessage = ifCurrent(({ data }: MessageEvent) => this.#hear(data))
    socket.onerror = () => {}
    socket.onclose = ifCurrent(({ code, reason }: CloseEvent) => {
      if (opened) this.#closed(code, reason)
      else this.#askWhy()
    })
    core.changed()
  }

  #signIn(): void {
    const { session } = this.#core
    if (session.token !== undefined)
      this.send('auth', { token: session.token }, (ok, error) => {
        if (ok) this.#isReady()
        else if (error) this.#refused(error)
      })
    else if (session.fresh) {
      session.fresh = false
      this.#isReady()
    } else this.#askWho(() => this.#isReady())
  }

  #isReady(): void {
    this.ready = true
    this.retryAt = this.error = undefined
    this.#watchSilence()
    this.#core.connected()
  }

  #refused(error: ParleyError): void {
    if (error.status === 401) this.#core.endSession(this.#core.session, error)
    else this.lose(error)
  }

  /**
   * Another tab may have changed the cookie, and with it who we are. `then` is called if we are
   * still the same.
   */
  #askWho(then: () => void): void {
    const socket = this.#socket
    const { session } = this.#core
    this.#core.whoAmI().then(
      (user: User) => {
        if (this.#socket !== socket) return
        if (user.id === session.user?.id) then()
        else this.#core.endSession(session, undefined)
      },
      (error) => {
        if (this.#socket === socket) this.#refused(error)
      },
    )
  }

  /** If we are still signed in, it was for another reason: a proxy may be in the way. */
  #askWhy(): void {
    const socket = this.#socket
    this.#drop()
    // The dead one stands for this attempt until the answer is there.
    this.#socket = socket
    this.#askWho(() => this.lose(unreachable('The WebSocket cannot be opened.')))
  }

  #closed(code: number, reason: string): void {
    if (code === 4401) return this.#askWhy()
    const fault = FAULTS[code]
    if (fault) this.lose(new ParleyError(fault), LONG_WAIT_MS)
    else this.lose(undefined, Number(parsed(reason)?.retryMs) || 0)
  }

  #hear(data: unknown): void {
    if (this.ready) {
      this.#attempt = 0
      this.#watchSilence()
    }
    const frame = parsed(data as string)
    if (!frame) return this.lose(unreachable('Something else than the server answered.'))
    if (frame.re === undefined) return this.#core.hear(frame)
    const call = this.#calls.get(frame.re)
    if (call === undefined) return
    this.#calls.delete(frame.re)
    this.#core.clock.clearTimeout(call.timer)
    call.done(frame.ok, frame.error && new ParleyError(frame.error))
    const next = this.#queue.shift()
    if (next) this.#transmit(next)
  }

  #transmit(call: Call): void {
    this.#calls.set(call.id, call)
    call.timer = this.#core.clock.setTimeout(() => this.lose(unreachable()), REPLY_TIMEOUT_MS)
    this.#socket!.send(call.frame)
  }

  #watchSilence(): void {
    this.#watchFor(SILENCE_MS, () => this.#probe())
  }

  #probe(): void {
    this.send('ping', {}, () => {})
    this.#watchFor(PING_TIMEOUT_MS, () => this.lose(unreachable()))
  }

  #watchFor(ms: number, then: () => void): void {
    const { clock } = this.#core
    clock.clearTimeout(this.#watch)
    this.#watch = clock.setTimeout(then, ms)
  }

  #clear(): void {
    const { clock } = this.#core
    clock.clearTimeout(this.#watch)
    clock.clearTimeout(this.#retry)
    this.#retry = undefined
  }

  /** Lets go of the socket, if there is one, and tells whoever waits for a reply. */
  #drop(): void {
    this.#clear()
    const socket = this.#socket
    this.#socket = undefined
    this.ready = false
    const calls = [...this.#calls.values(), ...this.#queue]
    this.#calls.clear()
    this.#queue = []
    socket?.close()
    for (const { timer } of calls) this.#core.clock.clearTimeout(timer)
    for (const { done } of calls) done()
    if (socket) this.#core.disconnected()
  }
}
