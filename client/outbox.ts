/**
 * Posts on their way, whatever happens. Each is kept, with the key that makes it safe to repeat,
 * until the server has acknowledged it or refused it for good.
 *
 * 1. *In.* A post gets its key and its place in line, and is written to the storage.
 * 2. *Out.* Of each timeline one post is under way, so they arrive in the order written; timelines
 *    do not wait for each other. A post whose answer is lost is sent again with the same key.
 * 3. *Settled.* Acknowledged, it leaves the storage. Refused for now, it waits and goes again;
 *    refused for good, it stays, failed, and those behind it go on.
 *
 * Posts belong to the person who wrote them. Whoever else signs in here neither sees nor sends
 * them.
 */
import { delayMs } from './clock.ts'
import { type Core, listen, tell } from './core.ts'
import { ParleyError, unreachable, waitMs } from './errors.ts'
import { keyOf, pathOf } from './history.ts'
import { request } from './http.ts'
import { FRAME_POST_CHARS_MAX, OUTBOX_POSTS_MAX } from './limits.ts'
import { OutboxPost, randomKey } from './post.ts'
import { forget, keep, readKept } from './post-storage.ts'
import type { Outbox, Place, Post, User } from './types.ts'

interface Posted {
  seq: number
  at: string
}

/** A list that shows posts until their events are there. */
export interface PostWatcher {
  /** The event with this seq is still to come, and will. */
  awaits(seq: number): boolean
  postsChanged(): void
}

export class PostOutbox implements Outbox {
  readonly #core: Core
  /** Of everyone who was signed in here, in order. */
  #posts: OutboxPost[] = []
  /** Lanes with a post under way, or waiting to go again. */
  readonly #busy = new Set<string>()
  readonly #timers = new Set<unknown>()
  readonly #listeners = new Set<() => void>()
  readonly #watchers = new Map<string, Set<PostWatcher>>()
  #lastAt = 0

  constructor(core: Core) {
    this.#core = core
  }

  get hasUnsent(): boolean {
    return this.#mine().some(({ state }) => state === 'sending')
  }

  posts(place?: Place): OutboxPost[] {
    const key = place && keyOf(place)
    return this.#mine().filter((post) => key === undefined || post.lane === key)
  }

