/**
 * The events in frames of rooms: parsed and checked when they come the first time, and from then on
 * known by their bytes.
 */
import { KnownEvents, type Run } from './known-events.ts'
import { fillingOf, NUMBER_DIGITS, readNumber } from './texts.ts'

/** Where the id stands in `{"timeline":"…` */
const ID_AT = 13
/** Ids of rooms have 17 characters; the last eight are random enough to tell rooms apart. */
const ID_CHARS = 17
const HASHED_CHARS = 8
/** `]}` */
const FRAME_ENDS_BYTES = 2
const EVENT_HEAD_BYTES = '{"seq":'.length
const ZERO = 48

export class KnownFrames {
  readonly #rooms: readonly string[]
  readonly #filling: string
  /** By a hash of the id, then checked. */
  readonly #byHash = new Map<number, number>()
  readonly #events: KnownEvents[]
  /** Of a frame with events, up to the first one's seq. */
  readonly #heads: Buffer[]

  /** `rooms` are ids of 17 characters, as Parley makes them. */
  constructor(rooms: readonly string[], textBytes: number) {
    this.#rooms = rooms
    this.#filling = fillingOf(textBytes)
    this.#events = rooms.map((_, room) => new KnownEvents(room))
    this.#heads = rooms.map((id) => Buffer.from(`{"timeline":"${id}","events":[{"seq":`))
    for (const [index, id] of rooms.entries()) {
      if (id.length !== ID_CHARS) throw new Error(`${id} is no id of a room`)
      const hash = hashAt(Buffer.from(id), 0)
      if (this.#byHash.has(hash)) throw new Error(`two rooms whose ids end alike: ${id}`)
      this.#byHash.set(hash, index)
    }
  }

  /** Undefined if the frame holds no events. Throws if they are wrong. */
  read(bytes: Buffer, start: number, end: number): Run | undefined {
    const room = this.#byHash.get(hashAt(bytes, start + ID_AT))
    if (room === undefined)
      throw new Error(`a frame of another room: ${bytes.toString('utf8', start, start + 60)}`)
    return this.#match(room, bytes, start, end) ?? this.#parse(room, bytes, start, end)
  }

  /** Events that have been seen, in this frame or in another. */
  #match(room: number, bytes: Buffer, start: number, end: number): Run | undefined {
    if (!this.#hasHead(room, bytes, start, end)) return undefined
    const seqAt = start + this.#heads[room]!.length
    let first = 0
    for (let at = seqAt; bytes[at]! >= ZERO && bytes[at]! < ZERO + 10; at++)
      first = first * 10 + bytes[at]! - ZERO
    const eventsAt = seqAt - EVENT_HEAD_BYTES
    return this.#events[room]!.match(first, bytes, eventsAt, end - FRAME_ENDS_BYTES)
  }

  #hasHead(room: number, bytes: Buffer, start: number, end: number): boolean {
    const { length } = this.#heads[room]!
    if (start + length > end) return false
    return bytes.compare(this.#heads[room]!, 0, length, start, start + length) === 0
  }

  #parse(room: number, bytes: Buffer, start: number, end: number): Run | undefined {
    const frame = JSON.parse(bytes.toString('utf8', start, end)) as {
      timeline: string
      events?: { seq: number; type: string; text: string }[]
      caughtUp?: number
    }
    if (frame.timeline !== this.#rooms[room]) throw new Error(`a frame of ${frame.timeline}`)
    const { events } = frame
    if (events === undefined && frame.caughtUp !== undefined) return undefined
    if (events === undefined || events.length === 0) throw new Error('a frame without events')
    const first = events[0]!.seq
    const numbers = Int32Array.from(events, ({ seq, text }, i) => {
      if (seq !== first + i) throw new Error(`event ${seq} stands where ${first + i} should`)
      const n = readNumber(Buffer.from(text), 0, NUMBER_DIGITS)
      if (Number.isNaN(n) || text.slice(NUMBER_DIGITS) !== this.#filling)
        throw new Error(`event ${seq} does not say what was posted`)
      return n
    })
    const run = { room, first, last: first + numbers.length - 1, numbers }
    if (this.#hasHead(room, bytes, start, end)) {
      const eventsAt = start + this.#heads[room]!.length - EVENT_HEAD_BYTES
      this.#events[room]!.learn(run, bytes, eventsAt, end - FRAME_ENDS_BYTES)
    }
    return run
  }
}

function hashAt(bytes: Uint8Array, idAt: number): number {
  let hash = 0
  for (let i = idAt + ID_CHARS - HASHED_CHARS; i < idAt + ID_CHARS; i++)
    hash = hash * 64 + (bytes[i]! & 63)
  return hash
}
