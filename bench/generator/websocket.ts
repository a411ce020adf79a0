/**
 * A WebSocket from the client's side, as bytes: the upgrade, the cutting of frames, the answers to
 * pings. What no server may send throws.
 */
import type { Loop } from './loop.ts'
import { Tcp, type TcpHandler } from './tcp.ts'

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

const FINAL = 0x80
const MASKED = 0x80
const MASK_BYTES = 4
const HEAD_END = Buffer.from('\r\n\r\n')
const HEAD_BYTES_MAX = 16_384

/** The key of RFC 6455's own example, so that the right answer is known beforehand. */
const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

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
  return encodeFrame(OPCODE.text, Buffer.from(text))
}

export function encodeUpgrade(path: string, headers: Record<string, string>): Uint8Array {
  const all = {
    Host: '127.0.0.1',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': KEY,
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`)
}

/** The server answered an upgrade with something else than 101. */
export class UpgradeRefused extends Error {
  readonly status: number
  /** What `Retry-After` says, in seconds; undefined if it says nothing. */
  readonly retryAfterS: number | undefined

  constructor(answer: string) {
    super(`The upgrade was refused: ${answer}`)
    this.status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])
    const retryAfter = /\r\nRetry-After: *(\d+)/i.exec(answer)?.[1]
    this.retryAfterS = retryAfter === undefined ? undefined : Number(retryAfter)
  }
}

/**
 * Where the frames begin, after the answer to an upgrade; 0 while that is incomplete. Throws
 * `UpgradeRefused` if the server refused.
 */
export function upgradeEnd(bytes: Buffer, length: number): number {
  const headEnd = bytes.subarray(0, length).indexOf(HEAD_END)
  if (headEnd === -1 && length > HEAD_BYTES_MAX) throw new Error('The upgrade has no end.')
  if (headEnd === -1) return 0
  const head = bytes.toString('latin1', 0, headEnd)
  if (!head.startsWith('HTTP/1.1 101') || !head.includes(ACCEPT))
    throw new UpgradeRefused(bytes.toString('latin1', 0, Math.min(length, 500)))
  return headEnd + HEAD_END.length
}

/** Pings that all connections have been sent, and have answered, so far. */
export const pinged = { count: 0 }

export interface FrameHandler {
  /** A whole data frame; `bytes` are valid only during the call. */
  frame(opcode: number, bytes: Buffer, start: number, end: number): void
}

export interface WebSocketHandler extends FrameHandler {
  opened(): void
  /** The upgrade was refused, and it is closed. Without this, `lost` is told. */
  refused?(why: UpgradeRefused): void
  /** It ended, and not by `close`. */
  lost(why: string): void
}

/** Cuts bytes into frames; `need` is the length of the one that begins where it stopped. */
export class FrameCutter {
  need = 0

  /** Returns where the first incomplete frame begins. `control` gets what is no data. */
  cut(
    bytes: Buffer,
    from: number,
    length: number,
    to: FrameHandler,
    control: FrameHandler,
  ): number {
    let at = from
    this.need = 0
    while (at + 2 <= length) {
      const short = bytes[at + 1]!
      if (short >= MASKED) throw new Error('A server does not mask its frames.')
      const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10)
      if (start > length) break
      const end = start + payloadLength(bytes, at, short)
      if (end > length) {
        this.need = end - at
        break
      }
      const first = bytes[at]!
      if ((first & 0x70) !== 0) throw new Error(`A frame with reserved bits: ${first}`)
      if ((first & FINAL) === 0) throw new Error(`A fragmented frame: ${first}`)
      const opcode = first & 0x0f
      if (opcode < OPCODE.close) to.frame(opcode, bytes, start, end)
      else control.frame(opcode, bytes, start, end)
      at = end
    }
    return at
  }
}

function payloadLength(bytes: Buffer, at: number, short: number): number {
  if (short < 126) return short
  return short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
}

export interface WebSocketAddress {
  /** An address of this machine's own, 127.0.0.0/8: each has its own ports. */
  source: string
  port: number
  path: string
  headers: Record<string, string>
}

export class WebSocketClient implements TcpHandler {
  readonly #tcp: Tcp
  readonly #handler: WebSocketHandler
  readonly #cutter = new FrameCutter()
  #upgrade: Uint8Array | undefined
  readonly #control = { frame: this.#controlled.bind(this) }

  constructor(loop: Loop, address: WebSocketAddress, handler: WebSocketHandler) {
    this.#handler = handler
    this.#upgrade = encodeUpgrade(address.path, address.headers)
    this.#tcp = new Tcp(loop, address.source, address.port, this)
  }

  get isOpen(): boolean {
    return this.#upgrade === undefined && this.#tcp.isOpen
  }

  get need(): number {
    return this.#cutter.need
  }

  /** A frame, encoded. */
  send(frame: Uint8Array): void {
    this.#tcp.send(frame)
  }

  /** Cuts it, without a closing handshake. */
  close(): void {
    this.#tcp.close()
  }

  connected(): void {
    this.#tcp.send(this.#upgrade!)
  }

  received(bytes: Buffer, length: number): number {
    let from = 0
    if (this.#upgrade !== undefined) {
      try {
        from = upgradeEnd(bytes, length)
      } catch (error) {
        return this.#refused(error, length)
      }
      if (from === 0) return 0
      this.#upgrade = undefined
      this.#handler.opened()
    }
    return this.#cutter.cut(bytes, from, length, this.#handler, this.#control)
  }

  #refused(error: unknown, length: number): number {
    if (!(error instanceof UpgradeRefused) || this.#handler.refused === undefined) throw error
    this.#tcp.close()
    this.#handler.refused(error)
    return length
  }

  lost(why: string): void {
    this.#handler.lost(why)
  }

  #controlled(opcode: number, bytes: Buffer, start: number, end: number): void {
    if (opcode === OPCODE.ping) {
      pinged.count += 1
      this.#tcp.send(encodeFrame(OPCODE.pong, bytes.subarray(start, end)))
    }
    if (opcode !== OPCODE.close) return
    const code = end - start >= 2 ? bytes.readUInt16BE(start) : 1005
    const reason = bytes.toString('utf8', Math.min(end, start + 2), end)
    throw new Error(`the server closed it with ${code} ${reason}`)
  }
}