  onChange(listener: () => void): () => void {
    return listen(this.#listeners, listener)
  }

  post(place: Place, text: string, key = randomKey()): Post {
    const core = this.#core
    const owner = core.requireMe().id
    if ('inbox' in place) throw new ParleyError({ code: 'target_unclear', status: 400 })
    if (this.#mine().filter(({ state }) => state !== 'sent').length >= OUTBOX_POSTS_MAX)
      throw new ParleyError({ code: 'outbox_full', status: 429, title: 'Too many unsent posts.' })
    // Never the same twice, so that the storage has them in order.
    this.#lastAt = Math.max(core.clock.now(), this.#lastAt + 1)
    const post = new OutboxPost(this, { owner, place, text, key, createdAt: this.#lastAt })
    this.#posts.push(post)
    keep(core.storage, post)
    this.pump()
    core.connection.update()
    this.changed()
    return post
  }

  /** What the storage has of whoever has just signed in. */
  load(): void {
    const { me, storage } = this.#core
    if (!me) return
    const known = new Set(this.#posts.map(({ key }) => key))
    const kept = readKept(storage, me.id).filter(({ key }) => !known.has(key))
    this.#posts.push(...kept.map((one) => new OutboxPost(this, one)))
    this.#posts.sort((one, other) => one.createdAt - other.createdAt)
    this.#lastAt = Math.max(this.#lastAt, ...kept.map(({ createdAt }) => createdAt))
    this.changed()
  }

  /** Everything of the one who is signing out. */
  forgetOf(user: User | undefined): void {
    for (const post of this.#posts.filter(({ owner }) => owner === user?.id)) post.discard()
  }

  stop(): void {
    for (const timer of this.#timers) this.#core.clock.clearTimeout(timer)
    this.#timers.clear()
  }

  /** Sends the first post of each lane that is free. */
  pump(): void {
    if (!this.#core.connection.ready) return
    for (const post of this.#mine())
      if (post.state === 'sending' && !this.#busy.has(laneOf(post))) this.#send(post)
  }

  #send(post: OutboxPost): void {
    const core = this.#core
    const { text, key, place } = post
    const lane = laneOf(post)
    this.#busy.add(lane)
    post.attempts += 1
    const channel = core.channels.get(post.lane)
    post.headBefore ??= channel && Math.max(channel.head, channel.acked)
    if (post.attempts === 1) keep(core.storage, post)
    const done = (ok?: Posted, error?: ParleyError) => {
      this.#settle(post, key, ok, error)
      if (error?.temporary && post.state === 'sending') this.#later(lane, post.attempts, error)
      else this.#free(lane)
    }
    if (text.length <= FRAME_POST_CHARS_MAX)
      return core.connection.send('post', { ...place, text, key }, done)
    request<Posted>(core, 'POST', `${pathOf(place)}/messages`, { text, key }).then(
      ({ data }) => done(data),
      (error: ParleyError) => (error.status === 401 ? done() : done(undefined, error)),
    )
  }

  #settle(post: OutboxPost, key: string, ok?: Posted, error?: ParleyError): void {
    const { channels, storage } = this.#core
    if (ok) channels.get(post.lane)?.expect(ok.seq)
    // Discarded, or failed and tried with another key, while it was under way.
    if (post.state !== 'sending' || post.key !== key) return
    if (ok) {
      post.wasSent(ok)
      forget(storage, post)
      this.prune(post.lane)
    } else {
      post.error = error ?? this.#core.connection.error ?? unreachable()
      if (error && !error.temporary) {
        post.hasFailed()
        keep(storage, post)
      }
    }
    this.changed()
  }

  #later(lane: string, attempts: number, error: ParleyError): void {
    const { clock } = this.#core
    const timer = clock.setTimeout(
      () => {
        this.#timers.delete(timer)
        this.#free(lane)
      },
      delayMs(clock, attempts - 1, waitMs(error)),
    )
    this.#timers.add(timer)
  }

  #free(lane: string): void {
    this.#busy.delete(lane)
    this.pump()
    this.#core.connection.update()
  }

  /** It goes again. */
  retried(post: OutboxPost): void {
    keep(this.#core.storage, post)
    this.pump()
    this.#core.connection.update()
    this.changed()
  }

  remove(post: OutboxPost): void {
    this.#posts = this.#posts.filter((one) => one !== post)
    forget(this.#core.storage, post)
    this.#core.connection.update()
    this.changed()
  }

  watch(lane: string, watcher: PostWatcher): () => void {
    const watchers = this.#watchers.get(lane) ?? new Set()
    this.#watchers.set(lane, watchers.add(watcher))
    return () => {
      watchers.delete(watcher)
      this.prune(lane)
    }
  }

  /** Sent posts are kept for as long as a window has still to show their event. */
  prune(lane: string): void {
    const watchers = [...(this.#watchers.get(lane) ?? [])]
    const left = this.#posts.filter(
      (post) =>
        post.state !== 'sent' ||
        post.lane !== lane ||
        watchers.some((watcher) => watcher.awaits(post.seq!)),
    )
    if (left.length === this.#posts.length) return
    this.#posts = left
    this.changed()
  }

  changed(): void {
    for (const watchers of this.#watchers.values())
      for (const watcher of watchers) watcher.postsChanged()
    this.#core.soon(this.#tell)
    this.#core.changed()
  }

  readonly #tell = (): void => tell(this.#listeners, undefined)

  #mine(): OutboxPost[] {
    const { me } = this.#core
    return me ? this.#posts.filter(({ owner }) => owner === me.id) : []
  }
}

/** Posts of one person to one place go one after the other. */
function laneOf({ owner, lane }: OutboxPost): string {
  return `${owner} ${lane}`
}
