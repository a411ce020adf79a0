/**
 * Servers that speak a stream of messages of their own inside the WebSocket (MQTT, NATS) may cut it
 * into frames anywhere: what is not yet a whole message is kept for the next frame.
 */
import type { Dialect, Wire } from '../generator/dialect.ts'

/**
 * Reads the message at `start`, and may read several; returns where the next one begins, or `start`
 * if the first is not whole yet.
 */
export type ReadMessage = (wire: Wire, bytes: Buffer, start: number, end: number) => number

/** The `received` of a dialect that keeps the rest in `wire.state`, and nothing else there. */
export function receiveStream(read: ReadMessage): Dialect['received'] {
  return (wire, _opcode, frame, frameStart, frameEnd) => {
    const rest = wire.state as Buffer | undefined
    const joined = rest && Buffer.concat([rest, frame.subarray(frameStart, frameEnd)])
    const bytes = joined ?? frame
    const end = joined?.length ?? frameEnd
    let at = joined ? 0 : frameStart
    while (at < end) {
      const next = read(wire, bytes, at, end)
      if (next === at) break
      at = next
    }
    // A copy: the frame's memory is the generator's.
    wire.state = at < end ? Buffer.from(bytes.subarray(at, end)) : undefined
  }
}
