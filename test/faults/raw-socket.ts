/**
 * A TCP connection that speaks just enough HTTP and WebSocket to misbehave: it stops reading, and
 * never answers a ping. It keeps all that came, so that a test may look for holes afterwards.
 */
import { randomBytes } from 'node:crypto'
import { connect, type Socket as TcpSocket } from 'node:net'
import { deferred } from '../../src/clock.ts'
import { type Message, type Person, within } from '../harness.ts'

export interface RawFrame {
  opcode: number
  payload: Buffer
}

const TEXT = 1
const CLOSE = 8
export const PING = 9

export class RawConnection {
  readonly #tcp: TcpSocket
  readonly #closed = deferred<void>()
  #chunks: Buffer[] = []
  #arrived = deferred<void>()

  private constructor(tcp: TcpSocket) {
    this.#tcp = tcp
    tcp.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk)
      this.#arrived.resolve()
    })
    tcp.on('error', () => {})
    tcp.on('close', () => this.#closed.resolve())
  }

  /** Sends a GET with this person's token, and waits for the first bytes of the answer. */
  static async get(
    person: Person,
    path: string,
    headers: Record<string, string> = {},
  ): Promise<RawConnection> {
    const { hostname, port, host } = new URL(person.url)
    const tcp = connect(Number(port), hostname)
    const connection = new RawConnection(tcp)
    const all = { host, authorization: `Bearer ${person.token}`, ...headers }
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
    tcp.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`)
    await within(connection.#arrived.promise, `the first bytes of ${path}`)
    return connection
  }

  static socket(person: Person, path: string): Promise<RawConnection> {
    return RawConnection.get(person, path, {
      ...{ upgrade: 'websocket', connection: 'Upgrade', 'sec-websocket-version': '13' },
      'sec-websocket-key': randomBytes(16).toString('base64'),
    })
  }

  /** From now on nothing is read: what the server sends piles up, here and there. */
  stopReading(): void {
    this.#tcp.pause()
  }

  readOn(): void {
    this.#tcp.resume()
  }

  /** Resolves when the other side has closed or cut the connection. */
  get closed(): Promise<void> {
    return this.#closed.promise
  }

  destroy(): void {
    this.#tcp.destroy()
  }

  /** All that was read, without the HTTP head. */
  get body(): Buffer {
    const all = Buffer.concat(this.#chunks)
    return all.subarray(all.indexOf('\r\n\r\n') + 4)
  }

  /** The WebSocket frames that have come whole. */
  get frames(): RawFrame[] {
    const { body } = this
    const frames: RawFrame[] = []
    for (let at = 0; at + 2 <= body.length; ) {
      let length = body[at + 1]! & 0x7f
      let start = at + 2
      if (length === 126) {
        if (start + 2 > body.length) break
        length = body.readUInt16BE(start)
        start += 2
      } else if (length === 127) {
        if (start + 8 > body.length) break
        length = Number(body.readBigUInt64BE(start))
        start += 8
      }
      if (start + length > body.length) break
      frames.push({ opcode: body[at]! & 0x0f, payload: body.subarray(start, start + length) })
      at = start + length
    }
    return frames
  }

  get socketEvents(): Message[] {
    const texts = this.frames.filter(({ opcode }) => opcode === TEXT)
    return texts.flatMap(({ payload }) => JSON.parse(payload.toString()).events ?? [])
  }

  /** The code of the server's close frame; undefined if it cut the connection without. */
  get closeCode(): number | undefined {
    const frame = this.frames.find(({ opcode }) => opcode === CLOSE)
    return frame?.payload.readUInt16BE(0)
  }

  /** The events of a stream that have come whole: of an event stream, or one a line. */
  get streamEvents(): Message[] {
    const text = this.body.toString()
    const whole = text.slice(0, text.lastIndexOf('\n'))
    return [...whole.matchAll(/^(?:data:)? *(\{"seq":.*\})$/gm)].map(([, json]) =>
      JSON.parse(json!),
    )
  }
}
