/**
 * Sequences of WebSocket frames, right and wrong, and what RFC 6455 and the protocol demand in
 * return: a model of a server, small enough to be read beside the RFC.
 */
import fc from 'fast-check'
import { encodeFrame, OPCODE, type RawFrame } from '../raw.ts'

/** A message's limit, in bytes, whether in one frame or in many. */
const MESSAGE_BYTES_MAX = 65_536

const ping = fc.nat(1_000_000).map((id) => `{"id":${id},"op":"ping"}`)
const oddId = fc.constantFrom('-1', '-0', '0.5', '1e3', '"1"', 'null', '[1]', '9007199254740992')
const text = fc.oneof(
  { weight: 6, arbitrary: ping },
  { weight: 1, arbitrary: ping.map((one) => one.padEnd(126)) },
  { weight: 1, arbitrary: ping.map((one) => one.padEnd(MESSAGE_BYTES_MAX)) },
  { weight: 1, arbitrary: ping.map((one) => one.padEnd(MESSAGE_BYTES_MAX + 1)) },
  { weight: 1, arbitrary: fc.json() },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
  { weight: 1, arbitrary: oddId.map((id) => `{"id":${id},"op":"ping"}`) },
)
const bytes = fc.oneof(
  { weight: 4, arbitrary: text.map((one) => Buffer.from(one)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((one) => Buffer.from(one)) },
)
const rarely = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof(
    { weight: 15, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  )

/** One message of text, in one frame or cut into several, with a ping between them at times. */
const message: fc.Arbitrary<RawFrame[]> = fc
  .tuple(bytes, fc.array(fc.nat(), { maxLength: 3 }), fc.boolean())
  .map(([payload, cuts, pings]) => {
    const ends = [...cuts.map((cut) => cut % (payload.length + 1)), payload.length]
    let start = 0
    return ends
      .sort((a, b) => a - b)
      .flatMap((end, i): RawFrame[] => {
        const opcode = i === 0 ? OPCODE.text : OPCODE.continuation
        const part = { opcode, payload: payload.subarray(start, end), fin: end === payload.length }
        start = end
        const between = { opcode: OPCODE.ping, payload: Buffer.from([i]) }
        return pings && i > 0 ? [between, part] : [part]
      })
  })

const control: fc.Arbitrary<RawFrame[]> = fc
  .tuple(
    fc.constantFrom(OPCODE.ping, OPCODE.ping, OPCODE.pong),
    fc.oneof(fc.uint8Array({ maxLength: 125 }), fc.constantFrom(new Uint8Array(126))),
  )
  .map(([opcode, payload]) => [{ opcode, payload: Buffer.from(payload) }])

const close: fc.Arbitrary<RawFrame[]> = fc
  .tuple(
    fc.constantFrom(1_000, 1_001, 1_004, 1_005, 1_006, 1_015, 999, 3_000, 4_999, 5_000, 0),
    fc.oneof(fc.string({ maxLength: 20 }), fc.constant('\xff')),
    rarely(20, 0, 1, 2),
  )
  .map(([code, reason, length]) => {
    const payload = Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)])
    if (reason === '\xff') payload[2] = 0xff
    return [{ opcode: OPCODE.close, payload: payload.subarray(0, length) }]
  })

const anyFrame: fc.Arbitrary<RawFrame[]> = fc
  .record({
    opcode: fc.nat(15),
    payload: bytes,
    fin: fc.boolean(),
    rsv: rarely(0, 0x10, 0x20, 0x40),
    masked: rarely(true, false),
  })
  .map((frame) => [frame])

/** What is sent over one connection. */
export const frameSequences: fc.Arbitrary<RawFrame[]> = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: message },
      { weight: 2, arbitrary: control },
      { weight: 1, arbitrary: close },
      { weight: 1, arbitrary: anyFrame },
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((parts) => parts.flat())

