/**
 * What is between a client and the server: a fake `fetch` and a fake `WebSocket` that drop, delay,
 * repeat and reorder, cut connections so that it is seen and so that it is not, and lose requests
 * before and answers after they have had their effect.
 */
import type { SimClock } from './clock.ts'
import type { Answer, ModelServer, ServerConnection } from './server.ts'

/** How bad it is; 0–1 where it is a chance. */
export interface Weather {
  drop: number
  repeat: number
  /** Frames of one connection overtake each other. */
  reorders: boolean
  delayMs: number
  /** Requests that fail, in one of the ways there are. */
  requestFails: number
  /** Handshakes that are refused. */
  refuse: number
}

export const CALM: Weather = {
  drop: 0,
  repeat: 0,
  reorders: false,
  delayMs: 20,
  requestFails: 0,
  refuse: 0,
}

interface AnyFrame {
  timeline?: string
  events?: { seq: number }[]
  caughtUp?: number
  heads?: Record<string, number>
  ok?: { timeline?: string; head?: number }
}

type FetchInit = { method: string; headers: Record<string, string>; body?: string } & {
  signal: AbortSignal
}

/** One client's way to the server. */
export class Network {
  weather = CALM
  /** Nothing gets through, and nobody says so. */
  isDown = false
  /** The largest seq that came on this connection, in whatever frame, by timeline. */
  announced = new Map<string, number>()
  /** When the present connection stopped being one without saying so. */
  deafSince: number | undefined
  sockets = 0
  /** Frames that the client has sent, and the paths it has asked for. */
  readonly sent: Record<string, unknown>[] = []
  readonly requests: string[] = []
  /** As a browser has it: with every request, and with the handshake. */
  cookie: string | undefined
  /** Answers in place of the server's, where it gives one. */
  answers: ((method: string, path: string) => Answer | undefined) | undefined
  /** How much later than usual the answers of history are. */
  historyDelayMs = 0
  /** Keeps frames of the client from the server. */
  swallows: ((frame: Record<string, unknown>) => boolean) | undefined
  readonly #clock: SimClock
  readonly #server: ModelServer
  #socket: SimSocket | undefined

  constructor(clock: SimClock, server: ModelServer) {
    this.#clock = clock
    this.#server = server
  }

  get fetch(): typeof fetch {
    return ((url: string, init: FetchInit) => this.#fetch(url, init)) as typeof fetch
  }

  get WebSocket(): typeof WebSocket {
    const open = (): SimSocket => {
      this.#socket = new SimSocket(this, this.#server, this.#clock)
      this.sockets += 1
      this.announced = new Map()
      this.deafSince = undefined
      return this.#socket
    }
    return function FakeWebSocket() {
      return open()
    } as unknown as typeof WebSocket
  }

  chance(probability: number): boolean {
    return this.#clock.random() < probability
  }

  latency(): number {
    return 1 + this.#clock.random() * this.weather.delayMs
  }

  /** A cut that both sides see. */
  cut(code = 1006, reason = ''): void {
    this.#socket?.closedBy(code, reason)
  }

  /** A cut that neither side sees. */
  deafen(): void {
    if (!this.#socket?.isOpen || this.#socket.deaf) return
    this.#socket.deaf = true
    this.deafSince = this.#clock.now()
  }

  /** What overtakes the reply to its subscription cannot be understood, so it does not count. */
  note({ timeline, events, caughtUp, heads, ok }: AnyFrame): void {
    const raise = (id: string, seq: number) => {
      const known = this.announced.get(id)
      if (known !== undefined) this.announced.set(id, Math.max(seq, known))
    }
    if (ok?.head !== undefined) {
      if (!this.announced.has(ok.timeline!)) this.announced.set(ok.timeline!, 0)
      raise(ok.timeline!, ok.head)
    }
    if (events) raise(timeline!, events.at(-1)!.seq)
    if (caughtUp !== undefined) raise(timeline!, caughtUp)
    for (const id in heads) raise(id, heads[id]!)
  }

  async #fetch(url: string, { method, headers, body, signal }: FetchInit): Promise<Response> {
    const { pathname, search } = new URL(url)
    this.requests.push(`${method} ${pathname}${search}`)
    const token = headers.Authorization?.slice(7) ?? this.cookie
    const fails = this.chance(this.weather.requestFails) ? Math.floor(this.#clock.random() * 5) : -1
    await this.#sleep(this.latency(), signal)
    if (this.isDown || fails === 0) throw new TypeError('lost on the way')
    if (fails === 1) return respond({ status: 503, headers: { 'Retry-After': '1' } })
    const data = body === undefined ? undefined : JSON.parse(body)
    const own = this.answers?.(method, pathname + search)
    const answer = own ?? this.#server.answer(method, pathname + search, token, data)
    // A copy, of what is true now.
    const response = respond(answer)
    if (fails === 2) throw new TypeError('the answer was lost')
    if (fails === 3) await this.#sleep(Number.POSITIVE_INFINITY, signal)
    // So late that much has happened since.
    const lateMs = pathname.endsWith('/messages') ? this.historyDelayMs : 0
    await this.#sleep(fails === 4 ? 8_000 : lateMs + this.latency(), signal)
    return response
  }

  #sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (Number.isFinite(ms)) this.#clock.setTimeout(resolve, ms)
      signal.addEventListener('abort', () => reject(new TypeError('aborted')))
    })
  }
}

