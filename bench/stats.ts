/**
 * Latencies as a histogram of fixed size, so that recording ten million of them costs no memory.
 */
import type { Percentiles } from './record.ts'

/** Buckets for each doubling; a value is off by at most one part in so many (1.6 %). */
const PARTS = 64
/** The longest that can be told apart: 2³¹ µs, more than half an hour. */
const MAX_US = 2 ** 31 - 1
const BUCKETS = 27 * PARTS

export class Histogram {
  readonly #buckets = new Uint32Array(BUCKETS)
  #count = 0
  #maxMs = 0

  get count(): number {
    return this.#count
  }

  get maxMs(): number {
    return this.#maxMs
  }

  record(ms: number): void {
    const us = ms <= 0 ? 0 : Math.min(MAX_US, Math.round(ms * 1_000))
    this.#buckets[bucketOf(us)]! += 1
    this.#count += 1
    if (ms > this.#maxMs) this.#maxMs = ms
  }

  /** Takes over all that `other` has recorded, and empties it. */
  absorb(other: Histogram): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++)
      this.#buckets[bucket]! += other.#buckets[bucket]!
    this.#count += other.#count
    this.#maxMs = Math.max(this.#maxMs, other.#maxMs)
    other.#buckets.fill(0)
    other.#count = 0
    other.#maxMs = 0
  }

  /** What a record says of it. */
  get percentiles(): Percentiles {
    return { p50: this.percentileMs(0.5), p99: this.percentileMs(0.99), max: this.#maxMs }
  }

  /** The value that this share (0 to 1) of all does not exceed; 0 if there are none. */
  percentileMs(share: number): number {
    const rank = Math.max(1, Math.ceil(share * this.#count))
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#buckets[bucket]!
      if (seen >= rank) return Math.min(upperUs(bucket) / 1_000, this.#maxMs)
    }
    return this.#maxMs
  }
}

/** The first 2 × PARTS values have a bucket each; then each doubling has PARTS of them. */
function bucketOf(us: number): number {
  const shift = Math.max(0, 25 - Math.clz32(us))
  return shift * PARTS + (us >> shift)
}

function upperUs(bucket: number): number {
  const shift = Math.max(0, Math.floor(bucket / PARTS) - 1)
  return (bucket - shift * PARTS + 1) * 2 ** shift - 1
}

/** Bytes (or whatever) for each further one: the slope of the straight line that fits best. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const n = points.length
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / n
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / n
  let over = 0
  let under = 0
  for (const [x, y] of points) {
    over += (x - meanX) * (y - meanY)
    under += (x - meanX) ** 2
  }
  return over / under
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

/** Whole numbers that must be seen once each: the seqs of acknowledged posts. */
export class SeqSet {
  #seen = new Uint8Array(1 << 16)
  #size = 0
  #max = 0

  /** False if it is no seq, or has been added before. */
  add(seq: number): boolean {
    if (!(seq >= 1)) return false
    while (seq >= this.#seen.length) {
      const larger = new Uint8Array(this.#seen.length * 2)
      larger.set(this.#seen)
      this.#seen = larger
    }
    if (this.#seen[seq] === 1) return false
    this.#seen[seq] = 1
    this.#size += 1
    if (seq > this.#max) this.#max = seq
    return true
  }

  get size(): number {
    return this.#size
  }

  /** True if it holds exactly 1, 2, 3 … `size`. */
  get isGapless(): boolean {
    return this.#size === this.#max
  }
}

/** What went wrong in a run. The first few are kept in words, all are counted. */
export class Faults {
  readonly texts: string[] = []
  #count = 0
  readonly #kept: number

  constructor(kept = 5) {
    this.#kept = kept
  }

  get count(): number {
    return this.#count
  }

  add(text: string): void {
    this.#count += 1
    if (this.texts.length < this.#kept) this.texts.push(text)
  }

  /** Notes it unless `holds`. */
  check(holds: boolean, text: string): void {
    if (!holds) this.add(text)
  }
}
