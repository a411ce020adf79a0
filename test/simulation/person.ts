/**
 * A good client, as a person with a token: comes back when cut off, signs in again when signed out,
 * resumes from the cursor, tries again with the same key. Complains of whatever a server must never
 * say.
 */
import { directTimeline } from '../../src/chat/ids.ts'
import type { Account, Id, Seq, TimelineId } from '../../src/types.ts'
import { Follow, type SubscribeReply, type Target } from './follow.ts'
import type { Posting } from './history.ts'
import type { SimNode } from './node.ts'
import { Pages } from './pages.ts'
import { type Draft, type PostReply, Posts } from './posts.ts'
import { type Answered, request } from './request.ts'
import { Wire } from './wire.ts'
import type { World } from './world.ts'

/** Posts on their way at once. */
const POSTS_MAX = 8
const RETRY_MS_MAX = 400
/** How many times the server's own limit for slow readers the runtime keeps. */
const BACKLOG_LIMITS = 4

interface Reply extends PostReply {
  re?: number
  timeline?: TimelineId
  events?: { seq: Seq; text?: string; message?: { text: string } }[]
  caughtUp?: Seq
  heads?: Record<TimelineId, Seq>
}

/** How a connection is made. */
export type Door = 'header' | 'frame' | 'path'

export class Person {
  readonly user: Account
  readonly posts: Posts
  readonly pages: Pages
  readonly follows: Follow[] = []
  away = true
  door: Door = 'header'
  token: string | undefined
  sessionId: Id | undefined
  wire: Wire | undefined
  readonly #world: World
  #node: SimNode | undefined
  #connecting = false
  /** Tries to connect; what comes of one that was given up is dropped. */
  #tries = 0
  /** The connection is open and signed in. */
  #isIn = false
  #lastId = 0
  readonly #pending = new Map<number, (reply: Reply) => void>()
  readonly #underWay = new Set<Draft>()

  constructor(world: World, user: Account) {
    this.#world = world
    this.user = user
    this.posts = new Posts(user.name, world.history, () => world.scheduler.now)
    this.pages = new Pages(this, world)
  }

  // What a step has a person do.

  come(): void {
    this.away = false
    this.#connect()
  }

  leave(): void {
    this.away = true
    this.wire?.drop()
  }

  post(target: Draft['target'], count: number, chars: number): void {
    for (let i = 0; i < count; i++) this.posts.write(target, this.timelineOf(target), chars)
    this.#pump()
  }

  again(which: number, isReuse: boolean): void {
    this.posts.again(which, isReuse)
    this.#pump()
  }

  follow(target: Target, after: Seq | undefined): void {
    const same = this.follows.find((one) => JSON.stringify(one.target) === JSON.stringify(target))
    const follow = same ?? new Follow(this.user.name, this.#world.history, target, after)
    if (same === undefined) this.follows.push(follow)
    follow.wanted = true
    this.#subscribe(follow)
  }

  unfollow(which: number): void {
    const follow = this.follows[Math.floor(which * this.follows.length)]
    if (follow === undefined) return
    follow.wanted = false
    if (!this.#isIn || follow.state !== 'on') return
    follow.state = 'leaving'
    this.#ask('unsubscribe', { timeline: follow.timeline }, () => {
      follow.state = 'off'
      if (follow.wanted) this.#subscribe(follow)
    })
  }

  /** Ends this session, by whichever node answers. */
  signOut(): void {
    const { sessionId, user } = this
    if (sessionId === undefined) return
    this.request(
      (node) => node.chat.sessions.end(user.id, sessionId),
      () => {},
    )
  }

  timelineOf(target: Draft['target']): TimelineId {
    return 'room' in target ? target.room : directTimeline(this.user.id, target.user)
  }