function respond({ status, body, headers = {} }: Answer): Response {
  return new Response(body === undefined ? '' : JSON.stringify(body), { status, headers })
}

export class SimSocket {
  onopen: (() => void) | undefined
  onmessage: ((event: { data: string }) => void) | undefined
  onclose: ((event: { code: number; reason: string }) => void) | undefined
  onerror: (() => void) | undefined
  isOpen = false
  deaf = false
  readonly #network: Network
  readonly #server: ModelServer
  readonly #clock: SimClock
  readonly #peer: ServerConnection
  #closed = false
  #isLeft = false
  /** When the last frame arrives there, and here: those behind it come later. */
  #lastOut = 0
  #lastIn = 0

  constructor(network: Network, server: ModelServer, clock: SimClock) {
    this.#network = network
    this.#server = server
    this.#clock = clock
    this.#peer = {
      user: undefined,
      subscriptions: new Map(),
      send: (frame) => this.#fromServer(frame),
      close: (code, reason) => this.closedBy(code, reason),
    }
    clock.setTimeout(() => this.#open(), network.latency())
  }

  #open(): void {
    if (this.#closed) return
    const { isDown, weather } = this.#network
    if (isDown || this.#network.chance(weather.refuse)) return this.closedBy(1006, '')
    this.isOpen = true
    this.#peer.user = this.#server.tokens.get(this.#network.cookie ?? '')
    this.#server.connections.add(this.#peer)
    this.onopen?.()
  }

  /** By the client. What is under way still arrives, at either end, and then that it is closed. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#isLeft = true
    this.#clock.setTimeout(() => this.#server.connections.delete(this.#peer), 1)
    const code = this.isOpen ? 1005 : 1006
    this.#clock.setTimeout(() => this.onclose?.({ code, reason: '' }), this.#network.latency())
  }

  /** By the server, or by something in between. */
  closedBy(code: number, reason: string): void {
    if (this.#closed) return
    this.#server.connections.delete(this.#peer)
    if (this.deaf) return
    this.#closed = true
    this.isOpen = false
    this.#clock.setTimeout(() => this.onclose?.({ code, reason }), 1)
  }

  send(text: string): void {
    if (!this.isOpen && !this.#closed) throw new Error('InvalidStateError: not open yet')
    const { weather, sent, swallows } = this.#network
    const frame = JSON.parse(text)
    sent.push(frame)
    if (swallows?.(frame)) return
    if (this.deaf || this.#closed || this.#network.chance(weather.drop)) return
    this.#lastOut = Math.max(this.#lastOut, this.#clock.now() + this.#network.latency())
    const times = this.#network.chance(weather.repeat) ? 2 : 1
    for (let i = 0; i < times; i++)
      this.#clock.setTimeout(() => {
        if (this.deaf || this.#network.isDown) return
        if (this.#server.connections.has(this.#peer))
          this.#server.receive(this.#peer, JSON.parse(text))
      }, this.#lastOut - this.#clock.now())
  }

  #fromServer(frame: object): void {
    const { weather } = this.#network
    const data = JSON.stringify(frame)
    if (this.deaf || this.#network.chance(weather.drop)) return
    const times = this.#network.chance(weather.repeat) ? 2 : 1
    for (let i = 0; i < times; i++) {
      let at = this.#clock.now() + this.#network.latency()
      if (!weather.reorders) at = this.#lastIn = Math.max(at, this.#lastIn)
      this.#clock.setTimeout(() => {
        if (this.deaf || (this.#closed && !this.#isLeft)) return
        if (!this.#isLeft) this.#network.note(JSON.parse(data))
        this.onmessage?.({ data })
      }, at - this.#clock.now())
    }
  }
}
