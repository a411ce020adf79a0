/** HTTP/1.1 from the client's side, as bytes. Only responses that tell their length are read. */
import type { Loop } from './loop.ts'
import { Tcp, type TcpHandler } from './tcp.ts'

const HEAD_END = Buffer.from('\r\n\r\n')
const HEAD_BYTES_MAX = 16_384
/** As the server writes it; other spellings are found, too, but slower. */
const LENGTH = Buffer.from('\r\nContent-Length: ')
const STATUS_AT = 'HTTP/1.1 '.length
const ZERO = 48

export function encodeRequest(
  method: string,
  path: string,
  { headers = {}, json }: { headers?: Record<string, string>; json?: unknown } = {},
): Buffer {
  const body = json === undefined ? '' : JSON.stringify(json)
  const all = {
    Host: '127.0.0.1',
    ...headers,
    ...(json !== undefined && {
      'Content-Type': 'application/json',
      'Content-Length': String(Buffer.byteLength(body)),
    }),
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`)
}

/** A response; valid only during the call that it is given to. */
export interface Response {
  status: number
  bytes: Buffer
  /** Of the head, which ends with its blank line where the body begins. */
  headStart: number
  bodyStart: number
  bodyEnd: number
}

/** Cuts bytes into responses; `need` is the length of the one that begins where it stopped. */
export class ResponseCutter {
  need = 0
  readonly #response: Response = {
    status: 0,
    bytes: Buffer.alloc(0),
    headStart: 0,
    bodyStart: 0,
    bodyEnd: 0,
  }

  /** Returns where the first incomplete response begins. */
  cut(bytes: Buffer, length: number, to: (response: Response) => void): number {
    let at = 0
    this.need = 0
    while (at < length) {
      const headEnd = bytes.indexOf(HEAD_END, at)
      if (headEnd === -1 || headEnd + HEAD_END.length > length) {
        if (length - at > HEAD_BYTES_MAX) throw new Error('the head of a response has no end')
        break
      }
      const bodyStart = headEnd + HEAD_END.length
      const bodyEnd = bodyStart + contentLength(bytes, at, headEnd)
      if (bodyEnd > length) {
        this.need = bodyEnd - at
        break
      }
      const status = readDigits(bytes, at + STATUS_AT)
      to(Object.assign(this.#response, { status, bytes, headStart: at, bodyStart, bodyEnd }))
      at = bodyEnd
    }
    return at
  }
}

function contentLength(bytes: Buffer, start: number, headEnd: number): number {
  const at = bytes.indexOf(LENGTH, start)
  if (at !== -1 && at < headEnd) return readDigits(bytes, at + LENGTH.length)
  const value = headerOf(bytes, start, headEnd, 'content-length')
  if (value === undefined || !/^\d+$/.test(value))
    throw new Error(`a response without a length: ${bytes.toString('latin1', start, headEnd)}`)
  return Number(value)
}

/** The value of a header, whose name is given in lower case; undefined if there is none. */
export function readHeader({ bytes, headStart, bodyStart }: Response, name: string) {
  return headerOf(bytes, headStart, bodyStart, name)
}

function headerOf(bytes: Buffer, start: number, end: number, name: string): string | undefined {
  for (const line of bytes.toString('latin1', start, end).split('\r\n').slice(1)) {
    const colon = line.indexOf(':')
    if (line.slice(0, colon).toLowerCase() === name) return line.slice(colon + 1).trim()
  }
  return undefined
}

function readDigits(bytes: Uint8Array, at: number): number {
  let value = 0
  for (let i = at; bytes[i]! >= ZERO && bytes[i]! < ZERO + 10; i++)
    value = value * 10 + bytes[i]! - ZERO
  return value
}

export interface HttpHandler {
  connected(): void
  answered(response: Response): void
  /** It ended, and not by `close`. */
  lost(why: string): void
}

export class HttpClient implements TcpHandler {
  readonly #tcp: Tcp
  readonly #handler: HttpHandler
  readonly #cutter = new ResponseCutter()
  readonly #answered = (response: Response) => this.#handler.answered(response)

  constructor(loop: Loop, address: { source: string; port: number }, handler: HttpHandler) {
    this.#handler = handler
    this.#tcp = new Tcp(loop, address.source, address.port, this)
  }

  get need(): number {
    return this.#cutter.need
  }

  send(request: Uint8Array): void {
    this.#tcp.send(request)
  }

  close(): void {
    this.#tcp.close()
  }

  connected(): void {
    this.#handler.connected()
  }

  received(bytes: Buffer, length: number): number {
    return this.#cutter.cut(bytes, length, this.#answered)
  }

  lost(why: string): void {
    this.#handler.lost(why)
  }
}
