/** Parley's own dialect: `/ws` with a token, JSON frames, events of one room in batches. */
import type { CreateDialect, Dialect, DialectSetup, Wire } from './dialect.ts'
import { KnownFrames } from './known-frames.ts'
import { NUMBER_DIGITS, textOf, writeNumber } from './texts.ts'
import { encodeText } from './websocket.ts'

/** Ids of posts all have as many digits, so that a frame is patched without changing its length. */
const FIRST_POST = 10_000_000
const ID_DIGITS = 8
/** Posts in flight at once whose replies can be told apart. A power of two. */
const IN_FLIGHT_MAX = 1 << 20
const TIMELINE = Buffer.from('{"timeline":"')
const REPLY = Buffer.from('{"re":')
const HEADS = Buffer.from('{"heads":')
const OK = Buffer.from(',"ok":{')
const SEQ = Buffer.from('"seq":')
const HEAD = Buffer.from('"head":')
/** How the reply to a subscription ends if its cursor was honoured. */
const RECOVERED = Buffer.from(',"recovered":true}}')
const ZERO = 48

interface PostFrame {
  bytes: Uint8Array
  idAt: number
  numberAt: number
}

/** A conversation: how many of the rooms are joined, and what asks for them. */
interface Joining {
  joined: number
  prepared?: Uint8Array
}

export const createDialect: CreateDialect = (setup) => new ParleyDialect(setup)

export class ParleyDialect implements Dialect {
  readonly #setup: DialectSetup
  readonly #frames: KnownFrames
  readonly #posts: (PostFrame | undefined)[] = []
  readonly #roomOf = new Int32Array(IN_FLIGHT_MAX)
  readonly #numberOf = new Int32Array(IN_FLIGHT_MAX)
  #sent = 0

  constructor(setup: DialectSetup) {
    this.#setup = setup
    this.#frames = new KnownFrames(setup.rooms, setup.textBytes)
  }

  upgrade(connection: number): { path: string; headers: Record<string, string> } {
    const { tokens } = this.#setup
    const token = tokens[connection % tokens.length]
    return { path: '/ws', headers: token ? { Authorization: `Bearer ${token}` } : {} }
  }

  prepare(wire: Wire): void {
    wire.state = { joined: 0, prepared: this.#subscribeAll(wire) } satisfies Joining
  }

  opened(wire: Wire): void {
    const { prepared } = (wire.state ?? {}) as Partial<Joining>
    // Whoever comes a second time asks for what it lacks then.
    wire.state = { joined: 0 } satisfies Joining
    if (wire.rooms.length === 0) wire.joined()
    else wire.send(prepared ?? this.#subscribeAll(wire))
  }

  #subscribeAll(wire: Wire): Uint8Array {
    return Buffer.concat(wire.rooms.map((_, place) => this.#subscribe(wire, place)))
  }

  /** The frame that joins one of its rooms, with the room's place in the list for an id. */
  #subscribe(wire: Wire, place: number): Uint8Array {
    const room = wire.rooms[place]!
    const id = this.#setup.rooms[room]
    const resume = wire.resumeText?.(room) ?? ''
    return encodeText(`{"id":${place},"op":"subscribe","room":"${id}"${resume}}`)
  }

  received(wire: Wire, _: number, bytes: Buffer, start: number, end: number): void {
    if (startsWith(bytes, start, TIMELINE)) {
      const run = this.#frames.read(bytes, start, end)
      if (run !== undefined) wire.delivered(run.room, run.first, run.last, run.numbers)
    } else if (startsWith(bytes, start, REPLY)) this.#replied(wire, bytes, start, end)
    else if (!startsWith(bytes, start, HEADS))
      throw new Error(
        `a frame of no kind: ${bytes.toString('utf8', start, Math.min(end, start + 200))}`,
      )
  }

  post(room: number, n: number): Uint8Array {
    this.#posts[room] ??= this.#encode(room)
    const { bytes, idAt, numberAt } = this.#posts[room]
    const slot = this.#sent % IN_FLIGHT_MAX
    this.#roomOf[slot] = room
    this.#numberOf[slot] = n
    writeNumber(bytes, idAt, FIRST_POST + slot, ID_DIGITS)
    writeNumber(bytes, numberAt, n, NUMBER_DIGITS)
    this.#sent += 1
    return bytes
  }

  #encode(room: number): PostFrame {
    const { rooms, textBytes } = this.#setup
    const text = textOf(0, textBytes)
    const post = { id: FIRST_POST, op: 'post', room: rooms[room], text }
    const bytes = encodeText(JSON.stringify(post))
    const find = (part: string) => Buffer.from(bytes).indexOf(part)
    return { bytes, idAt: find(String(FIRST_POST)), numberAt: find(text) }
  }

  #replied(wire: Wire, bytes: Buffer, start: number, end: number): void {
    let at = start + REPLY.length
    let id = 0
    for (let digit = bytes[at]! - ZERO; digit >= 0 && digit <= 9; digit = bytes[at]! - ZERO) {
      id = id * 10 + digit
      at += 1
    }
    if (!startsWith(bytes, at, OK))
      return this.#refused(wire, id, bytes.toString('utf8', start, end))
    if (id < FIRST_POST) return this.#subscribed(wire, id, bytes, start, end)
    const slot = id - FIRST_POST
    const seq = numberAt(bytes, bytes.indexOf(SEQ, at) + SEQ.length)
    wire.acknowledged(this.#roomOf[slot]!, this.#numberOf[slot]!, seq)
  }

  #refused(wire: Wire, id: number, reply: string): void {
    const { error } = JSON.parse(reply) as { error: { code: string; retryAfter?: number } }
    const { code, retryAfter = 0 } = error
    if (code !== 'overloaded' || id >= FIRST_POST || wire.joinLater === undefined)
      return wire.fault(reply)
    const { state } = wire
    wire.joinLater(retryAfter, () => {
      // Another connection of the same member's asks for itself.
      if (wire.state === state) wire.send(this.#subscribe(wire, id))
    })
  }

  /** Read as bytes: a hundred thousand of these may come within a second. */
  #subscribed(wire: Wire, id: number, bytes: Buffer, start: number, end: number): void {
    const joining = wire.state as Joining
    if (bytes.compare(RECOVERED, 0, RECOVERED.length, end - RECOVERED.length, end) !== 0)
      wire.fault(`a subscription was not resumed: ${bytes.toString('utf8', start, end)}`)
    const head = numberAt(bytes, bytes.indexOf(HEAD, start) + HEAD.length)
    wire.joinedRoom(wire.rooms[id]!, head + 1)
    joining.joined += 1
    if (joining.joined === wire.rooms.length) wire.joined()
  }
}

/** The number whose digits begin there. */
function numberAt(bytes: Uint8Array, start: number): number {
  let value = 0
  for (let at = start; bytes[at]! >= ZERO && bytes[at]! < ZERO + 10; at++)
    value = value * 10 + bytes[at]! - ZERO
  return value
}

function startsWith(bytes: Uint8Array, at: number, text: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text[i]) return false
  return true
}
