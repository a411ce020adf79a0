/**
 * HTTP/1.1 and WebSocket as bytes, from the client's side, with as little work as possible: a
 * library that makes an object of everything would be busier than the server it is to measure. Only
 * what the server under test does is understood; anything else throws.
 */
const encoder = new TextEncoder()

const HEAD_END = Buffer.from('\r\n\r\n')
const LENGTH_HEADER = Buffer.from('\r\nContent-Length: ')
const ZERO = 48

export interface HttpRequest {
  method: string
  path: string
  token: string
  /** Goes as JSON. */
  body?: unknown
  headers?: Record<string, string>
}

export function encodeRequest({ method, path, token, body, headers }: HttpRequest): Uint8Array {
  const text = body === undefined ? '' : JSON.stringify(body)
  const all = {
    Host: '127.0.0.1',
    Authorization: `Bearer ${token}`,
    ...(body !== undefined && {
      'Content-Type': 'application/json',
      'Content-Length': String(Buffer.byteLength(text)),
    }),
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return encoder.encode(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${text}`)
}

/** The key of RFC 6455's own example, so that the right answer is known beforehand. */
const HANDSHAKE_KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const HANDSHAKE_ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

export function encodeHandshake(path: string, token: string): Uint8Array {
  const headers = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': HANDSHAKE_KEY,
  }
  return encodeRequest({ method: 'GET', path, token, headers })
}

/**
 * Where the frames begin, after the answer to a handshake; −1 while that is incomplete. Throws if
 * the server refused.
 */
export function handshakeEnd(bytes: Buffer): number {
  const headEnd = bytes.indexOf(HEAD_END)
  if (headEnd === -1) return -1
  const head = bytes.toString('latin1', 0, headEnd)
  if (!head.startsWith('HTTP/1.1 101') || !head.includes(HANDSHAKE_ACCEPT))
    throw new Error(`The handshake was refused: ${bytes.toString('latin1', 0, 1_000)}`)
  return headEnd + HEAD_END.length
}

/** The body lies in `bytes` from `start` to `end`; valid only during the call. */
export type OnResponse = (status: number, bytes: Buffer, start: number, end: number) => void
export type OnFrame = (opcode: number, bytes: Buffer, start: number, end: number) => void

/** What a stream of chunks has left over, put before the next chunk. */
class Rest {
  #rest: Buffer | undefined

  join(chunk: Buffer): Buffer {
    const rest = this.#rest
    if (rest === undefined) return chunk
    this.#rest = undefined
    return Buffer.concat([rest, chunk])
  }

  keep(bytes: Buffer, from: number): void {
    // A copy: the chunk's memory is the runtime's.
    if (from < bytes.length) this.#rest = Buffer.from(bytes.subarray(from))
  }
}

/** Cuts a connection's bytes into HTTP responses. */
export class ResponseReader {
  readonly #rest = new Rest()
  readonly #onResponse: OnResponse

  constructor(onResponse: OnResponse) {
    this.#onResponse = onResponse
  }

  push(chunk: Buffer): void {
    const bytes = this.#rest.join(chunk)
    let at = 0
    while (at < bytes.length) {
      const headEnd = bytes.indexOf(HEAD_END, at)
      if (headEnd === -1) break
      const start = headEnd + HEAD_END.length
      const end = start + contentLength(bytes, at, headEnd)
      if (end > bytes.length) break
      this.#onResponse(readInteger(bytes, at + 'HTTP/1.1 '.length), bytes, start, end)
      at = end
    }
    this.#rest.keep(bytes, at)
  }
}

function contentLength(bytes: Buffer, from: number, headEnd: number): number {
  const at = bytes.indexOf(LENGTH_HEADER, from)
  if (at !== -1 && at < headEnd) return readInteger(bytes, at + LENGTH_HEADER.length)
  const head = bytes.toString('latin1', from, headEnd)
  const other = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  if (other === undefined) throw new Error(`A response without a length: ${head}`)
  return Number(other)
}

/** The digits at `at` as a number; NaN if there are none. */
export function readInteger(bytes: Uint8Array, at: number): number {
  let value = 0
  let i = at
  for (; i < bytes.length; i++) {
    const digit = bytes[i]! - ZERO
    if (digit < 0 || digit > 9) break
    value = value * 10 + digit
  }
  return i === at ? Number.NaN : value
}

/** True if `text`'s bytes stand in `bytes` at `at`. */
export function startsWith(bytes: Uint8Array, at: number, text: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text[i]) return false
  return true
}

export const OPCODE = { text: 1, close: 8, ping: 9, pong: 10 } as const
const FINAL = 0x80
const MASKED = 0x80
const MASK_BYTES = 4

/** A client's frame. The mask is zero: allowed, and the payload can then be patched in place. */
export function encodeFrame(opcode: number, payload: Uint8Array): Uint8Array {
  const { length } = payload
  const lengthBytes = length < 126 ? 1 : length < 65_536 ? 3 : 9
  const frame = new Uint8Array(1 + lengthBytes + MASK_BYTES + length)
  const view = new DataView(frame.buffer)
  frame[0] = FINAL | opcode
  frame[1] = MASKED | (lengthBytes === 1 ? length : lengthBytes === 3 ? 126 : 127)
  if (lengthBytes === 3) view.setUint16(2, length)
  if (lengthBytes === 9) view.setBigUint64(2, BigInt(length))
  frame.set(payload, 1 + lengthBytes + MASK_BYTES)
  return frame
}

export function encodeText(text: string): Uint8Array {
  return encodeFrame(OPCODE.text, encoder.encode(text))
}

/** Cuts a connection's bytes into WebSocket frames. */
export class FrameReader {
  readonly #rest = new Rest()
  readonly #onFrame: OnFrame

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame
  }

  push(chunk: Buffer): void {
    const bytes = this.#rest.join(chunk)
    let at = 0
    while (at + 2 <= bytes.length) {
      const short = bytes[at + 1]!
      if (short >= MASKED) throw new Error('A server does not mask its frames.')
      const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10)
      if (start > bytes.length) break
      const end = start + payloadLength(bytes, at, short)
      if (end > bytes.length) break
      const first = bytes[at]!
      if ((first & 0xf0) !== FINAL) throw new Error(`A fragmented frame: ${first}`)
      this.#onFrame(first & 0x0f, bytes, start, end)
      at = end
    }
    this.#rest.keep(bytes, at)
  }
}

function payloadLength(bytes: Buffer, at: number, short: number): number {
  if (short < 126) return short
  return short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
}
