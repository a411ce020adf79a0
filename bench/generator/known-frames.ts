/**
 * The events in frames of a room. All its readers get the same bytes, so a frame is parsed, and its
 * events checked, when it comes the first time; further copies are compared byte by byte.
 */
import { fillingOf, NUMBER_DIGITS, readNumber } from './texts.ts'

/** Frames remembered for each room: readers are not further apart than what is in flight. */
const KNOWN_MAX = 16

export interface Run {
  room: number
  first: number
  last: number
  /** Of the posts, in the order of their seqs. */
  numbers: Int32Array
}

interface KnownFrame extends Run {
  bytes: Buffer
}

/** Where the id stands in `{"timeline":"…` */
const ID_AT = 13
/** Ids of rooms have 17 characters; the last eight are random enough to tell rooms apart. */
const ID_CHARS = 17
const HASHED_CHARS = 8

export class KnownFrames {
  readonly #rooms: readonly string[]
  readonly #filling: string
  /** By a hash of the id, then checked. */
  readonly #byHash = new Map<number, number>()
  readonly #known: KnownFrame[][]

  /** `rooms` are ids of 17 characters, as Parley makes them. */
  constructor(rooms: readonly string[], textBytes: number) {
    this.#rooms = rooms
    this.#filling = fillingOf(textBytes)
    this.#known = rooms.map(() => [])
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
    const known = this.#known[room]!
    const length = end - start
    // What came last is most likely what comes again.
    for (let i = known.length - 1; i >= 0; i--) {
      const one = known[i]!
      if (one.bytes.length === length && bytes.compare(one.bytes, 0, length, start, end) === 0)
        return one
    }
    return this.#parse(room, Buffer.from(bytes.subarray(start, end)))
  }

  #parse(room: number, bytes: Buffer): Run | undefined {
    const frame = JSON.parse(bytes.toString()) as {
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
    const run = { room, first, last: first + events.length - 1, numbers, bytes }
    this.#remember(room, run)
    return run
  }

  #remember(room: number, run: KnownFrame): void {
    const known = this.#known[room]!
    known.push(run)
    if (known.length > KNOWN_MAX) known.shift()
  }
}

function hashAt(bytes: Uint8Array, idAt: number): number {
  let hash = 0
  for (let i = idAt + ID_CHARS - HASHED_CHARS; i < idAt + ID_CHARS; i++)
    hash = hash * 64 + (bytes[i]! & 63)
  return hash
}
