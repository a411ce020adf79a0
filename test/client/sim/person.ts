/** Somebody with a program on the library, whose page may be loaded again at any time. */
import { Parley } from '../../../client/parley.ts'
import type { Place, PostStorage } from '../../../client/types.ts'
import type { SimClock } from './clock.ts'
import { Network } from './network.ts'
import {
  type Complain,
  EventsFollower,
  LoopFollower,
  type OwnPost,
  textOf,
  WindowWatcher,
} from './readers.ts'
import type { ModelServer } from './server.ts'

export const WINDOW_EVENTS_MAX = 20

export class SimPerson {
  readonly name: string
  readonly network: Network
  readonly events: EventsFollower[]
  readonly loop: LoopFollower
  parley!: Parley
  watcher: WindowWatcher | undefined
  posts: OwnPost[] = []
  readonly #clock: SimClock
  readonly #server: ModelServer
  readonly #complain: Complain
  readonly #storage = new MemoryStorage()
  #tokens = 0

  constructor(name: string, clock: SimClock, server: ModelServer, complain: Complain) {
    this.name = name
    this.#clock = clock
    this.#server = server
    this.#complain = (what) => complain(`${name}: ${what}`)
    this.network = new Network(clock, server)
    const follower = (place: Place, what: string) =>
      [`${what} of ${name}`, server.timelineOf(name, place), server, complain] as const
    this.events = [
      new EventsFollower(...follower({ room: 'r1' }, 'events')),
      new EventsFollower(...follower({ inbox: true }, 'inbox')),
    ]
    this.loop = new LoopFollower(...follower({ room: 'r2' }, 'loop'))
  }

  /** Signs in, as often as it takes, and takes everything up where it was. */
  start(): void {
    this.#tokens += 1
    const token = `${this.name}-${this.#tokens}`
    this.#server.tokens.set(token, this.name)
    const { fetch, WebSocket } = this.network
    this.parley = new Parley({
      ...{ url: 'http://sim', token, fetch, WebSocket },
      ...{ storage: this.#storage, clock: this.#clock },
    })
    void this.#begin(this.parley)
  }

  async #begin(parley: Parley): Promise<void> {
    try {
      await parley.resume()
    } catch {
      this.#clock.setTimeout(() => this.parley === parley && void this.#begin(parley), 1_000)
      return
    }
    if (this.parley !== parley || !parley.me) return
    const [events, inbox] = this.events
    // Without a cursor, what is new: so the first time only.
    events!.follow(parley.room('r1').subscribe(events!.start()))
    inbox!.follow(parley.inbox.subscribe(inbox!.start()) as never)
    this.loop.follow(parley.room('r2').subscribe(this.loop.start(0)))
    const window = parley.room('r1').open({ eventsMax: WINDOW_EVENTS_MAX, pageSize: 6 })
    this.watcher = new WindowWatcher({
      window,
      timeline: 'r1',
      eventsMax: WINDOW_EVENTS_MAX,
      server: this.#server,
      ownPosts: () =>
        this.posts.filter(({ post }) => 'room' in post.place && post.place.room === 'r1'),
      isLive: () => this.parley.status.state === 'live',
      complain: this.#complain,
    })
    this.#adopt(parley)
  }

  /** Those that the storage has kept are other objects now. */
  #adopt(parley: Parley): void {
    const kept = parley.outbox.posts()
    const lost = this.posts.filter(({ post, discarded }) => post.state !== 'sent' && !discarded)
    for (const own of lost) {
      const again = kept.find(({ text }) => text === own.post.text)
      if (!again) this.#complain(`"${own.post.text}" has not survived`)
      else own.post = again
    }
  }

  reload(): void {
    this.parley.close()
    this.watcher = undefined
    this.start()
  }

  get isIn(): boolean {
    return this.parley.me !== undefined && this.watcher !== undefined
  }

  post(place: Place, text: string): void {
    if (!this.isIn) return
    const timeline =
      'room' in place
        ? this.parley.room(place.room)
        : this.parley.user((place as { user: string }).user)
    this.posts.push({ post: timeline.post(text), discarded: false, retried: false })
  }

  /** What must be so at any time. */
  check(): void {
    const state = this.parley.status.state
    for (const { post } of this.posts) {
      if (post.state === 'failed' && post.error!.temporary) this.#complain('failed for nothing')
      if (post.state === 'sent' && !this.#wasCommitted(post.place, post.seq!, post.text))
        this.#complain(`"${post.text}" is said to be sent as ${post.seq}`)
    }
    if (state !== 'live') return
    for (const { timeline, cursor, subscription } of this.events) {
      const announced = this.network.announced.get(timeline)
      if (announced === undefined) this.#complain(`live without a subscription to ${timeline}`)
      else if (cursor && cursor.seq < announced)
        this.#complain(`live at ${cursor.seq}, though ${announced} was told of ${timeline}`)
      if (subscription?.state !== 'live') this.#complain(`live, but one is ${subscription?.state}`)
    }
    const { deafSince } = this.network
    if (deafSince !== undefined && this.#clock.now() - deafSince > 36_000)
      this.#complain('live, with a connection that died long ago')
  }

  #wasCommitted(place: Place, seq: number, text: string): boolean {
    const timeline = this.#server.timelineOf(this.name, place)
    return [...this.#server.committed.keys()].some((epoch) => {
      const event = this.#server.eventAt(epoch, timeline, seq)
      return event !== undefined && textOf(event) === text
    })
  }

  /** What must be so in the end, when all is calm and has been for a while. */
  checkEnd(): void {
    const { state } = this.parley.status
    if (state !== 'live') this.#complain(`it ends ${JSON.stringify(this.parley.status)}`)
    for (const follower of [...this.events, this.loop]) follower.checkComplete()
    this.watcher?.checkComplete()
    for (const { post, discarded } of this.posts)
      if (post.state === 'sending' && !discarded) this.#complain(`"${post.text}" is never sent`)
    this.#checkOrder()
  }

  /** In each timeline my posts stand in the order written, each at most once. */
  #checkOrder(): void {
    for (const place of [{ room: 'r1' }, { room: 'r2' }, { user: 'cat' }]) {
      const log = this.#server.log(this.#server.timelineOf(this.name, place)).map(textOf)
      if (new Set(log).size !== log.length) this.#complain(`twice in ${JSON.stringify(place)}`)
      const mine = this.posts.filter(({ post, retried }) => {
        return !retried && JSON.stringify(post.place) === JSON.stringify(place)
      })
      const seqs = mine.map(({ post }) => log.indexOf(post.text)).filter((seq) => seq !== -1)
      if (seqs.some((seq, i) => i > 0 && seq < seqs[i - 1]!)) this.#complain(`order: ${seqs}`)
    }
  }
}

export class MemoryStorage implements PostStorage {
  readonly items = new Map<string, string>()

  get length(): number {
    return this.items.size
  }

  key(index: number): string | null {
    return [...this.items.keys()][index] ?? null
  }

  getItem(name: string): string | null {
    return this.items.get(name) ?? null
  }

  setItem(name: string, value: string): void {
    this.items.set(name, value)
  }

  removeItem(name: string): void {
    this.items.delete(name)
  }
}
