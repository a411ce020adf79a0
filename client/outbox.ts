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
import { Retry } from './clock.ts'
import type { Done } from './connection.ts'
import { type Core, listen, tell } from './core.ts'
import type { ParleyError } from './errors.ts'
import { failure, unreachable, waitMs } from './failures.ts'
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
  /** The post's event is still to come. */
  awaits(post: OutboxPost): boolean
  /** My posts, or what has become of them, have changed. */
  touched(): void
}

export class PostOutbox implements Outbox {
  readonly #core: Core
  /** Of everyone who was signed in here, in order. */
  #posts: OutboxPost[] = []
  /** Those with a post under way, or waiting to go again. */
  readonly #lanes = new Map<string, Retry>()
  readonly #listeners = new Set<() => void>()
  readonly #watchers = new Set<PostWatcher>()
  #lastAt = 0

  constructor(core: Core) {
    this.#core = core
  }

  get hasUnsent(): boolean {
    return this.#unsent().some(({ state }) => state === 'sending')
  }

  posts(place?: Place): OutboxPost[] {
    const key = place && keyOf(place)
    return this.#mine().filter((post) => key === undefined || post.placeKey === key)
  }

  onChange(listener: () => void): () => void {
    return listen(this.#listeners, listener)
  }

  post(place: Place, text: string, key = randomKey()): Post {
    const core = this.#core
    const owner = core.requireMe().id
    if (this.#unsent().length >= OUTBOX_POSTS_MAX) throw failure('outbox_full', 429)
    // Never the same twice, so that the storage has them in order.
    this.#lastAt = Math.max(core.clock.now(), this.#lastAt + 1)
    const post = new OutboxPost(this, { id: key, owner, place, text, key, createdAt: this.#lastAt })
    this.#posts.push(post)
    keep(core.storage, post)
    this.#moved()
    return post
  }

  /** What the storage has of whoever has just signed in. */
  load(): void {
    const { me, storage } = this.#core
    if (!me) return
    const known = new Set(this.#posts.map(({ id }) => id))
    const kept = readKept(storage, me.id).filter(({ id }) => !known.has(id))
    this.#posts.push(...kept.map((one) => new OutboxPost(this, one)))
    this.#posts.sort((one, other) => one.createdAt - other.createdAt)
    this.#lastAt = Math.max(this.#lastAt, ...kept.map(({ createdAt }) => createdAt))
    this.changed()
  }

  /** Everything of the one who is signing out. */
  forgetOf(user: User | undefined): void {
    for (const post of this.#posts.filter(({ owner }) => owner === user?.id)) post.discard()
  }

  /** What is under way may still be answered; what waits goes when its author is back. */
  stop(): void {
    for (const retry of this.#lanes.values()) retry.clear()
    this.#lanes.clear()
  }

  /** Sets out with every lane of mine that stands still. */
  pump(): void {
    if (!this.#core.connection.ready) return
    for (const { lane, state } of this.#mine())
      if (state === 'sending' && !this.#lanes.has(lane)) this.#next(lane)
  }

  /** Sends the first post of a lane; without one, or a connection, the lane stands still. */
  #next(lane: string, retry = new Retry(this.#core.clock)): void {
    const post = this.#mine().find((one) => one.lane === lane && one.state === 'sending')
    if (post && this.#core.connection.ready) {
      this.#lanes.set(lane, retry)
      this.#send(post, retry)
    } else this.#lanes.delete(lane)
  }

  #send(post: OutboxPost, retry: Retry): void {
    const { connection, channels, storage } = this.#core
    const { text, key, place, lane } = post
    post.attempts += 1
    post.headBefore ??= channels.get(post.placeKey)?.known
    if (post.attempts === 1) keep(storage, post)
    const done: Done = (ok, error) => {
      this.#settle(post, key, ok, error)
      if (error?.temporary) retry.later(() => this.#next(lane, retry), waitMs(error))
      else this.#next(lane)
    }
    if (text.length <= FRAME_POST_CHARS_MAX) connection.send('post', { ...place, text, key }, done)
    else this.#sendLong(post, done)
  }

  #sendLong({ place, text, key }: OutboxPost, done: Done): void {
    request<Posted>(this.#core, 'POST', `${pathOf(place)}/messages`, { text, key }).then(
      ({ data }) => done(data),
      // Signed out is not refused: it waits for its author.
      (error) => done(undefined, error.status === 401 ? undefined : error),
    )
  }

  #settle(post: OutboxPost, key: string, ok?: Posted, error?: ParleyError): void {
    const { channels, storage } = this.#core
    if (ok) channels.get(post.placeKey)?.expect(ok.seq)
    // Discarded, or failed and tried with another key, while it was under way.
    if (post.state !== 'sending' || post.key !== key) return
    if (ok) {
      post.wasSent(ok)
      forget(storage, post)
      this.prune()
    } else {
      post.error = error ?? this.#core.connection.error ?? unreachable()
      if (error && !error.temporary) {
        post.hasFailed()
        keep(storage, post)
      }
    }
    this.changed()
  }

  /** It goes again. */
  retried(post: OutboxPost): void {
    keep(this.#core.storage, post)
    this.#moved()
  }

  remove(post: OutboxPost): void {
    this.#posts = this.#posts.filter((one) => one !== post)
    forget(this.#core.storage, post)
    this.#moved()
  }

  #moved(): void {
    this.pump()
    this.#core.connection.update()
    this.changed()
  }

  watch(watcher: PostWatcher): () => void {
    return listen(this.#watchers, watcher)
  }

  /**
   * Sent posts are kept for as long as a window has still to show their event; if it never comes
   * to it, for as long as there are not too many newer ones.
   */
  prune(): void {
    const watchers = [...this.#watchers]
    const left = this.#posts.filter(
      (post, i) =>
        post.state !== 'sent' ||
        (i >= this.#posts.length - OUTBOX_POSTS_MAX &&
          watchers.some((watcher) => watcher.awaits(post))),
    )
    if (left.length === this.#posts.length) return
    this.#posts = left
    this.changed()
  }

  changed(): void {
    for (const watcher of this.#watchers) watcher.touched()
    this.#core.soon(this.#tell)
    this.#core.changed()
  }

  readonly #tell = (): void => tell(this.#listeners, undefined)

  #unsent(): OutboxPost[] {
    return this.#mine().filter(({ state }) => state !== 'sent')
  }

  #mine(): OutboxPost[] {
    const { me } = this.#core
    return me ? this.#posts.filter(({ owner }) => owner === me.id) : []
  }
}
