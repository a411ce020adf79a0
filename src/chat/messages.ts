/** Posting, listing and following messages. Every operation starts from a `Place`. */
import type { Clock } from '../clock.ts'
import { problem } from '../errors.ts'
import { encodeEvent, type Label, labelled } from '../events.ts'
import type { LiveEvent } from '../live/bus.ts'
import { Feed, type FeedStart } from '../live/feed.ts'
import type { Hub } from '../live/hub.ts'
import type { Reader } from '../live/reader.ts'
import type { EncodedEvents, Range, Store } from '../store/store.ts'
import type { Id, NewEvent, Seq } from '../types.ts'
import type { Place } from './access.ts'
import { isVisible } from './names.ts'
import type { Done, Recorder } from './record.ts'

export interface Draft {
  text: string
  /** Idempotency key. */
  key?: string | undefined
}

export interface Posted {
  timeline: Id
  seq: Seq
  at: number
  /** The whole message as JSON, with its `room` or `user`. */
  json: string
  /** True if the key had been used for this message before: this is the original. */
  replayed: boolean
}

/** At most one of the three; with none, the newest page. */
export interface Cursor {
  before?: Seq | undefined
  after?: Seq | undefined
  around?: Seq | undefined
  /** The epoch that the seq belongs to; without it, the present one is assumed. */
  epoch?: string | undefined
}

export interface Page {
  /** Each message as JSON, ascending. */
  events: string[]
  /** Of the first and the last of them; undefined on an empty page. */
  first: Seq | undefined
  last: Seq | undefined
  /**
   * False, and the page empty, if the cursor is of another epoch or beyond the head: start over.
   */
  recovered: boolean
}

export interface MessagesOptions {
  store: Store
  hub: Hub
  recorder: Recorder
  clock: Clock
  textBytesMax: number
}

export class Messages {
  readonly #options: MessagesOptions

  constructor(options: MessagesOptions) {
    this.#options = options
  }

  /**
   * Resolves once the message is committed. It takes its place in line before this returns, so
   * posts called one after the other are recorded in that order. Rejects with `text_too_long`,
   * `text_blank`, `key_reused` or any error of `Recorder.record`.
   */
  async post(place: Place, draft: Draft): Promise<Posted> {
    const { event, replayed } = await this.#options.recorder.record(this.#eventOf(place, draft))
    const json = encodeEvent(event, place.label)
    return { timeline: place.timeline, seq: event.seq, at: event.at, json, replayed }
  }

  /**
   * As `post`, without a promise and without the message's JSON: for a socket, which has thousands
   * under way and tells only where each one stands. Throws `text_too_long` and `text_blank`.
   */
  submit(place: Place, draft: Draft, done: Done): void {
    this.#options.recorder.submit(this.#eventOf(place, draft), done)
  }

  #eventOf({ viewer, timeline, inbox }: Place, { text, key }: Draft): NewEvent {
    this.#checkText(text)
    const from = `{"id":"${viewer.id}","name":"${viewer.name}"}`
    return {
      timeline,
      type: 'message',
      author: viewer.id,
      body: `{"from":${from},"text":${JSON.stringify(text)}}`,
      at: this.#options.clock.now(),
      key,
      inbox,
    }
  }

  #checkText(text: string): void {
    const { textBytesMax } = this.#options
    // A UTF-16 unit takes at most three bytes of UTF-8, so most texts need no counting.
    if (text.length * 3 > textBytesMax && Buffer.byteLength(text) > textBytesMax)
      throw problem('text_too_long', { detail: `The limit is ${textBytesMax} bytes of UTF-8.` })
    if (!isVisible(text)) throw problem('text_blank')
  }

  async list(place: Place, cursor: Cursor, limit: number): Promise<Page> {
    const { store } = this.#options
    const { after, epoch = store.epoch } = cursor
    if (epoch !== store.epoch)
      return { events: [], first: undefined, last: undefined, recovered: false }
    let { firstSeq, events } = await this.#read(place, cursor, limit)
    let recovered = true
    if (events.length === 0 && after !== undefined && after > 0) {
      const [head = 0] = await store.heads([place.timeline])
      recovered = after <= head
      // Another node has recorded what this one has not heard of yet.
      if (after < head) ({ firstSeq, events } = await this.#stored(place, { after, limit }))
    }
    if (events.length === 0) return { events, first: undefined, last: undefined, recovered }
    return { events, first: firstSeq, last: firstSeq + events.length - 1, recovered }
  }

  async #read(place: Place, cursor: Cursor, limit: number): Promise<EncodedEvents> {
    const { before = Number.MAX_SAFE_INTEGER, after, around } = cursor
    if (after !== undefined) return this.#list(place, { after, limit })
    if (around === undefined && cursor.before === undefined) return this.#newest(place, limit)
    if (around === undefined) return this.#list(place, { before, limit })
    const newer = Math.floor(limit / 2)
    const upTo = { before: around + 1, limit: limit - newer }
    const beyond = { after: around, limit: newer }
    const [older, later] = await Promise.all([
      this.#list(place, upTo),
      newer === 0 ? undefined : this.#list(place, beyond),
    ])
    if (later === undefined) return older
    if (older.events.length === 0) return later
    // Events that were recorded between the two reads may begin beyond the end of the older ones.
    if (later.firstSeq !== older.firstSeq + older.events.length) return older
    return { firstSeq: older.firstSeq, events: [...older.events, ...later.events] }
  }

  /** From memory if somebody follows the place here and its tail has the page whole. */
  #list(place: Place, range: Range): EncodedEvents | Promise<EncodedEvents> {
    const recent = this.#options.hub.recent(place.timeline, range)
    return recent === undefined ? this.#stored(place, range) : labelledEvents(recent, place.label)
  }

  #stored({ timeline, label }: Place, range: Range): Promise<EncodedEvents> {
    return this.#options.store.listEncoded(timeline, range, label)
  }

  /** What most people ask for; whoever comes next has it from memory. */
  async #newest({ timeline, label }: Place, limit: number): Promise<EncodedEvents> {
    return labelledEvents(await this.#options.hub.newest(timeline, limit), label)
  }

  /** One message as JSON. Throws `no_such_message`. */
  async get(place: Place, seq: Seq): Promise<string> {
    const range = { after: seq - 1, limit: 1 }
    let page = await this.#list(place, range)
    // Another node may have recorded it just now, and told the author where it stands.
    if (page.firstSeq !== seq) page = await this.#stored(place, range)
    if (page.firstSeq !== seq) throw problem('no_such_message')
    return page.events[0]!
  }

  /** A feed of the place, not yet running. The caller ends it by `hub.unsubscribe`. */
  follow(place: Place, start: Omit<FeedStart, 'timeline'>, reader: Reader): Feed | Promise<Feed> {
    return Feed.open(this.#options.hub, { ...start, timeline: place.timeline }, reader)
  }
}

function labelledEvents(events: readonly LiveEvent[], label: Label): EncodedEvents {
  const texts = events.map(({ json }) => labelled(json, label))
  return { firstSeq: events[0]?.seq ?? 0, events: texts }
}
