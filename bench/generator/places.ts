/**
 * Where the server put each post: at one seq, whoever tells of it. So a post that stands twice, an
 * acknowledgement that names another's place, and readers who see different things at one seq all
 * come to light, although each reader's own sequence has no hole.
 */

const FIRST_CAPACITY = 64
const UNKNOWN = -1

export class Places {
  /** By room and by the post's number. */
  readonly #seqs: Int32Array[]
  /** Runs that have been entered: all readers of a frame hand on the same one. */
  readonly #entered = new WeakSet<Int32Array>()
  readonly #fault: (text: string) => void

  constructor(rooms: number, fault: (text: string) => void) {
    this.#seqs = Array.from({ length: rooms }, () => emptySeqs(FIRST_CAPACITY))
    this.#fault = fault
  }

  /** A reader got the posts `numbers` at `first` and after; `posted` were sent to the room. */
  delivered(room: number, first: number, numbers: Int32Array, posted: number): void {
    if (this.#entered.has(numbers)) return
    this.#entered.add(numbers)
    for (let i = 0; i < numbers.length; i++) this.enter(room, numbers[i]!, first + i, posted)
  }

  /** Post `n` stands at `seq`. */
  enter(room: number, n: number, seq: number, posted: number): void {
    if (n >= posted) return this.#fault(`post ${n} of room ${room}, at ${seq}, was never sent`)
    const seqs = this.#seqsFor(room, posted)
    const known = seqs[n]!
    if (known === UNKNOWN) seqs[n] = seq
    else if (known !== seq)
      this.#fault(`post ${n} of room ${room} is told to stand at ${known} and at ${seq}`)
  }

  #seqsFor(room: number, length: number): Int32Array {
    const seqs = this.#seqs[room]!
    if (length <= seqs.length) return seqs
    const larger = emptySeqs(Math.max(length, seqs.length * 2))
    larger.set(seqs)
    this.#seqs[room] = larger
    return larger
  }
}

function emptySeqs(length: number): Int32Array {
  return new Int32Array(length).fill(UNKNOWN)
}