  /** Over HTTP. */
  request<T>(work: (node: SimNode) => Promise<T>, done: Answered<T>): void {
    request(this.#world, work, done)
  }

  // Connecting.

  #connect(): void {
    if (this.away || this.#connecting || this.wire !== undefined) return
    this.#connecting = true
    if (this.token === undefined) this.#signIn()
    else this.#open(this.token)
  }

  #giveUp(): void {
    this.#tries += 1
    this.wire?.drop()
    this.#retry()
  }

  #retry(): void {
    this.#connecting = false
    const { scheduler } = this.#world
    scheduler.after(scheduler.below(RETRY_MS_MAX), () => this.#connect(), null)
  }

  #signIn(): void {
    const { user } = this
    this.request(
      (node) => node.chat.sessions.signIn(user.name, 'password', 'simulated'),
      (error, result) => {
        if (result !== undefined) {
          this.token = result.token
          this.sessionId = result.viewer.session.id
        }
        if (error === undefined) this.#connecting = false
        if (error === undefined) this.#connect()
        else this.#retry()
      },
    )
  }

  /** The handshake; by frame or by header, and on a subscribe path subscribed at once. */
  #open(token: string): void {
    const { door } = this
    const follow = door === 'path' ? this.follows.find(({ wanted }) => wanted) : undefined
    const start = follow?.start
    this.#tries += 1
    const turn = this.#tries
    this.request(
      async (node) => {
        if (door === 'frame') return this.#upgrade(node, turn, {})
        const viewer = await node.chat.sessions.authenticate(token)
        if (viewer === undefined) return undefined
        if (follow === undefined) return this.#upgrade(node, turn, { viewer })
        const place = await node.chat.access.place(viewer.user, follow.target)
        return this.#upgrade(node, turn, { viewer, subscription: { place, ...start } }, () =>
          this.#subscribing(0, follow, start!),
        )
      },
      (error, wire) => {
        if (turn !== this.#tries) return
        if (error === undefined && wire === undefined) this.token = undefined
        if (wire === undefined) return this.#giveUp()
        this.#connecting = false
        if (wire === this.wire) this.#opened()
        else this.#connect()
      },
    )
  }

  #upgrade(
    node: SimNode,
    turn: number,
    start: Parameters<SimNode['upgrade']>[1],
    prepare: () => void = () => {},
  ): Wire {
    const { scheduler, config, setting } = this.#world
    const wire: Wire = new Wire({
      ...{ scheduler, life: node.life, kernelBytes: setting.kernelBytes },
      weather: () => this.#world.weather.network,
      backlogBytes: BACKLOG_LIMITS * config.slowReaderBytesMax,
      client: {
        frame: (text) => this.wire === wire && this.#frame(text),
        closed: (code) => this.wire === wire && this.#closed(code),
      },
    })
    const isAwaited = turn === this.#tries && !this.away
    if (isAwaited) {
      this.wire = wire
      this.#node = node
      prepare()
    }
    node.upgrade(wire, start)
    if (!isAwaited) wire.drop()
    return wire
  }

  #opened(): void {
    if (this.door !== 'frame') return this.#ready()
    this.#ask('auth', { token: this.token }, ({ error }) => {
      if (error === undefined) return this.#ready()
      if (error.code === 'not_signed_in') this.token = undefined
      this.wire?.drop()
    })
  }

  #ready(): void {
    this.#isIn = true
    for (const follow of this.follows) this.#subscribe(follow)
    this.#pump()
  }

  #forget(): void {
    this.wire = undefined
    this.#isIn = false
    this.#pending.clear()
    for (const follow of this.follows) follow.state = 'off'
    this.posts.connected()
    this.posts.waiting = [...this.#underWay, ...this.posts.waiting]
    this.#underWay.clear()
  }

  #closed(code: number): void {
    this.#tries += 1
    this.#forget()
    if (code === 4401) this.token = undefined
    if (code === 4400) this.#world.history.complain('closed', `${this.user.name} with ${code}`)
    this.#retry()
  }

  // Frames.

  #ask(op: string, fields: object, answered: (reply: Reply) => void): void {
    this.#lastId += 1
    this.#pending.set(this.#lastId, answered)
    this.#world.history.operations += 1
    this.wire?.write(JSON.stringify({ id: this.#lastId, op, ...fields }))
  }

  #frame(text: string): void {
    const { history, scheduler } = this.#world
    history.sent(text, scheduler.now)
    const reply = JSON.parse(text) as Reply
    if (reply.error?.code === 'internal') history.complain('internal', text)
    if (reply.re !== undefined) {
      const answered = this.#pending.get(reply.re)
      this.#pending.delete(reply.re)
      if (answered === undefined) history.complain('stray', text)
      return answered?.(reply)
    }
    if (reply.heads) for (const [id, seq] of Object.entries(reply.heads)) this.#on(id)?.headIs(seq)
    if (reply.events) this.#on(reply.timeline!)?.take(reply.events, scheduler.now)
    if (reply.caughtUp !== undefined) this.#on(reply.timeline!)?.caughtUp(reply.caughtUp)
  }

  #on(timeline: TimelineId): Follow | undefined {
    const found = this.follows.find((one) => one.timeline === timeline)
    if (found?.state === 'on' || found?.state === 'leaving') return found
    this.#world.history.complain('stray', `${this.user.name} is told of ${timeline}`)
    return undefined
  }

  #subscribe(follow: Follow): void {
    if (!this.#isIn || !follow.wanted || follow.state !== 'off') return
    const { start } = follow
    this.#ask('subscribe', { ...follow.target, ...start }, () => {})
    this.#subscribing(this.#lastId, follow, start)
  }

  #subscribing(id: number, follow: Follow, start: Follow['start']): void {
    follow.state = 'asked'
    this.#pending.set(id, (reply) => {
      if (reply.ok) follow.began(start, reply.ok as unknown as SubscribeReply)
      else this.#subscribeLater(follow)
      if (!follow.wanted) this.unfollow(this.follows.indexOf(follow) / this.follows.length)
    })
  }

  #subscribeLater(follow: Follow): void {
    follow.state = 'off'
    const { scheduler } = this.#world
    scheduler.after(scheduler.below(RETRY_MS_MAX), () => this.#subscribe(follow), null)
  }

  // Posts.

  #pump(): void {
    while (this.#isIn && this.#underWay.size < POSTS_MAX) {
      const draft = this.posts.waiting.shift()
      if (draft === undefined) return
      this.#send(draft)
    }
  }

  #send(draft: Draft): void {
    if (this.#underWay.has(draft)) return
    this.#underWay.add(draft)
    const attempt: Posting = this.posts.sending(draft)
    const node = this.#node!
    const { key, text, target, timeline } = draft
    this.#ask('post', { ...target, text, key }, (reply) => {
      const id = reply.re!
      this.#underWay.delete(draft)
      if (reply.ok) node.noteAcked(timeline, reply.ok.seq)
      if (this.posts.answered(id, draft, attempt, reply)) this.#sendLater(draft)
      this.#pump()
    })
  }

  #sendLater(draft: Draft): void {
    const { scheduler } = this.#world
    const again = () => {
      this.posts.waiting.unshift(draft)
      this.#pump()
    }
    scheduler.after(scheduler.below(RETRY_MS_MAX), again, null)
  }

  // The end of a run in which all has become well.

  checkEnd(): void {
    const { history, disk } = this.#world
    const { name } = this.user
    const complain = (what: string) => history.complain('stuck', `${name}: ${what}`)
    if (this.posts.waiting.length + this.#underWay.size > 0) complain('posts are not answered')
    if (!this.#isIn) complain('is not connected')
    if (this.sessionId && this.#isIn && !disk.sessions.has(this.sessionId))
      history.complain('zombie', `${name} is connected though signed out`)
    for (const follow of this.follows) if (follow.wanted) follow.stays()
  }
}
