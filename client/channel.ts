/**
 * One place as it comes over the wire: a single subscription there, however many readers there are
 * here. It keeps the *tail*, the events `(from, to]` that came last without a hole, and the `head`,
 * the last seq there is known to be. It promises its readers nothing but this: what is beyond
 * `from` will come by wire, or `from` will be raised. Whoever stands before `from` reads history.
 *
 * `from` is raised when a run does not join the one before, when the tail is longer than
 * `QUEUE_MAX`, and when the head has been beyond `to` for so long that what is missing must be
 * lost.
 */
import { Alarm, Retry } from './clock.ts'
import type { Core } from './core.ts'
import type { ParleyError } from './errors.ts'
import { waitMs } from './failures.ts'
import { readPage } from './history.ts'
import { HEAD_GRACE_MS, HEAL_PAGE, QUEUE_MAX } from './limits.ts'
import type { Reader } from './reader.ts'
import type { HistoryOptions, Page, Place } from './types.ts'

export interface AnyEvent {
  seq: number
}

/** Where a reader stands; the epoch is not known before the server has told it. */
export interface Position {
  seq: number
  epoch: string | undefined
}

interface Subscribed {
  timeline: string
  epoch: string
  head: number
  recovered: boolean
}

export class Channel {
  readonly core: Core
  readonly place: Place
  readonly key: string
  readonly readers = new Set<Reader>()
  /** The server's name for it, while subscribed. */
  timeline: string | undefined
  /** Of all that follows; undefined before the first reply. */
  epoch: string | undefined
  head = 0
  /** The last post of ours that was acknowledged: its event is on its way. */
  acked = 0
  tail: AnyEvent[] = []
  from = 0
  to = 0
  /** Subscribed, and every reader has everything. */
  live = false
  #asked = false
  #pageMax: number | undefined = HEAL_PAGE
  readonly #retry: Retry
  readonly #grace: Alarm
  readonly #pages = new Map<string, Promise<Page<AnyEvent>>>()

  constructor(core: Core, place: Place, key: string) {
    this.core = core
    this.place = place
    this.key = key
    this.#retry = new Retry(core.clock)
    this.#grace = new Alarm(core.clock)
  }

  join(reader: Reader): void {
    this.readers.add(reader)
    // Not at once: whoever subscribes has still to say what is to be told.
    if (this.timeline) this.core.soon(() => this.timeline && reader.began())
    else if (this.core.connection.ready) this.subscribe()
    this.core.connection.update()
    this.core.changed()
  }

  leave(reader: Reader): void {
    if (!this.readers.delete(reader)) return
    if (this.readers.size === 0 && !this.#asked) this.#close()
    this.core.changed()
  }

  /** Ends every reader. */
  end(error: ParleyError | undefined): void {
    for (const reader of [...this.readers]) reader.end(error)
  }

  /** On a connection that is ready. */
  subscribe(): void {
    if (this.#asked) return
    this.#asked = true
    const after = this.#position()
    const start = { after: after?.seq, epoch: after?.epoch }
    this.core.connection.send('subscribe', { ...this.place, ...start }, (ok, error) => {
      this.#asked = false
      if (ok) this.#subscribed(ok, after)
      else if (error) this.#refused(error)
    })
  }

  /**
   * The furthest that anyone here has come who wants everything; those behind read history. For
   * windows alone it is the head: after a night away they want the newest page and not the night.
   */
  #position(): Position | undefined {
    const { epoch, to, readers } = this
    const streams = [...readers].filter((reader) => reader.streams)
    let furthest: Position | undefined = epoch && streams[0] ? { seq: to, epoch } : undefined
    for (const { at } of streams)
      if (at && (!furthest || (at.epoch === furthest.epoch && at.seq > furthest.seq))) furthest = at
    return furthest
  }

  #subscribed(ok: Subscribed, after: Position | undefined): void {
    const { core } = this
    const { timeline, epoch, head, recovered } = ok
    this.timeline = timeline
    core.timelines.set(timeline, this)
    this.#retry.succeeded()
    if (this.readers.size === 0) return this.#close()
    const goesOn = recovered && epoch === this.epoch
    if (!goesOn || after?.seq !== this.to) this.#startAt(recovered && after ? after.seq : head)
    this.head = goesOn ? Math.max(this.head, head) : head
    if (!goesOn) this.acked = 0
    this.epoch = epoch
    for (const reader of [...this.readers]) reader.began()
    this.#watch()
    core.changed()
  }

