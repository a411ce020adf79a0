/**
 * A contiguous run of events for a list on a screen. It is in one of two places:
 *
 * 1. *At the end* it follows the timeline, like any reader, and drops what is too much at the older
 *    end. If it has fallen behind by more than it may hold, it loads the newest page instead.
 * 2. *In the past* it takes nothing that comes live. Each page it loads joins what is there, or
 *    takes its place; what is too much is dropped at the other end. When its newer end has come up
 *    to the head, it is at the end again.
 *
 * A page counts only if the run is still as it was when the page was asked for.
 */
import type { AnyEvent, Channel } from './channel.ts'
import { Retry } from './clock.ts'
import { listen, tell } from './core.ts'
import type { ParleyError } from './errors.ts'
import { waitMs } from './failures.ts'
import { readPage } from './history.ts'
import { WINDOW_EVENTS_MAX, WINDOW_PAGE } from './limits.ts'
import type { OutboxPost } from './post.ts'
import { Reader } from './reader.ts'
import type { HistoryOptions, Message, Page, Post, TimelineWindow, WindowOptions } from './types.ts'

export class PlaceWindow<E extends AnyEvent> extends Reader implements TimelineWindow<E> {
  events: readonly E[] = []
  posts: readonly Post[] = []
  state: TimelineWindow<E>['state'] = 'loading'
  error: ParleyError | undefined
  atEnd = false
  #follows = true
  readonly #max: number
  readonly #pageSize: number
  readonly #listeners = new Set<() => void>()
  readonly #stopWatching: () => void
  /** What the last load was for: where to go again after a failure. */
  #wanted: HistoryOptions
  #loads = 0
  readonly #again: Retry
  readonly #under: { older?: Promise<void> | undefined; newer?: Promise<void> | undefined } = {}

  constructor(channel: Channel, options: WindowOptions) {
    super(channel)
    const { around, eventsMax = WINDOW_EVENTS_MAX, pageSize = WINDOW_PAGE } = options
    this.#pageSize = pageSize
    this.#max = Math.max(eventsMax, pageSize)
    this.#wanted = { around }
    this.#again = new Retry(channel.core.clock)
    this.#stopWatching = channel.core.outbox.watch(this)
    channel.join(this)
    this.touched()
    this.#reload()
  }

  get head(): number {
    return Math.max(this.channel.head, this.#last)
  }

  get atStart(): boolean {
    return this.state === 'ready' && (this.events[0]?.seq ?? 1) === 1
  }

  get ready(): boolean {
    return this.atEnd && !this.ended
  }

  override get complete(): boolean {
    if (this.state !== 'ready') return false
    return this.atEnd ? super.complete : !!this.channel.timeline
  }

  get streams(): boolean {
    return false
  }

  get #last(): number {
    return this.events.at(-1)?.seq ?? 0
  }

