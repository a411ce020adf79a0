/**
 * The events of one room, as their bytes came when they came first. All readers get the same bytes,
 * and those that fall behind get them cut into frames of their own: whatever slice comes of events
 * that are known, it is compared byte by byte and not parsed.
 */

/** Past it, the older half is forgotten: who is so far behind has his frames parsed. */
const EVENTS_KEPT = 16_384
/** Runs that many readers get one after the other are handed on as the same object. */
const RECENT_MAX = 8
const FIRST_BYTES = 4_096
const FIRST_EVENTS = 64
const COMMA = 44
const EVENT_BEGINS = Buffer.from('{"seq":')

/** Events of a room that follow each other. */
export interface Run {
  room: number
  first: number
  last: number
  /** Of the posts, in the order of their seqs. */
  numbers: Int32Array
}

export class KnownEvents {
  /** Each event with a comma behind it. */
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES)
  /** Where each begins, and where the next one would. */
  #starts = new Int32Array(FIRST_EVENTS)
  #numbers = new Int32Array(FIRST_EVENTS)
  #count = 0
  #first = 0
  readonly #recent: Run[] = []
  readonly #room: number

  constructor(room: number) {
    this.#room = room
  }

  /**
   * The events that stand in `bytes` from `start` to `end`, from seq `first` on, with
   * commas between them. Undefined unless all are known and equal byte by byte.
   */
  match(first: number, bytes: Buffer, start: number, end: number): Run | undefined {
    const from = first - this.#first
    if (from < 0 || from >= this.#count) return undefined
    const at = this.#starts[from]!
    const to = this.#find(at + end - start + 1)
    if (to <= from) return undefined
    if (this.#bytes.compare(bytes, start, end, at, at + end - start) !== 0) return undefined
    const last = this.#first + to - 1
    for (const run of this.#recent) if (run.first === first && run.last === last) return run
    const numbers = this.#numbers.slice(from, to)
    return this.#remember({ room: this.#room, first, last, numbers })
  }

  #remember(run: Run): Run {
    this.#recent.push(run)
    if (this.#recent.length > RECENT_MAX) this.#recent.shift()
    return run
  }

  /** Which event begins there; −1 if none does. */
  #find(at: number): number {
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#starts[middle]! < at) low = middle + 1
      else high = middle
    }
    return this.#starts[low] === at ? low : -1
  }

  /** Takes over events that have been checked, unless they are known already. */
  learn(run: Run, bytes: Buffer, start: number, end: number): void {
    const { first, numbers } = run
    if (first > this.#first + this.#count || this.#count === 0) {
      this.#count = 0
      this.#first = first
      this.#recent.length = 0
    }
    const known = this.#first + this.#count - first
    if (first < this.#first || known >= numbers.length) return
    const begins = beginnings(bytes, start, end, numbers.length)
    if (begins === undefined) return
    if (this.#count > EVENTS_KEPT) this.#forget(this.#count >> 1)
    const base = this.#starts[this.#count]!
    this.#reserve(this.#count + numbers.length - known, base + end - begins[known]! + 1)
    bytes.copy(this.#bytes, base, begins[known]!, end)
    for (let i = known; i < numbers.length; i++) {
      const next = i + 1 < numbers.length ? begins[i + 1]! : end + 1
      this.#numbers[this.#count] = numbers[i]!
      this.#count += 1
      this.#starts[this.#count] = base + next - begins[known]!
    }
    this.#bytes[this.#starts[this.#count]! - 1] = COMMA
    if (known === 0) this.#remember(run)
  }

  #reserve(events: number, bytes: number): void {
    if (events >= this.#numbers.length) {
      this.#starts = larger(this.#starts, 2 * events)
      this.#numbers = larger(this.#numbers, 2 * events)
    }
    if (bytes <= this.#bytes.length) return
    const more = Buffer.allocUnsafeSlow(2 * bytes)
    this.#bytes.copy(more)
    this.#bytes = more
  }

  #forget(events: number): void {
    const cut = this.#starts[events]!
    const last = this.#starts[this.#count]!
    this.#bytes.copyWithin(0, cut, last)
    this.#numbers.copyWithin(0, events, this.#count)
    for (let i = events; i <= this.#count; i++) this.#starts[i - events] = this.#starts[i]! - cut
    this.#first += events
    this.#count -= events
  }
}

/** Where each of `count` events begins; undefined if they cannot be told apart. */
function beginnings(
  bytes: Buffer,
  start: number,
  end: number,
  count: number,
): number[] | undefined {
  const found: number[] = []
  for (let at = start; at >= 0 && at < end; at = bytes.indexOf(EVENT_BEGINS, at + 1)) found.push(at)
  return found.length === count ? found : undefined
}

function larger(array: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const more = new Int32Array(length)
  more.set(array)
  return more
}
