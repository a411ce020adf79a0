/**
 * When posts were planned and when their deliveries came: rates and latencies by groups of rooms
 * and by seconds. Latency counts from the planned time, so a generator or a server that lags behind
 * makes it longer and never hides it.
 */
import type { Second } from '../record.ts'
import { Histogram } from '../stats.ts'
import type { GroupResult } from './job.ts'

const FIRST_CAPACITY = 64
const NO_GROUP = 255

/** Rooms `from` to `from + rooms`. */
export interface Rooms {
  from: number
  rooms: number
}

/** What a meter tells of a group of rooms; who is in them it does not know. */
export type MeterResult = Omit<GroupResult, 'readers'>

interface Group {
  posts: number
  /** Deliveries so far; at the last turn of a second, and when measuring began and ended. */
  deliveries: number
  atTurn: number
  atStart: number
  atEnd: number
  /** Since the last turn of a second, and in all. */
  second: Histogram
  total: Histogram
  series: Second[]
}

export class Meter {
  /** By room and by number. */
  readonly #plannedAt: Float64Array[]
  readonly #groupOf: Uint8Array
  #groups: Group[] = []
  /** Posts that are planned within count. */
  #fromMs = Number.POSITIVE_INFINITY
  #toMs = Number.POSITIVE_INFINITY
  #turnedAt = 0
  #isMeasuring = false

  constructor(rooms: number) {
    this.#plannedAt = Array.from({ length: rooms }, () => new Float64Array(FIRST_CAPACITY))
    this.#groupOf = new Uint8Array(rooms).fill(NO_GROUP)
  }

  /** Posts planned from `fromMs` to `toMs` are what is measured next, one group for each. */
  prepare(groups: readonly Rooms[], fromMs: number, toMs: number): void {
    this.#groupOf.fill(NO_GROUP)
    for (const [index, { from, rooms }] of groups.entries())
      this.#groupOf.fill(index, from, from + rooms)
    this.#groups = groups.map(() => ({
      posts: 0,
      deliveries: 0,
      atTurn: 0,
      atStart: 0,
      atEnd: 0,
      second: new Histogram(),
      total: new Histogram(),
      series: [],
    }))
    this.#fromMs = fromMs
    this.#toMs = toMs
  }

  /** Post `n` of a room, 0, 1, 2 …, is to be sent at this time. */
  plan(room: number, n: number, atMs: number): void {
    let times = this.#plannedAt[room]!
    if (n >= times.length) {
      const larger = new Float64Array(times.length * 2)
      larger.set(times)
      this.#plannedAt[room] = larger
      times = larger
    }
    times[n] = atMs
    const group = this.#groups[this.#groupOf[room]!]
    if (group !== undefined && this.#isWithin(atMs)) group.posts += 1
  }

  #isWithin(atMs: number): boolean {
    return atMs >= this.#fromMs && atMs < this.#toMs
  }

  /** Deliveries in one room: of the posts `numbers`, or of `first` to `last`. */
  count(room: number, first: number, last: number, numbers?: Int32Array): void {
    const group = this.#groups[this.#groupOf[room]!]
    if (group === undefined) return
    const times = this.#plannedAt[room]!
    const now = performance.now()
    const { second } = group
    const length = numbers === undefined ? last - first + 1 : numbers.length
    group.deliveries += length
    for (let i = 0; i < length; i++) {
      const atMs = times[numbers === undefined ? first + i : numbers[i]!]!
      if (this.#isWithin(atMs)) second.record(now - atMs)
    }
  }

  start(): void {
    this.#isMeasuring = true
    this.#turnedAt = performance.now()
    for (const group of this.#groups) group.atStart = group.atTurn = group.deliveries
  }

  /** A second is over. Returns the rate of the first group. */
  turn(): number {
    const now = performance.now()
    const seconds = (now - this.#turnedAt) / 1_000
    this.#turnedAt = now
    const rates = this.#groups.map((group) => {
      const perSecond = (group.deliveries - group.atTurn) / seconds
      group.atTurn = group.deliveries
      if (this.#isMeasuring) {
        const { p50, p99 } = group.second.percentiles
        group.series.push({ atS: group.series.length + 1, perSecond, p50, p99 })
      }
      group.total.absorb(group.second)
      return perSecond
    })
    return rates[0] ?? 0
  }

  /** What comes from now on still counts for the latencies, but for no rate. */
  stop(): void {
    this.#isMeasuring = false
    for (const group of this.#groups) group.atEnd = group.deliveries
  }

  results(): MeterResult[] {
    return this.#groups.map(({ posts, atStart, atEnd, second, total, series }) => {
      total.absorb(second)
      return { posts, deliveries: atEnd - atStart, latencyMs: total.percentiles, series }
    })
  }
}
