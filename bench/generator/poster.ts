/** A connection that only posts, to one room, and checks that it is answered in turn. */
import type { Ledger } from './ledger.ts'
import type { Loop } from './loop.ts'
import { idOf, type PostFrames, readAcknowledgement } from './post-frames.ts'
import { WebSocketClient } from './websocket.ts'

/** What all posters of a job share. */
export interface PostDesk {
  readonly loop: Loop
  readonly ledger: Ledger
  opened(): void
  /** A post was acknowledged that was to be sent, or was sent, at `sinceMs`. */
  acknowledged(poster: Poster, sinceMs: number): void
  lost(why: string): void
}

export interface PosterOptions {
  index: number
  port: number
  token: string
  room: number
  frames: PostFrames
  /** Posts in flight at once. */
  inFlightMax: number
}

/** Connections from one address: it has about 28,000 ports. */
const CONNECTIONS_PER_ADDRESS = 20_000

export class Poster {
  readonly #desk: PostDesk
  readonly #options: PosterOptions
  readonly #socket: WebSocketClient
  /** Since when each post in flight waits, by its number modulo their maximum. */
  readonly #sinceMs: Float64Array
  #sent = 0
  #answered = 0
  #lastSeq = 0

  constructor(desk: PostDesk, options: PosterOptions) {
    this.#desk = desk
    this.#options = options
    this.#sinceMs = new Float64Array(options.inFlightMax)
    const address = {
      source: `127.0.0.${1 + Math.floor(options.index / CONNECTIONS_PER_ADDRESS)}`,
      port: options.port,
      path: '/ws',
      headers: { Authorization: `Bearer ${options.token}` },
    }
    this.#socket = new WebSocketClient(desk.loop, address, {
      opened: () => desk.opened(),
      lost: (why) => desk.lost(why),
      frame: (_, bytes, start, end) => this.#replied(bytes, start, end),
    })
  }

  /** Posts that may be sent now. */
  get room(): number {
    return this.#options.inFlightMax - (this.#sent - this.#answered)
  }

  get inFlight(): number {
    return this.#sent - this.#answered
  }

  /** Sends so many in one write; at most `room`. Their latency counts from `sinceMs`. */
  post(count: number, sinceMs: number): void {
    const { frames, inFlightMax } = this.#options
    for (let i = 0; i < count; i++) this.#sinceMs[(this.#sent + i) % inFlightMax] = sinceMs
    this.#socket.send(frames.take(this.#sent, count))
    this.#sent += count
  }

  close(): void {
    this.#socket.close()
  }

  /** One connection's posts are answered in the order sent: that is a promise, too. */
  #replied(bytes: Buffer, start: number, end: number): void {
    const reply = readAcknowledgement(bytes, start, end)
    if (reply === undefined) return
    const due = idOf(this.#answered)
    if (this.inFlight === 0 || reply.id !== due)
      throw new Error(`a reply to ${reply.id} came where ${due} was due`)
    const { room, inFlightMax } = this.#options
    const sinceMs = this.#sinceMs[this.#answered % inFlightMax]!
    this.#answered += 1
    this.#desk.ledger.acknowledged(room, reply.seq, this.#lastSeq)
    this.#lastSeq = reply.seq
    this.#desk.acknowledged(this, sinceMs)
  }
}