  #refused(error: ParleyError): void {
    if (this.readers.size === 0) return this.#close()
    // The server has it, and we do not: a frame was lost on the way.
    if (error.code === 'already_subscribed') return this.core.connection.lose()
    // There may be room for it later, but nobody can say when: better refused than never live.
    if (!error.temporary || error.code === 'too_many_subscriptions') return this.end(error)
    this.#retry.later(() => this.subscribe(), waitMs(error))
  }

  disconnected(): void {
    this.timeline = undefined
    this.#retry.clear()
    this.#grace.clear()
    if (this.readers.size === 0) this.#close()
  }

  #close(): void {
    this.#retry.clear()
    this.#grace.clear()
    this.core.channels.delete(this.key)
    const { timeline, core } = this
    if (timeline) {
      core.timelines.delete(timeline)
      core.connection.send('unsubscribe', { timeline }, () => {})
    }
    core.connection.update()
  }

  /** A run of events as it came. */
  run(events: AnyEvent[]): void {
    const first = events[0]!.seq
    const last = first + events.length - 1
    if (last <= this.to) return
    if (first > this.to + 1) this.#startAt(first - 1)
    const label = 'inbox' in this.place ? {} : this.place
    for (const event of events) if (event.seq > this.to) this.tail.push(Object.assign(event, label))
    this.to = last
    this.head = Math.max(this.head, last)
    this.#pump()
    this.#cut()
    this.#grace.clear()
    this.#watch()
    this.check()
  }

  /** Keeps of the tail what somebody may still want, and not too much of it. */
  #cut(): void {
    const { readers, to } = this
    const wanted = [...readers].some((one) => (one.streams || one.ready) && one.at!.seq < to)
    const length = wanted ? QUEUE_MAX : 0
    if (this.tail.length <= length) return
    this.tail = this.tail.slice(this.tail.length - length)
    this.from = to - length
  }

  /** The server has said that there is an event with this seq. */
  raise(head: number): void {
    if (head <= this.head) return
    this.head = head
    for (const reader of this.readers) reader.touched()
    this.#watch()
    this.check()
  }

  get known(): number {
    return Math.max(this.head, this.acked)
  }

  /** An event with this seq was just recorded: it is missing only if it does not come soon. */
  expect(seq: number): void {
    this.acked = Math.max(this.acked, seq)
    this.#watch()
  }

  /** Something is known that has not come: it may be under way, for a while. */
  #watch(): void {
    if (this.known <= this.to || !this.timeline || this.#grace.pending) return
    this.#grace.set(HEAD_GRACE_MS, () => {
      this.head = this.known
      this.#startAt(this.head)
      this.#pump()
      this.check()
    })
  }

  #startAt(seq: number): void {
    this.from = this.to = seq
    this.tail = []
  }

  #pump(): void {
    for (const reader of [...this.readers]) reader.pump()
  }

  /** Looks whether everyone has everything, and says so if that has changed. */
  check(): void {
    let live = !!this.timeline
    for (const reader of this.readers) {
      reader.check()
      live &&= reader.complete
    }
    if (live === this.live) return
    this.live = live
    this.core.changed()
  }

  /** Readers with the same gap at the same time are given the same page. */
  page(options: HistoryOptions): Promise<Page<AnyEvent>> {
    const key = JSON.stringify(options)
    const page = this.#pages.get(key) ?? this.#read(options).finally(() => this.#pages.delete(key))
    this.#pages.set(key, page)
    return page
  }

  /** As large a page as the server gives. */
  async #read(options: HistoryOptions): Promise<Page<AnyEvent>> {
    try {
      return await readPage(this.core, this.place, { limit: this.#pageMax, ...options })
    } catch (error) {
      if ((error as ParleyError).code !== 'limit_out_of_range') throw error
      this.#pageMax = undefined
      return this.#read(options)
    }
  }

  /** History is of another epoch: the other end of this connection is not what it was. */
  distrust(epoch: string): void {
    if (this.timeline && epoch !== this.epoch) this.core.connection.lose()
  }
}
