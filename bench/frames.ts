/** The frames of Parley's WebSocket that are on the hot path: posts out, replies and events in. */
import { encodeText, readInteger, startsWith } from './wire.ts'

const encoder = new TextEncoder()

/** Ids all have as many digits, so that a frame can be patched without changing its length. */
const FIRST_ID = 1_000_000
const ID_DIGITS = 7
const IDS = 10 ** ID_DIGITS - FIRST_ID

/** Posts as ready-made bytes, up to `max` in one write; only the ids are written anew. */
export class PostFrames {
  readonly #bytes: Uint8Array
  readonly #frameLength: number
  readonly #idAt: number

  constructor(room: string, text: string, max: number) {
    const one = encodeText(JSON.stringify({ id: FIRST_ID, op: 'post', room, text }))
    this.#frameLength = one.length
    this.#idAt = Buffer.from(one).indexOf(String(FIRST_ID))
    this.#bytes = new Uint8Array(one.length * max)
    for (let i = 0; i < max; i++) this.#bytes.set(one, i * one.length)
  }

  /** `count` posts with the ids of the `from`th and those after it. Valid until the next call. */
  take(from: number, count: number): Uint8Array {
    for (let i = 0; i < count; i++) {
      let id = idOf(from + i)
      const start = i * this.#frameLength + this.#idAt
      for (let at = start + ID_DIGITS - 1; at >= start; at--) {
        this.#bytes[at] = 48 + (id % 10)
        id = Math.floor(id / 10)
      }
    }
    return this.#bytes.subarray(0, count * this.#frameLength)
  }
}

/** The id of a connection's `n`th post. */
export function idOf(n: number): number {
  return FIRST_ID + (n % IDS)
}

const REPLY = encoder.encode('{"re":')
const OK = encoder.encode(',"ok":{')
const SEQ = Buffer.from('"seq":')

/** The id that a frame replies to; NaN if it is no reply. */
export function replyId(bytes: Buffer, start: number): number {
  return startsWith(bytes, start, REPLY) ? readInteger(bytes, start + REPLY.length) : Number.NaN
}

/** The seq in the reply to a post; NaN if the reply is an error, or the frame no reply. */
export function repliedSeq(bytes: Buffer, start: number, end: number): number {
  const id = replyId(bytes, start)
  if (Number.isNaN(id) || !startsWith(bytes, start + REPLY.length + digits(id), OK))
    return Number.NaN
  const at = bytes.indexOf(SEQ, start)
  return at === -1 || at >= end ? Number.NaN : readInteger(bytes, at + SEQ.length)
}

function digits(id: number): number {
  let count = 1
  for (let rest = id; rest >= 10; rest /= 10) count += 1
  return count
}

export interface Run {
  first: number
  last: number
}

interface KnownFrame extends Run {
  bytes: Buffer
}

/** Frames remembered; readers are never further apart than the flushes in flight. */
const KNOWN_MAX = 256

/**
 * The events in frames of one room. All its readers get the same bytes, so a frame is parsed, and
 * its events checked, when it comes the first time; further copies are compared byte by byte.
 */
export class EventFrames {
  readonly #start: Uint8Array
  readonly #text: string
  readonly #known: (KnownFrame | undefined)[] = new Array(KNOWN_MAX).fill(undefined)

  /** `text` is what every message must say. */
  constructor(room: string, text: string) {
    this.#start = encoder.encode(`{"timeline":"${room}","events":[{"seq":`)
    this.#text = text
  }

  /** Undefined if the frame holds no events of the room. Throws if the events are wrong. */
  read(bytes: Buffer, start: number, end: number): Run | undefined {
    if (!startsWith(bytes, start, this.#start)) return undefined
    const first = readInteger(bytes, start + this.#start.length)
    const slot = first % KNOWN_MAX
    const known = this.#known[slot]
    const length = end - start
    if (known?.bytes.length === length && bytes.compare(known.bytes, 0, length, start, end) === 0)
      return known
    const copy = Buffer.from(bytes.subarray(start, end))
    const parsed = { ...this.#parse(copy), bytes: copy }
    this.#known[slot] = parsed
    return parsed
  }

  #parse(frame: Buffer): Run {
    const { events } = JSON.parse(frame.toString()) as { events: { seq: number; text: string }[] }
    const first = events[0]!.seq
    for (const [index, { seq, text }] of events.entries()) {
      if (seq !== first + index)
        throw new Error(`event ${seq} stands where ${first + index} should`)
      if (text !== this.#text) throw new Error(`event ${seq} does not say what was posted`)
    }
    return { first, last: first + events.length - 1 }
  }
}
