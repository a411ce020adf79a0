/** Raw connections to the server, and WebSockets on top of them. */
import type { Socket } from 'bun'
import { deferred } from '../src/clock.ts'
import { encodeFrame, encodeHandshake, FrameReader, handshakeEnd, OPCODE } from './wire.ts'

const OPEN_MS_MAX = 20_000
/** Handshakes under way at once: the server's queue of new connections holds 512. */
const OPENING_MAX = 128

export class Tcp {
  onData: (chunk: Buffer) => void = () => {}
  /** Only for an end that nobody asked for. */
  onLost: (why: string) => void = () => {}
  #socket!: Socket<Tcp>
  /** What the kernel did not take yet. */
  #waiting: Buffer | undefined
  #closing = false

  static async open(port: number): Promise<Tcp> {
    const tcp = new Tcp()
    tcp.#socket = await Bun.connect<Tcp>({
      hostname: '127.0.0.1',
      port,
      data: tcp,
      socket: HANDLERS,
    })
    tcp.#socket.setNoDelay(true)
    return tcp
  }

  write(bytes: Uint8Array): void {
    if (this.#closing) return
    const written = this.#waiting === undefined ? Math.max(0, this.#socket.write(bytes)) : 0
    if (written === bytes.length) return
    const left = bytes.subarray(written)
    this.#waiting =
      this.#waiting === undefined ? Buffer.from(left) : Buffer.concat([this.#waiting, left])
  }

  close(): void {
    this.#closing = true
    this.#socket.end()
  }

  received(chunk: Buffer): void {
    try {
      this.onData(chunk)
    } catch (error) {
      this.onLost((error as Error).message)
      this.close()
    }
  }

  writable(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting !== undefined) this.write(waiting)
  }

  ended(why: string): void {
    if (!this.#closing) this.onLost(why)
    this.#closing = true
  }
}

const HANDLERS = {
  data: ({ data }: Socket<Tcp>, chunk: Buffer) => data.received(chunk),
  drain: ({ data }: Socket<Tcp>) => data.writable(),
  close: ({ data }: Socket<Tcp>) => data.ended('the server closed the connection'),
  error: ({ data }: Socket<Tcp>, error: Error) => data.ended(error.message),
}

/** A signed-in WebSocket. Text frames go to `onText`; pings are answered. */
export class WebSocketClient {
  onText: (bytes: Buffer, start: number, end: number) => void = () => {}
  /** After each chunk the network gave, however many frames it held. */
  onChunkEnd: () => void = () => {}
  readonly #tcp: Tcp
  readonly #frames = new FrameReader((...frame) => this.#received(...frame))

  private constructor(tcp: Tcp) {
    this.#tcp = tcp
  }

  static async open(port: number, token: string): Promise<WebSocketClient> {
    const tcp = await Tcp.open(port)
    const client = new WebSocketClient(tcp)
    const opened = deferred<void>()
    const timer = setTimeout(
      () => opened.reject(new Error(`no answer to a handshake within ${OPEN_MS_MAX} ms`)),
      OPEN_MS_MAX,
    )
    let head = Buffer.alloc(0)
    tcp.onLost = (why) => opened.reject(new Error(why))
    tcp.onData = (chunk) => {
      head = Buffer.concat([head, chunk])
      const end = handshakeEnd(head)
      if (end === -1) return
      tcp.onData = (bytes) => client.#push(bytes)
      opened.resolve()
      if (end < head.length) client.#push(head.subarray(end))
    }
    tcp.write(encodeHandshake('/ws', token))
    await opened.promise.finally(() => clearTimeout(timer))
    return client
  }

  set onLost(listener: (why: string) => void) {
    this.#tcp.onLost = listener
  }

  /** Frames, encoded. */
  write(frames: Uint8Array): void {
    this.#tcp.write(frames)
  }

  close(): void {
    this.#tcp.close()
  }

  #push(chunk: Buffer): void {
    this.#frames.push(chunk)
    this.onChunkEnd()
  }

  #received(opcode: number, bytes: Buffer, start: number, end: number): void {
    if (opcode === OPCODE.text) this.onText(bytes, start, end)
    else if (opcode === OPCODE.ping)
      this.#tcp.write(encodeFrame(OPCODE.pong, bytes.subarray(start, end)))
    else if (opcode === OPCODE.close) {
      const code = end - start >= 2 ? bytes.readUInt16BE(start) : 1005
      throw new Error(
        `the server closed a WebSocket: ${code} ${bytes.toString('utf8', start + 2, end)}`,
      )
    }
  }
}

/** Opens so many, a bounded number at a time. */
export async function openAll<T>(count: number, open: (index: number) => Promise<T>): Promise<T[]> {
  const all: T[] = new Array(count)
  let next = 0
  const work = async () => {
    while (next < count) {
      const index = next
      next += 1
      all[index] = await open(index)
    }
  }
  await Promise.all(Array.from({ length: Math.min(count, OPENING_MAX) }, work))
  return all
}
