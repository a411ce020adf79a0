/**
 * Fan-out: one publisher that posts on a fixed schedule whether or not the server keeps up (an open
 * loop), and readers that each must get every event exactly once, in order, without a hole. Latency
 * counts from the moment a post was *planned*, so a server that stalls cannot hide it.
 */
import { deferred } from '../src/clock.ts'
import { EventFrames, idOf, PostFrames, repliedSeq, replyId } from './frames.ts'
import { type Faults, Histogram } from './stats.ts'
import { openAll, WebSocketClient } from './tcp.ts'
import { encodeText } from './wire.ts'

const FINISH_MS_MAX = 15_000
const SUBSCRIBE_ID = 1

/** Posts to a room in which nobody else posts, so that seq and number of a post are the same. */
export class Publisher {
  /** How late posts were sent: a generator that is itself too busy. */
  sendLag = new Histogram()
  /** From the planned time to the acknowledgement: the part of a delivery that the disk has. */
  acknowledgement = new Histogram()
  readonly #socket: WebSocketClient
  readonly #frames: PostFrames
  readonly #periodMs: number
  readonly #faults: Faults
  #timer: ReturnType<typeof setTimeout> | undefined
  #startedAt = 0
  #posted = 0
  #acknowledged = 0

  static async open(options: {
    port: number
    token: string
    room: string
    text: string
    perSecond: number
    faults: Faults
  }): Promise<Publisher> {
    const { port, token, room, text, perSecond, faults } = options
    const socket = await WebSocketClient.open(port, token)
    return new Publisher(socket, new PostFrames(room, text, 1), 1_000 / perSecond, faults)
  }

  private constructor(
    socket: WebSocketClient,
    frames: PostFrames,
    periodMs: number,
    faults: Faults,
  ) {
    this.#socket = socket
    this.#frames = frames
    this.#periodMs = periodMs
    this.#faults = faults
    socket.onText = (...frame) => this.#replied(...frame)
    socket.onLost = (why) => {
      clearTimeout(this.#timer)
      faults.add(`the publisher: ${why}`)
    }
  }

  get posted(): number {
    return this.#posted
  }

  /** Measures from now on. Returns the number of posts sent before. */
  measure(): number {
    this.sendLag = new Histogram()
    this.acknowledgement = new Histogram()
    return this.#posted
  }

  plannedAt(seq: number): number {
    return this.#startedAt + (seq - 1) * this.#periodMs
  }

  start(): void {
    this.#startedAt = performance.now()
    this.#postDue()
  }

  /** Resolves when every post has been acknowledged. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer)
    const deadline = performance.now() + FINISH_MS_MAX
    while (this.#acknowledged < this.#posted && performance.now() < deadline) await Bun.sleep(5)
    const missing = this.#posted - this.#acknowledged
    this.#faults.check(missing === 0, `${missing} posts were never acknowledged`)
  }

  close(): void {
    this.#socket.close()
  }

  readonly #postDue = (): void => {
    const now = performance.now()
    while (this.plannedAt(this.#posted + 1) <= now) {
      this.#socket.write(this.#frames.take(this.#posted, 1))
      this.#posted += 1
      this.sendLag.record(now - this.plannedAt(this.#posted))
    }
    this.#timer = setTimeout(this.#postDue, this.plannedAt(this.#posted + 1) - now)
  }

  #replied(bytes: Buffer, start: number, end: number): void {
    const id = replyId(bytes, start)
    if (Number.isNaN(id)) return
    const seq = repliedSeq(bytes, start, end)
    this.#acknowledged += 1
    this.acknowledgement.record(performance.now() - this.plannedAt(this.#acknowledged))
    if (id === idOf(seq - 1) && seq === this.#acknowledged) return
    this.#faults.add(
      `post ${this.#acknowledged} was answered ${bytes.toString('utf8', start, end)}`,
    )
  }
}

/** All readers of a room. */
export class Readers {
  /** One for each delivery of a measured event. */
  latency = new Histogram()
  /** Events up to this seq are checked like all, but not measured. */
  #measuredAfter = Number.POSITIVE_INFINITY
  readonly #options: ReadersOptions
  readonly #frames: EventFrames
  readonly #all: Reader[] = []

  constructor(options: ReadersOptions) {
    this.#options = options
    this.#frames = new EventFrames(options.room, options.text)
  }

  get size(): number {
    return this.#all.length
  }

  /** So many more; resolves when each is subscribed. */
  async add(count: number): Promise<void> {
    const { port, tokenOf, room } = this.#options
    const subscribe = encodeText(JSON.stringify({ id: SUBSCRIBE_ID, op: 'subscribe', room }))
    const before = this.#all.length
    const added = await openAll(count, async (index) => {
      const socket = await WebSocketClient.open(port, tokenOf(before + index))
      const reader = new Reader(socket, this)
      socket.write(subscribe)
      await reader.subscribed.promise
      return reader
    })
    this.#all.push(...added)
  }

  /** Measures the deliveries of events after `seq`. */
  measureAfter(seq: number): void {
    this.latency = new Histogram()
    this.#measuredAfter = seq
  }

  /** Waits until every reader has everything up to `seq`; whoever has not is a fault. */
  async finish(seq: number): Promise<void> {
    const deadline = performance.now() + FINISH_MS_MAX
    const behind = () => this.#all.filter((reader) => reader.next !== seq + 1).length
    while (behind() > 0 && performance.now() < deadline) await Bun.sleep(5)
    const left = behind()
    this.#options.faults.check(left === 0, `${left} readers did not get everything up to ${seq}`)
  }

  close(): void {
    for (const reader of this.#all) reader.close()
  }

  lost(why: string): void {
    this.#options.faults.add(`a reader: ${why}`)
  }

  /** Returns the seq that the reader must get next. */
  received(next: number, bytes: Buffer, start: number, end: number): number {
    const run = this.#frames.read(bytes, start, end)
    if (run === undefined) return next
    const { first, last } = run
    if (first !== next) this.#options.faults.add(`a reader got ${first} where ${next} was due`)
    const now = performance.now()
    for (let seq = Math.max(first, this.#measuredAfter + 1); seq <= last; seq++)
      this.latency.record(now - this.#options.publisher.plannedAt(seq))
    return last + 1
  }
}

export interface ReadersOptions {
  port: number
  room: string
  /** What every message says. */
  text: string
  tokenOf: (reader: number) => string
  publisher: Publisher
  faults: Faults
}

class Reader {
  /** The seq due next. */
  next = 0
  readonly subscribed = deferred<void>()
  readonly #socket: WebSocketClient

  constructor(socket: WebSocketClient, readers: Readers) {
    this.#socket = socket
    socket.onLost = (why) => {
      this.subscribed.reject(new Error(why))
      readers.lost(why)
    }
    socket.onText = (bytes, start, end) => {
      if (replyId(bytes, start) === SUBSCRIBE_ID) this.#begin(bytes.toString('utf8', start, end))
      else this.next = readers.received(this.next, bytes, start, end)
    }
  }

  close(): void {
    this.#socket.close()
  }

  #begin(reply: string): void {
    const { ok } = JSON.parse(reply) as { ok?: { head: number } }
    if (ok === undefined) throw new Error(`Subscribing failed: ${reply}`)
    this.next = ok.head + 1
    this.subscribed.resolve()
  }
}
