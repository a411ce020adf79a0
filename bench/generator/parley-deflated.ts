/**
 * Parley's dialect with deflated frames of events. All readers of a room get the very same frame,
 * so it is inflated when it comes the first time, and from then on known by its bytes, every one of
 * which is compared: to inflate ten thousand copies is the readers' work, spread over their own
 * machines.
 */
import { inflateRawSync } from 'node:zlib'
import type { CreateDialect, Wire } from './dialect.ts'
import { ParleyDialect } from './parley.ts'
import { OPCODE } from './websocket.ts'

/** Readers that fall behind get frames of their own for a while. */
const FRAMES_KEPT = 64

interface Inflated {
  deflated: Buffer
  text: Buffer
}

export const createDialect: CreateDialect = (setup) => new DeflatedDialect(setup)

class DeflatedDialect extends ParleyDialect {
  /** The latest first. */
  readonly #known: Inflated[] = []

  override upgrade(connection: number): { path: string; headers: Record<string, string> } {
    const { path, headers } = super.upgrade(connection)
    return { path, headers: { ...headers, 'Sec-WebSocket-Protocol': 'parley.deflate' } }
  }

  override received(wire: Wire, opcode: number, bytes: Buffer, start: number, end: number): void {
    if (opcode !== OPCODE.binary) return super.received(wire, opcode, bytes, start, end)
    const text = this.#inflate(bytes, start, end)
    super.received(wire, OPCODE.text, text, 0, text.length)
  }

  #inflate(bytes: Buffer, start: number, end: number): Buffer {
    for (const { deflated, text } of this.#known)
      if (
        deflated.length === end - start &&
        bytes.compare(deflated, 0, end - start, start, end) === 0
      )
        return text
    const deflated = Buffer.from(bytes.subarray(start, end))
    const text = inflateRawSync(deflated)
    this.#known.unshift({ deflated, text })
    if (this.#known.length > FRAMES_KEPT) this.#known.pop()
    return text
  }
}
