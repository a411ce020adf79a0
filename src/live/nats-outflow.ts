/**
 * What was given to the driver and NATS may not have taken yet. The driver would keep any amount of
 * it in memory, so it is measured, by round trips, and has a limit.
 */
import type { NatsConnection } from '@nats-io/transport-node'

/** Bytes that may wait for NATS; past it messages are dropped. */
export const WAITING_BYTES_MAX = 16 << 20
/** As long as less than this waits there is nothing to measure. */
const MEASURED_BYTES_MIN = 64 << 10

/** Of one connection: a new one begins at nothing. */
export class Outflow {
  readonly #connection: NatsConnection
  #waitingBytes = 0
  #measuring = false

  constructor(connection: NatsConnection) {
    this.#connection = connection
  }

  /** False if the message is dropped: too much waits, or NATS does not take one so large. */
  send(subject: string, text: string): boolean {
    const bytes = Buffer.from(text)
    if (this.#waitingBytes + bytes.length > WAITING_BYTES_MAX) return false
    try {
      this.#connection.publish(subject, bytes)
    } catch {
      return false
    }
    this.#waitingBytes += bytes.length
    if (this.#waitingBytes >= MEASURED_BYTES_MIN && !this.#measuring) void this.#measure()
    return true
  }

  /** When the answer is there, NATS has taken what was sent before the question. */
  async #measure(): Promise<void> {
    this.#measuring = true
    const before = this.#waitingBytes
    try {
      await this.#connection.flush()
      this.#waitingBytes -= before
    } catch {
      // The connection is lost, and this with it.
    }
    this.#measuring = false
  }
}
