/**
 * Pages of a room's history, and whether they are what was asked for: contiguous seqs, each with
 * the text that was seeded for it. A page that is known already is compared byte by byte.
 */
import { textOf } from './texts.ts'

/** Pages remembered: where the same few are asked for again and again, all of them. */
const KNOWN_MAX = 256

export interface PageCheck {
  /** The id. */
  room: string
  first: number
  last: number
}

export class Pages {
  readonly #textBytes: number
  /** The oldest first. */
  readonly #known = new Map<string, Buffer>()

  constructor(textBytes: number) {
    this.#textBytes = textBytes
  }

  /** Throws if the body from `start` to `end` is not this page. */
  check(page: PageCheck, bytes: Buffer, start: number, end: number): void {
    const key = `${page.room} ${page.first}`
    const known = this.#known.get(key)
    const length = end - start
    if (known?.length === length && bytes.compare(known, 0, length, start, end) === 0) return
    const body = Buffer.from(bytes.subarray(start, end))
    this.#parse(page, body.toString())
    this.#known.delete(key)
    this.#known.set(key, body)
    if (this.#known.size > KNOWN_MAX) this.#known.delete(this.#known.keys().next().value!)
  }

  #parse({ room, first, last }: PageCheck, body: string): void {
    const events = JSON.parse(body) as { seq: number; type: string; text: string; room: string }[]
    const wanted = last - first + 1
    if (events.length !== wanted)
      throw new Error(`a page of ${events.length} messages came where ${wanted} were due`)
    for (const [i, event] of events.entries()) {
      const seq = first + i
      if (event.seq !== seq) throw new Error(`message ${event.seq} stands where ${seq} should`)
      const isSeeded = event.text === textOf(seq - 1, this.#textBytes) && event.room === room
      if (!isSeeded || event.type !== 'message')
        throw new Error(`message ${seq} is not what was stored: ${JSON.stringify(event)}`)
    }
  }
}