  loadOlder(): Promise<void> {
    const first = this.events[0]?.seq
    if (this.atStart || !first) return Promise.resolve()
    return this.#more('older', { before: first }, (page) => {
      if (page.events.at(-1)?.seq !== this.events[0]!.seq - 1) return
      this.#join(page.events, this.events, false)
    })
  }

  loadNewer(): Promise<void> {
    if (this.atEnd) return Promise.resolve()
    return this.#more('newer', { after: this.#last }, (page) => {
      if (page.events[0]?.seq === this.#last + 1) this.#join(this.events, page.events, true)
      this.#stand(page.epoch)
      this.#meet()
    })
  }

  jumpTo(seq: number): Promise<void> {
    return this.#jump({ around: seq })
  }

  jumpToEnd(): Promise<void> {
    return this.atEnd ? Promise.resolve() : this.#jump({})
  }

  /** Stays where it is until the page is there, and if it cannot be had. */
  #jump(to: HistoryOptions): Promise<void> {
    return this.state === 'ready' ? this.#goTo(to) : this.#load(to)
  }

  follow(on: boolean): void {
    this.#follows = on
  }

  reload(): Promise<void> {
    return this.#load(this.#wanted)
  }

  onChange(listener: () => void): () => void {
    return listen(this.#listeners, listener)
  }

  /** Nobody asked for it, so nobody is told how it went. */
  #reload(to = this.#wanted): void {
    this.#load(to).catch(() => {})
  }

  /** What is there is void, or there is nothing. */
  async #load(to: HistoryOptions): Promise<void> {
    if (this.ended) return
    this.#again.clear()
    this.#wanted = to
    this.atEnd = false
    this.state = 'loading'
    this.error = undefined
    this.#changed()
    const going = this.#goTo(to)
    const load = this.#loads
    try {
      await going
    } catch (error) {
      if (load === this.#loads && !this.ended) this.#failed(error as ParleyError)
      throw error
    }
  }

  /** Takes the place of what is there, once it is there itself. */
  async #goTo(to: HistoryOptions): Promise<void> {
    this.#loads += 1
    const load = this.#loads
    const { events, epoch } = await this.#page(to)
    if (load !== this.#loads || this.ended) return
    this.#again.clear()
    this.#again.succeeded()
    this.state = 'ready'
    this.events = events
    this.#stand(epoch)
    this.atEnd = !to.around
    this.#meet()
    this.#changed()
  }

  /** A failure that will pass is tried again by itself, for after a reset nobody else would. */
  #failed(error: ParleyError): void {
    this.state = 'failed'
    this.error = error
    this.#changed()
    if (error.status === 404) return this.end(error)
    if (error.temporary) this.#again.later(() => this.#reload(), waitMs(error))
  }

  /** One page more, unless one is under way; it counts if nothing else was loaded meanwhile. */
  #more(end: 'older' | 'newer', cursor: HistoryOptions, join: (page: Page<E>) => void) {
    const load = this.#loads
    const epoch = this.at?.epoch
    return (this.#under[end] ??= this.#page({ ...cursor, epoch })
      .then((page) => {
        if (load !== this.#loads || this.ended || this.state !== 'ready') return
        if (page.epoch === epoch && page.recovered) join(page)
        else this.#reload({})
        this.#changed()
      })
      .finally(() => {
        this.#under[end] = undefined
      }))
  }

  #page(options: HistoryOptions): Promise<Page<E>> {
    const { core, place } = this.channel
    return readPage(core, place, { ...options, limit: this.#pageSize })
  }

  /** Where it reads on from, if it does. */
  #stand(epoch: string): void {
    this.at = { seq: this.#last, epoch }
  }

  /** At the end, once nothing is known to be beyond. A page under way is older than that. */
  #meet(): void {
    const { epoch, head } = this.channel
    if (this.state === 'ready' && epoch && this.#last >= head && !this.atEnd) {
      this.atEnd = true
      this.#loads += 1
    }
    this.pump()
  }

  #join(older: readonly E[], newer: readonly E[], dropsOlder: boolean): void {
    const all = [...older, ...newer]
    this.events = dropsOlder ? all.slice(-this.#max) : all.slice(0, this.#max)
    // What is dropped at the newer end is not followed any more.
    if (this.#last < all.at(-1)!.seq) {
      this.atEnd = false
      this.#stand(this.at!.epoch!)
    }
  }

  override began(): void {
    super.began()
    this.#meet()
    this.#changed()
  }

  protected override async heal(): Promise<void> {
    const { head } = this.channel
    if (this.#follows && this.atEnd && head - this.at!.seq > this.#max) this.#reload({})
    else await super.heal()
  }

  protected take(events: AnyEvent[]): void {
    this.#join(this.events, events as E[], this.#follows)
    this.#changed()
  }

  protected wasReset(): void {
    this.#reload({})
  }

  protected hasEnded(error: ParleyError | undefined): void {
    this.#again.clear()
    this.#stopWatching()
    if (error) {
      this.state = 'failed'
      this.error = error
    }
    this.atEnd = false
    this.#changed()
  }

  awaits({ placeKey, seq }: OutboxPost): boolean {
    return placeKey === this.channel.key && this.#last < seq!
  }

  #changed(): void {
    this.channel.core.outbox.prune()
    this.touched()
    this.channel.check()
  }

  override touched(): void {
    this.channel.core.soon(this.#tell)
  }

  readonly #tell = (): void => {
    const posts = this.#pending()
    if (posts.length + this.posts.length > 0) this.posts = posts
    tell(this.#listeners, undefined)
  }

  /**
   * Those without an event. A post whose reply is late may have its event here already: it is
   * taken to be the next of mine with the same text, until the reply says which it is.
   */
  #pending(): OutboxPost[] {
    const { core, place } = this.channel
    const claimed = new Set<E>()
    return core.outbox.posts(place).filter((post) => {
      if (post.state === 'sent') return post.seq! > this.#last
      const { headBefore, text } = post
      if (post.state !== 'sending') return true
      const event = this.events.find((one) => {
        const { seq, from, text: said } = one as unknown as Message
        return seq > headBefore! && said === text && from.id === post.owner && !claimed.has(one)
      })
      if (event) claimed.add(event)
      return event === undefined
    })
  }
}
