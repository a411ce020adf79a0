/** Bytes on a bare socket: for whatever no well-behaved client would send. */
import { randomBytes } from 'node:crypto'
import { connect, type Socket as TcpSocket } from 'node:net'
import { deferred } from '../src/clock.ts'
import { within } from './harness.ts'

export interface RawResponse {
  status: number
  /** Names in lower case. */
  headers: Map<string, string>
  body: string
}

/** A TCP connection that keeps what comes in until somebody takes it. */
export class RawConnection {
  readonly closed: Promise<void>
  readonly #socket: TcpSocket
  #buffer = Buffer.alloc(0)
  #isClosed = false
  #changed = deferred<void>()

  private constructor(socket: TcpSocket) {
    this.#socket = socket
    const closed = deferred<void>()
    this.closed = closed.promise
    socket.on('data', (bytes: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, bytes])
      this.#wake()
    })
    // A cut connection is an outcome here, not a fault of the test.
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#isClosed = true
      closed.resolve()
      this.#wake()
    })
  }

  static async open(url: string): Promise<RawConnection> {
    const { hostname, port } = new URL(url)
    const socket = connect(Number(port), hostname.replace(/^\[|\]$/g, ''))
    socket.setNoDelay(true)
    const opened = deferred<void>()
    socket.once('connect', () => opened.resolve())
    socket.once('error', opened.reject)
    await within(opened.promise, `a connection to ${url}`)
    return new RawConnection(socket)
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  write(bytes: string | Uint8Array): void {
    if (!this.#isClosed) this.#socket.write(bytes)
  }

  /** Reads no more: the other side's buffers fill. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  cut(): void {
    this.#socket.destroy()
  }

  /** What `read` makes of the bytes so far, as soon as it makes anything; undefined at the end. */
  async take<T>(
    read: (bytes: Buffer, isClosed: boolean) => { value: T; length: number } | undefined,
    what: string,
    ms?: number,
  ): Promise<T | undefined> {
    const taken = async (): Promise<T | undefined> => {
      for (;;) {
        const found = read(this.#buffer, this.#isClosed)
        if (found !== undefined) {
          this.#buffer = this.#buffer.subarray(found.length)
          return found.value
        }
        if (this.#isClosed) return undefined
        await this.#changed.promise
      }
    }
    return within(taken(), what, ms)
  }

  /** The next HTTP response; undefined if the connection is closed without one. */
  response(ms?: number): Promise<RawResponse | undefined> {
    return this.take(readResponse, 'a response', ms)
  }

  #wake(): void {
    const { resolve } = this.#changed
    this.#changed = deferred<void>()
    resolve()
  }
}

function readResponse(bytes: Buffer, isClosed: boolean) {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const [first = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n')
  const headers = new Map(
    lines.map((line): [string, string] => {
      const at = line.indexOf(':')
      return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()]
    }),
  )
  const start = end + 4
  const length = Number(headers.get('content-length') ?? 0)
  if (bytes.length < start + length && !isClosed) return undefined
  const body = bytes.subarray(start, start + length).toString()
  const value: RawResponse = { status: Number(first.split(' ')[1]), headers, body }
  return { value, length: start + length }
}

/** Sends a whole request as it is, and resolves with the one response to it. */
export async function rawRequest(
  url: string,
  bytes: string | Uint8Array,
  ms?: number,
): Promise<{ response: RawResponse | undefined; connection: RawConnection }> {
  const connection = await RawConnection.open(url)
  connection.write(bytes)
  return { response: await connection.response(ms), connection }
}

export interface RawFrame {
  opcode: number
  payload: Buffer
  fin?: boolean
  /** RSV1–RSV3 as bits 6–4 of the first byte. */
  rsv?: number
  masked?: boolean
  /** In how many bits the length is told; as few as it takes, unless it is said. */
  lengthBits?: 7 | 16 | 64
}

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 }

export function text(content: string): RawFrame {
  return { opcode: OPCODE.text, payload: Buffer.from(content) }
}

/** A frame of RFC 6455 as a client sends it; whatever is asked for, right or wrong. */
export function encodeFrame(frame: RawFrame): Buffer {
  const { opcode, payload, fin = true, rsv = 0, masked = true } = frame
  const first = (fin ? 0x80 : 0) | rsv | opcode
  const size = payload.length
  const maskBit = masked ? 0x80 : 0
  const { lengthBits = size < 126 ? 7 : size < 65_536 ? 16 : 64 } = frame
  let head: Buffer
  if (lengthBits === 7) head = Buffer.from([first, maskBit | size])
  else if (lengthBits === 16) {
    head = Buffer.from([first, maskBit | 126, 0, 0])
    head.writeUInt16BE(size, 2)
  } else {
    head = Buffer.alloc(10)
    head.set([first, maskBit | 127])
    head.writeBigUInt64BE(BigInt(size), 2)
  }
  if (!masked) return Buffer.concat([head, payload])
  const mask = randomBytes(4)
  const scrambled = Buffer.from(payload)
  for (let i = 0; i < size; i++) scrambled[i]! ^= mask[i % 4]!
  return Buffer.concat([head, mask, scrambled])
}

/** A WebSocket whose frames are made by hand. */
export class RawWebSocket {
  readonly connection: RawConnection

  private constructor(connection: RawConnection) {
    this.connection = connection
  }

  static async open(
    url: string,
    token: string,
    path = '/ws',
    headers: Record<string, string> = {},
  ): Promise<RawWebSocket> {
    const { host } = new URL(url)
    const { response, connection } = await rawRequest(
      url,
      handshake(path, { Host: host, Authorization: `Bearer ${token}`, ...headers }),
    )
    if (response?.status !== 101) throw new Error(`${response?.status} instead of 101`)
    return RawWebSocket.over(connection)
  }

  /** What a connection has become whose handshake was answered with 101. */
  static over(connection: RawConnection): RawWebSocket {
    return new RawWebSocket(connection)
  }

  send(...frames: RawFrame[]): void {
    this.connection.write(Buffer.concat(frames.map(encodeFrame)))
  }

  /** The next frame; undefined if the connection is closed without one. */
  next(ms?: number): Promise<RawFrame | undefined> {
    return this.connection.take(readFrame, 'a frame', ms)
  }

  /** The status code the server closes with, whatever comes before; undefined if it just cuts. */
  async closeCode(ms?: number): Promise<number | undefined> {
    for (;;) {
      const frame = await this.next(ms)
      if (frame === undefined) return undefined
      if (frame.opcode === OPCODE.close) return frame.payload.readUInt16BE(0)
    }
  }
}

/** An opening handshake; the headers given replace or, as undefined, remove the usual ones. */
export function handshake(
  path: string,
  headers: Record<string, string | undefined>,
  method = 'GET',
): string {
  const all = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    ...headers,
  }
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}\r\n`],
  )
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`
}

function readFrame(bytes: Buffer) {
  if (bytes.length < 2) return undefined
  const opcode = bytes[0]! & 0x0f
  const short = bytes[1]! & 0x7f
  const start = short < 126 ? 2 : short === 126 ? 4 : 10
  if (bytes.length < start) return undefined
  const size =
    short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
  if (bytes.length < start + size) return undefined
  const payload = Buffer.from(bytes.subarray(start, start + size))
  const value: RawFrame = { opcode, payload, fin: (bytes[0]! & 0x80) !== 0, masked: false }
  return { value, length: start + size }
}
