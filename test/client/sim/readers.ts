/** Applications on the library, as strict as can be: each complains of whatever is not so. */
import type { Cursor, Post, Reset, Subscription, TimelineWindow } from '../../../client/types.ts'
import type { AnyEvent, ModelServer } from './server.ts'

export type Complain = (what: string) => void

/** Checks that events come one after the other, and that each is what that epoch had there. */
export class Follower {
  readonly timeline: string
  /** What it has, since it started or was reset. */
  seqs: number[] = []
  cursor: Cursor | undefined
  subscription: Subscription<AnyEvent> | undefined
  protected readonly server: ModelServer
  protected readonly complain: Complain
  readonly #name: string

  constructor(name: string, timeline: string, server: ModelServer, complain: Complain) {
    this.#name = name
    this.timeline = timeline
    this.server = server
    this.complain = complain
  }

  /** Where to go on after the program has ended and begun again. */
  start(first?: number): { after?: number; epoch?: string } {
    if (this.cursor) return { after: this.cursor.seq, epoch: this.cursor.epoch }
    return first === undefined ? {} : { after: first }
  }

  protected take(event: AnyEvent, at: Cursor | undefined): void {
    const { timeline, server, cursor } = this
    if (cursor && cursor.epoch === at?.epoch && event.seq !== cursor.seq + 1)
      this.complain(`${this.#name}: ${event.seq} after ${cursor.seq}`)
    if (cursor && cursor.epoch !== at?.epoch)
      this.complain(`${this.#name}: from ${cursor.epoch} to ${at?.epoch} without a reset`)
    const real = server.eventAt(at?.epoch ?? '', timeline, event.seq)
    if (textOf(event) !== (real && textOf(real)))
      this.complain(`${this.#name}: ${textOf(event)} at ${event.seq} of ${at?.epoch}`)
    if (!timeline.startsWith('i-') && !('room' in event || 'user' in event))
      this.complain(`${this.#name}: ${event.seq} does not say where it is`)
    this.seqs.push(event.seq)
    this.cursor = { seq: event.seq, epoch: at?.epoch ?? '' }
  }

  protected reset({ epoch, head }: Reset): void {
    if (epoch === this.cursor?.epoch) this.complain(`${this.#name}: reset without a reason`)
    this.seqs = []
    this.cursor = { seq: head, epoch }
  }

  /** Everything up to the head, without a hole, since it began. */
  checkComplete(): void {
    const head = this.server.log(this.timeline).length
    const { seq, epoch } = this.cursor ?? this.subscription?.cursor ?? {}
    if (seq !== head) this.complain(`${this.#name}: ends at ${seq}, the log at ${head}`)
    if (epoch !== this.server.epoch) this.complain(`${this.#name}: is still in ${epoch}`)
  }
}

export class EventsFollower extends Follower {
  follow(subscription: Subscription<AnyEvent>): void {
    this.subscription = subscription
    subscription.on('reset', (reset) => this.reset(reset))
    subscription.on('events', (events) => {
      for (const event of events) this.take(event, subscription.cursor)
      if (subscription.cursor!.seq !== events.at(-1)!.seq) this.complain('its cursor is elsewhere')
    })
    subscription.on('end', (error) => {
      if (error && error.status !== 401) this.complain(`ended: ${error.code}`)
    })
  }
}

/** Takes an event only when it is permitted to. */
export class LoopFollower extends Follower {
  #permits = 0
  #permitted: (() => void) | undefined

  follow(subscription: Subscription<AnyEvent>): void {
    this.subscription = subscription
    this.#loop(subscription).catch((error) => {
      if (error.status !== 401) this.complain(`the loop ended: ${error.code ?? error}`)
    })
  }

  permit(count: number): void {
    this.#permits += count
    this.#permitted?.()
  }

  async #loop(subscription: Subscription<AnyEvent>): Promise<void> {
    for await (const event of subscription) {
      // The page was loaded again, so this program is no more.
      if (subscription !== this.subscription) return
      if ('head' in event) this.reset(event)
      else this.take(event, subscription.cursor)
      if (subscription.cursor?.seq !== this.cursor!.seq) this.complain('the cursor is ahead')
      this.#permits -= 1
      while (this.#permits <= 0)
        await new Promise<void>((resolve) => {
          this.#permitted = resolve
        })
    }
  }
}

