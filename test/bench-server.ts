/**
 * A small server with Parley's wire shapes that does wrong on purpose: what the benchmark's
 * generator must notice. Its bytes leave in pieces cut anywhere, as a network may cut them.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { deflateRawSync } from 'node:zlib'
import { encodeFrame, OPCODE } from '../bench/generator/websocket.ts'

const HEAD_END = '\r\n\r\n'
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
const MASK_BYTES = 4
/** The post, in order of arrival, that goes wrong; those before it show that all was well. */
const PLANTED_AT = 20

/** A server's frame: as a client's, but without a mask. */
export function serverFrame(opcode: number, payload: Uint8Array): Buffer {
  const masked = Buffer.from(encodeFrame(opcode, payload))
  masked[1]! &= 0x7f
  const head = masked.length - payload.length - MASK_BYTES
  return Buffer.concat([masked.subarray(0, head), payload])
}

interface PlantedEvent {
  seq: number
  type: 'message'
  text: string
}

/**
 * What may go wrong at one post. `events` are those that a reader gets for it; readers are numbered
 * from 0 in the order they joined the room.
 */
export interface Plant {
  events?(event: PlantedEvent, reader: number): PlantedEvent[]
  acknowledged?(seq: number): number[]
  /** How many seqs the post takes. */
  seqs?: number
  /** The post that goes wrong, in order of arrival. */
  at?: number
  /** What a reader that comes back is given of what it missed. */
  backfill?(missed: PlantedEvent[]): PlantedEvent[]
  /** Instead of a connection, counted from 1: the whole answer to its upgrade. */
  upgrade?(connection: number): string | undefined
  /** Instead of a subscription, counted from 1: whether the server is too busy for it. */
  busy?(subscription: number): boolean
  /** Whether a cursor is honoured. */
  recovered?: boolean
  /** Whether frames of events are deflated, whoever asks. */
  deflates?: boolean
}

interface Room {
  head: number
  events: PlantedEvent[]
  readers: ((frame: object) => void)[]
}

export class PlantedServer {
  readonly #server: Server
  readonly #rooms = new Map<string, Room>()
  readonly #plant: Plant
  #posts = 0
  #connections = 0
  #subscriptions = 0

  static async start(plant: Plant): Promise<PlantedServer> {
    const server = new PlantedServer(plant)
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  private constructor(plant: Plant) {
    this.#plant = plant
    this.#server = createServer((socket) => this.#connected(socket))
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  stop(): void {
    this.#server.close()
  }

  #connected(socket: Socket): void {
    let bytes = Buffer.alloc(0)
    let isUpgraded = false
    const outbox = new Outbox(socket)
    const send = (frame: object) => {
      const text = Buffer.from(JSON.stringify(frame))
      const isDeflated = this.#plant.deflates === true && 'events' in frame
      if (isDeflated) outbox.write(serverFrame(OPCODE.binary, deflateRawSync(text)))
      else outbox.write(serverFrame(OPCODE.text, text))
    }
    // The generator ends with a reset.
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      if (!isUpgraded) {
        const end = bytes.indexOf(HEAD_END)
        if (end === -1) return
        bytes = bytes.subarray(end + HEAD_END.length)
        isUpgraded = true
        this.#connections += 1
        const refusal = this.#plant.upgrade?.(this.#connections)
        if (refusal !== undefined) return outbox.write(Buffer.from(refusal))
        const head = ['HTTP/1.1 101 Switching Protocols', `Sec-WebSocket-Accept: ${ACCEPT}`]
        outbox.write(Buffer.from(head.join('\r\n') + HEAD_END))
      }
      for (let end = frameEnd(bytes); end <= bytes.length; end = frameEnd(bytes)) {
        this.#received(bytes.toString('utf8', payloadStart(bytes), end), send)
        bytes = bytes.subarray(end)
      }
    })
  }

  #received(text: string, send: (frame: object) => void): void {
    const frame = JSON.parse(text) as ClientFrame
    const { id, op, room: timeline } = frame
    const room = this.#rooms.get(timeline) ?? { head: 0, events: [], readers: [] }
    this.#rooms.set(timeline, room)
    if (op === 'subscribe') return this.#subscribe(frame, room, send)
    this.#posts += 1
    const { at = PLANTED_AT } = this.#plant
    const { events, acknowledged, seqs = 1 } = this.#posts === at ? this.#plant : {}
    const seq = room.head + 1
    room.head += seqs
    const event: PlantedEvent = { seq, type: 'message', text: frame.text }
    room.events.push(event)
    // Those who post read along: who has the last event has all acknowledgements, too.
    for (const told of acknowledged?.(seq) ?? [seq]) send({ re: id, ok: { timeline, seq: told } })
    for (const [index, reader] of room.readers.entries())
      for (const one of events?.(event, index) ?? [event]) reader({ timeline, events: [one] })
  }

  #subscribe(
    { id, room: timeline, after }: ClientFrame,
    room: Room,
    send: (frame: object) => void,
  ): void {
    const { busy, backfill, recovered = true } = this.#plant
    this.#subscriptions += 1
    if (busy?.(this.#subscriptions))
      return send({ re: id, error: { code: 'overloaded', status: 503, retryAfter: 0 } })
    send({ re: id, ok: { timeline, epoch: 'e', head: room.head, recovered } })
    room.readers.push(send)
    const missed = after === undefined ? [] : room.events.filter(({ seq }) => seq > after)
    const events = missed.length === 0 ? [] : (backfill?.(missed) ?? missed)
    if (events.length > 0) send({ timeline, events })
  }
}

interface ClientFrame {
  id: number
  op: string
  room: string
  text: string
  after?: number
}

/** Sends in pieces of 1, 2, 3 … 299 bytes, one each turn of the loop. */
class Outbox {
  readonly #socket: Socket
  #waiting = Buffer.alloc(0)
  #pieces = 0

  constructor(socket: Socket) {
    this.#socket = socket.setNoDelay(true)
  }

  write(bytes: Buffer): void {
    if (this.#waiting.length === 0) setImmediate(this.#send)
    this.#waiting = Buffer.concat([this.#waiting, bytes])
  }

  readonly #send = (): void => {
    this.#pieces += 1
    const length = this.#pieces % 300
    this.#socket.write(this.#waiting.subarray(0, length))
    this.#waiting = this.#waiting.subarray(length)
    if (this.#waiting.length > 0) setImmediate(this.#send)
  }
}

/** Lengths below 64 KiB only. */
function payloadStart(bytes: Buffer): number {
  return (bytes[1]! & 0x7f) === 126 ? 4 + MASK_BYTES : 2 + MASK_BYTES
}

/** Infinite while it cannot be told. */
function frameEnd(bytes: Buffer): number {
  if (bytes.length < 4) return Number.POSITIVE_INFINITY
  const short = bytes[1]! & 0x7f
  return payloadStart(bytes) + (short === 126 ? bytes.readUInt16BE(2) : short)
}
