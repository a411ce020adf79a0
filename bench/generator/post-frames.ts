/** Posts to one of Parley's rooms as ready-made bytes, many in one write. */
import { NUMBER_DIGITS, textOf, writeNumber } from './texts.ts'
import { encodeText } from './websocket.ts'

/** Ids all have as many digits, so that a frame is patched without changing its length. */
const FIRST_ID = 10_000_000
const ID_DIGITS = 8
const IDS = 10 ** ID_DIGITS - FIRST_ID

export class PostFrames {
  readonly #bytes: Uint8Array
  readonly #frameLength: number
  readonly #idAt: number
  readonly #numberAt: number

  /** Up to `max` posts in one write. */
  constructor(room: string, textBytes: number, max: number) {
    const text = textOf(0, textBytes)
    const one = Buffer.from(encodeText(JSON.stringify({ id: FIRST_ID, op: 'post', room, text })))
    this.#frameLength = one.length
    this.#idAt = one.indexOf(String(FIRST_ID))
    this.#numberAt = one.indexOf(text)
    this.#bytes = new Uint8Array(one.length * max)
    for (let i = 0; i < max; i++) this.#bytes.set(one, i * one.length)
  }

  /** A connection's posts from its `from`th on. Valid until the next call. */
  take(from: number, count: number): Uint8Array {
    for (let i = 0; i < count; i++) {
      const start = i * this.#frameLength
      writeNumber(this.#bytes, start + this.#idAt, idOf(from + i), ID_DIGITS)
      writeNumber(this.#bytes, start + this.#numberAt, from + i, NUMBER_DIGITS)
    }
    return this.#bytes.subarray(0, count * this.#frameLength)
  }
}

/** The id of a connection's `n`th post. */
export function idOf(n: number): number {
  return FIRST_ID + (n % IDS)
}

const REPLY = Buffer.from('{"re":')
const OK = Buffer.from(',"ok":{')
const SEQ = Buffer.from('"seq":')
const HEADS = Buffer.from('{"heads":')
const ZERO = 48

export interface Acknowledgement {
  id: number
  seq: number
}

/**
 * Reads the reply to a post; the result is valid until the next call. Undefined if the frame only
 * tells heads. Throws if it is anything else: whoever only posts gets nothing else.
 */
export function readAcknowledgement(
  bytes: Buffer,
  start: number,
  end: number,
): Readonly<Acknowledgement> | undefined {
  if (standsAt(bytes, start, HEADS)) return undefined
  const idAt = start + REPLY.length
  const okAt = idAt + ID_DIGITS
  const seqAt = bytes.indexOf(SEQ, okAt)
  const isPosted = standsAt(bytes, start, REPLY) && standsAt(bytes, okAt, OK) && seqAt !== -1
  const seq = isPosted ? readDigits(bytes, seqAt + SEQ.length, end) : Number.NaN
  if (Number.isNaN(seq)) throw new Error(`a post was answered ${shown(bytes, start, end)}`)
  acknowledgement.id = readDigits(bytes, idAt, okAt)
  acknowledgement.seq = seq
  return acknowledgement
}

/** One object for all replies: a hundred thousand a second make no garbage. */
const acknowledgement: Acknowledgement = { id: 0, seq: 0 }

function standsAt(bytes: Uint8Array, at: number, text: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text[i]) return false
  return true
}

/** As a number, up to whatever is no digit; NaN if there is none. */
function readDigits(bytes: Uint8Array, from: number, end: number): number {
  let value = 0
  let at = from
  for (; at < end; at++) {
    const digit = bytes[at]! - ZERO
    if (!(digit >= 0 && digit <= 9)) break
    value = value * 10 + digit
  }
  return at === from ? Number.NaN : value
}

function shown(bytes: Buffer, start: number, end: number): string {
  return bytes.toString('utf8', start, Math.min(end, start + 300))
}