export interface OwnPost {
  post: Post
  discarded: boolean
  /** Tried again after it failed, so its place in the order is not what it was. */
  retried: boolean
}

interface Watched {
  window: TimelineWindow<AnyEvent>
  timeline: string
  eventsMax: number
  server: ModelServer
  ownPosts: () => OwnPost[]
  isLive: () => boolean
  complain: Complain
}

/** Looks at a window whenever it has changed. */
export class WindowWatcher {
  readonly window: TimelineWindow<AnyEvent>
  readonly #server: ModelServer
  readonly #timeline: string
  readonly #complain: Complain
  readonly #watched: Watched
  /** The epoch it has settled in, and how many posts there were by then. */
  #epoch = 'E1'
  #postsBefore = 0

  constructor(watched: Watched) {
    this.window = watched.window
    this.#timeline = watched.timeline
    this.#server = watched.server
    this.#complain = watched.complain
    this.#watched = watched
    this.window.onChange(() => this.check())
  }

  check(): void {
    const { events, atStart, head } = this.window
    const seqs = events.map(({ seq }) => seq)
    if (seqs.some((seq, i) => i > 0 && seq !== seqs[i - 1]! + 1))
      this.#complain(`the window has a hole: ${seqs}`)
    if (events.length > this.#watched.eventsMax) this.#complain(`the window has ${events.length}`)
    if (!this.#isOfOneEpoch(events)) this.#complain(`the window shows what never was: ${seqs}`)
    if (atStart && seqs.length > 0 && seqs[0] !== 1) this.#complain('atStart, and it is not')
    if (head < (seqs.at(-1) ?? 0)) this.#complain('the head is before the end')
    if (this.#hasSettled()) this.#checkPosts()
  }

  /** Each of my posts is shown once: as an event, or as a post behind the last event. */
  #checkPosts(): void {
    const { events, posts, state, atEnd } = this.window
    if (state !== 'ready' || !atEnd) return
    const shown = new Set(events.map(textOf))
    const [first = { seq: 0 }] = events
    for (const { post, discarded } of this.#watched.ownPosts().slice(this.#postsBefore)) {
      const { text, seq, state } = post
      const times = Number(shown.has(text)) + Number(posts.includes(post))
      const dropped = discarded || (state === 'sent' && seq! < first.seq)
      if (times > 1 || (times === 0 && !dropped))
        this.#complain(`"${text}" (${state}, ${seq}) is shown ${times} times`)
    }
  }

  /**
   * For a moment after a restore nobody can tell whether a post is among the events: the same seqs
   * are given out again. So only posts count that were written when that had passed.
   */
  #hasSettled(): boolean {
    const { server, isLive, ownPosts } = this.#watched
    if (this.#epoch === server.epoch) return true
    const last = this.window.events.at(-1)
    const real = last && server.eventAt(server.epoch, this.#timeline, last.seq)
    if (!isLive() || !real || textOf(real) !== textOf(last)) return false
    this.#epoch = server.epoch
    this.#postsBefore = ownPosts().length
    return true
  }

  #isOfOneEpoch(events: readonly AnyEvent[]): boolean {
    if (events.length === 0) return true
    return [...this.#server.committed.keys()].some((epoch) =>
      events.every((event) => {
        const real = this.#server.eventAt(epoch, this.#timeline, event.seq)
        return real !== undefined && textOf(real) === textOf(event)
      }),
    )
  }

  checkComplete(): void {
    const { state, atEnd, events, error } = this.window
    const log = this.#server.log(this.#timeline)
    if (state !== 'ready') this.#complain(`the window is ${state}: ${error?.code}`)
    for (const event of events)
      if (textOf(log[event.seq - 1]!) !== textOf(event)) this.#complain(`old: ${event.seq}`)
    if (atEnd && (events.at(-1)?.seq ?? 0) !== log.length)
      this.#complain(`the window ends at ${events.at(-1)?.seq} of ${log.length}`)
    this.check()
  }
}

export function textOf(event: AnyEvent): string {
  return 'text' in event ? event.text : event.message.text
}