/** The frames' bytes, in pieces as they may come over the network. */
export function piecesOf(frames: readonly RawFrame[], cuts: readonly number[]): Buffer[] {
  const whole = Buffer.concat(frames.map(encodeFrame))
  const ends = cuts.map((cut) => cut % (whole.length + 1)).sort((a, b) => a - b)
  let start = 0
  return [...ends, whole.length].map((end) => {
    const piece = whole.subarray(start, end)
    start = end
    return piece
  })
}

export interface Demanded {
  /** What the pongs hold, in order. */
  pongs: string[]
  /** The ids replied to, in order. */
  replies: number[]
  /**
   * The codes of which one is to close the connection; empty if it stays open. More than one where
   * a frame is wrong in several ways.
   */
  codes: Set<number>
}

/** What these frames must lead to on a connection that is signed in. */
export function demandedBy(frames: readonly RawFrame[]): Demanded {
  const demanded: Demanded = { pongs: [], replies: [], codes: new Set() }
  /** The message that has begun and not ended. */
  let begun: { isText: boolean; payload: Buffer } | undefined
  for (const frame of frames) {
    const { opcode, payload, fin = true } = frame
    demanded.codes = faultsOf(frame, begun !== undefined)
    const isData = opcode < OPCODE.close
    if (isData) {
      const earlier = begun?.payload ?? Buffer.alloc(0)
      const isText = begun?.isText ?? opcode === OPCODE.text
      begun = { isText, payload: Buffer.concat([earlier, payload]) }
      if (begun.payload.length > MESSAGE_BYTES_MAX) demanded.codes.add(1_009)
      // Whether broken text is found at once or at its end is left open.
      if (demanded.codes.size > 0 && isText && !isUtf8(begun.payload)) demanded.codes.add(1_007)
    }
    if (demanded.codes.size > 0) return demanded
    if (opcode === OPCODE.ping) demanded.pongs.push(payload.toString('latin1'))
    if (opcode === OPCODE.close) demanded.codes = closedBy(payload)
    if (isData && fin) {
      const { isText, payload: whole } = begun!
      begun = undefined
      const answer = isText ? answerTo(whole) : 4_400
      if (typeof answer === 'number') demanded.codes.add(answer)
      else demanded.replies.push(answer.re)
    }
    if (demanded.codes.size > 0) return demanded
  }
  return demanded
}

/** RFC 6455, 5.2, 5.4 and 5.5: what is wrong with a frame in itself, and where it stands. */
function faultsOf(frame: RawFrame, inMessage: boolean): Set<number> {
  const { opcode, payload, fin = true, rsv = 0, masked = true } = frame
  const isControl = opcode >= OPCODE.close
  const isKnown = opcode <= OPCODE.binary || (isControl && opcode <= OPCODE.pong)
  const isMisplaced = opcode === OPCODE.continuation ? !inMessage : !isControl && inMessage
  const isBad = rsv !== 0 || !masked || !isKnown || isMisplaced
  return new Set(isBad || (isControl && (!fin || payload.length > 125)) ? [1_002] : [])
}

/** 5.5.1 and 7.4: a close is answered with its own code. */
function closedBy(payload: Buffer): Set<number> {
  if (payload.length === 0) return new Set([1_000, 1_005])
  if (payload.length === 1) return new Set([1_002])
  const code = payload.readUInt16BE(0)
  const isOfProtocol = code >= 1_000 && code <= 1_014 && ![1_004, 1_005, 1_006].includes(code)
  const codes = new Set([isOfProtocol || (code >= 3_000 && code <= 4_999) ? code : 1_002])
  if (!isUtf8(payload.subarray(2))) {
    codes.add(1_007)
    codes.delete(code)
  }
  return codes
}

/** The reply's id, or the code that closes the connection. */
function answerTo(message: Buffer): { re: number } | 1_007 | 4_400 {
  if (!isUtf8(message)) return 1_007
  try {
    const { id, op } = JSON.parse(message.toString())
    if (Number.isSafeInteger(id) && id >= 0 && typeof op === 'string') return { re: id + 0 }
  } catch {
    // Not JSON.
  }
  return 4_400
}

function isUtf8(payload: Buffer): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(payload)
    return true
  } catch {
    return false
  }
}
