/**
 * What is kept of acknowledged posts, and what must be true of them: in each room every seq is
 * given once, none is left out, and each connection gets rising ones. The rooms are new and nobody
 * else posts there.
 */
import { type Faults, SeqSet } from '../stats.ts'

export class Ledger {
  readonly #seqs: SeqSet[]
  readonly #faults: Faults

  constructor(rooms: number, faults: Faults) {
    this.#seqs = Array.from({ length: rooms }, () => new SeqSet())
    this.#faults = faults
  }

  /** `after` is the last seq that the same connection was given in this room; 0 if none. */
  acknowledged(room: number, seq: number, after: number): void {
    if (seq <= after)
      this.#faults.add(`room ${room}: seq ${seq} was given after ${after} on one connection`)
    if (!this.#seqs[room]!.add(seq)) this.#faults.add(`room ${room}: seq ${seq} was given twice`)
  }

  /** Once nothing is in flight. Returns how many were acknowledged in each room. */
  close(): number[] {
    for (const [room, seqs] of this.#seqs.entries())
      this.#faults.check(seqs.isGapless, `room ${room}: the seqs acknowledged have holes`)
    return this.#seqs.map(({ size }) => size)
  }
}
