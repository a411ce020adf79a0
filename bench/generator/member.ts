/** One connection of a crowd: which rooms it has joined, and what is to come next in each. */
import type { Dialect, Wire } from './dialect.ts'
import type { Loop } from './loop.ts'
import { type UpgradeRefused, WebSocketClient } from './websocket.ts'

/** Connections from one address: it has about 28,000 ports. */
const CONNECTIONS_PER_ADDRESS = 20_000
const ANY = -1

/** Where what happens to the members of a crowd is counted. */
export interface Audience {
  /** A member has joined all its rooms. */
  joined(member: Member): void
  /** In sequence: `first` is what was to come. */
  delivered(room: number, first: number, last: number, numbers?: Int32Array): void
  /** `next` was to come, and `first` to `last` came. */
  outOfSequence(
    member: Member,
    room: number,
    next: number,
    came: readonly [first: number, last: number],
    numbers?: Int32Array,
  ): void
  acknowledged(room: number, n: number, seq?: number): void
  /** The connection ended, and not by `close`. */
  lost(member: Member, why: string): void
  /** The server did not let it in. Without this, `lost` is told. */
  refused?(member: Member, why: UpgradeRefused): void
  /** The server asks to try a room again so much later. Without this, it is a fault. */
  joinLater?(afterS: number, again: () => void): void
  fault(text: string): void
  resumeText?(member: Member, room: number): string
}

export class Member implements Wire {
  readonly index: number
  readonly rooms: readonly number[]
  state: unknown
  /** By the place in `rooms`: what is to come next; negative while it is not known. */
  readonly next: Float64Array
  /** What came next when the room was joined first. */
  readonly start: Float64Array
  readonly #dialect: Dialect
  readonly #audience: Audience
  #socket: WebSocketClient | undefined

  constructor(index: number, rooms: readonly number[], dialect: Dialect, audience: Audience) {
    this.index = index
    this.rooms = rooms
    this.next = new Float64Array(rooms.length).fill(ANY)
    this.start = new Float64Array(rooms.length).fill(ANY)
    this.#dialect = dialect
    this.#audience = audience
  }

  /** Connects and joins; again, too, once it is closed or lost. */
  open(loop: Loop, port: number): void {
    const source = `127.0.0.${1 + Math.floor(this.index / CONNECTIONS_PER_ADDRESS)}`
    const address = { source, port, ...this.#dialect.upgrade(this.index, this.rooms) }
    this.#socket = new WebSocketClient(loop, address, {
      opened: () => this.#dialect.opened(this),
      frame: (opcode, bytes, start, end) => this.#dialect.received(this, opcode, bytes, start, end),
      refused: (why) => this.#refused(why),
      lost: (why) => this.#audience.lost(this, why),
    })
  }

  #refused(why: UpgradeRefused): void {
    if (this.#audience.refused !== undefined) this.#audience.refused(this, why)
    else this.#audience.lost(this, why.message)
  }

  /** Cuts it. */
  close(): void {
    this.#socket?.close()
  }

  get isOpen(): boolean {
    return this.#socket?.isOpen === true
  }

  resumeText(room: number): string {
    return this.#audience.resumeText?.(this, room) ?? ''
  }

  send(frame: Uint8Array): void {
    this.#socket!.send(frame)
  }

  /** What is to come after a connection that was lost is known better here than by the server. */
  joinedRoom(room: number, next = ANY): void {
    const place = this.rooms.indexOf(room)
    if (this.next[place] !== ANY) return
    this.next[place] = next
    this.start[place] = next
  }

  joined(): void {
    this.#audience.joined(this)
  }

  joinLater(afterS: number, again: () => void): void {
    if (this.#audience.joinLater !== undefined) this.#audience.joinLater(afterS, again)
    else this.#audience.fault('a room could not be joined: the server is too busy')
  }

  delivered(room: number, first: number, last: number, numbers?: Int32Array): void {
    const place = this.rooms.indexOf(room)
    if (place === -1) return this.#audience.fault(`a delivery of room ${room}, not joined`)
    const next = this.next[place]!
    if (first === next || next === ANY) this.#audience.delivered(room, first, last, numbers)
    else this.#audience.outOfSequence(this, room, next, [first, last], numbers)
    if (next === ANY) this.start[place] = first
    // What comes again does not move it back, so that a late copy is not counted for a hole, too.
    this.next[place] = Math.max(next, last + 1)
  }

  acknowledged(room: number, n: number, seq?: number): void {
    this.#audience.acknowledged(room, n, seq)
  }

  fault(text: string): void {
    this.#audience.fault(text)
  }
}
