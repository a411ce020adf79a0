/**
 * Frames and messages of a known shape, in which nothing varies but the room's digits and the
 * post's number: they are checked by a native compare and two small numbers, and made by writing
 * digits into bytes that are there already.
 */
import { fillingOf, NUMBER_DIGITS, readNumber, writeNumber } from '../generator/texts.ts'
import { encodeFrame } from '../generator/websocket.ts'
import { ROOM_DIGITS } from './peer.ts'

/** Stand for the room and the text while a shape is made; they occur in no protocol. */
const ROOM = 'r#####'
const NUMBER = '@'.repeat(NUMBER_DIGITS)

interface Segment {
  start: number
  end: number
}

export class Shape {
  readonly length: number
  readonly #bytes: Buffer
  readonly #rooms: number[]
  readonly #number: number
  readonly #segments: Segment[]

  /** `make` gives the message, one character a byte, for a room of this name with this text. */
  constructor(textBytes: number, make: (room: string, text: string) => string) {
    const model = make(ROOM, NUMBER + fillingOf(textBytes))
    this.#bytes = Buffer.from(model, 'latin1')
    this.length = this.#bytes.length
    this.#rooms = [...model.matchAll(/r#####/g)].map(({ index }) => index + 1)
    this.#number = model.indexOf(NUMBER)
    this.#segments = segmentsBetween(this.length, [
      ...this.#rooms.map((start) => ({ start, end: start + ROOM_DIGITS })),
      { start: this.#number, end: this.#number + NUMBER_DIGITS },
    ])
  }

  /** True if a message of this shape begins at `start` and ends at or before `end`. */
  fits(bytes: Buffer, start: number, end: number): boolean {
    if (end - start < this.length) return false
    for (const { start: from, end: to } of this.#segments)
      if (bytes.compare(this.#bytes, from, to, start + from, start + to) !== 0) return false
    return true
  }

  /** Of a message that fits. Throws if there are other than digits, or two rooms are named. */
  room(bytes: Buffer, start: number): number {
    const room = readNumber(bytes, start + this.#rooms[0]!, ROOM_DIGITS)
    for (let i = 1; i < this.#rooms.length; i++)
      if (readNumber(bytes, start + this.#rooms[i]!, ROOM_DIGITS) !== room)
        return wrong(bytes, start)
    return Number.isNaN(room) ? wrong(bytes, start) : room
  }

  /** Of a message that fits. Throws if there are other than digits. */
  number(bytes: Buffer, start: number): number {
    const n = readNumber(bytes, start + this.#number, NUMBER_DIGITS)
    return Number.isNaN(n) ? wrong(bytes, start) : n
  }

  /** A client's frame with it, to be sent over and over. */
  frame(opcode: number): (room: number, n: number) => Uint8Array {
    const frame = encodeFrame(opcode, this.#bytes)
    const header = frame.length - this.length
    return (room, n) => {
      for (const at of this.#rooms) writeNumber(frame, header + at, room, ROOM_DIGITS)
      writeNumber(frame, header + this.#number, n, NUMBER_DIGITS)
      return frame
    }
  }
}

function wrong(bytes: Buffer, start: number): never {
  throw new Error(`a wrong delivery: ${bytes.toString('latin1', start, start + 200)}`)
}

function segmentsBetween(length: number, slots: Segment[]): Segment[] {
  const sorted = slots.toSorted((a, b) => a.start - b.start)
  const starts = [0, ...sorted.map(({ end }) => end)]
  return starts
    .map((start, i) => ({ start, end: sorted[i]?.start ?? length }))
    .filter(({ start, end }) => end > start)
}
