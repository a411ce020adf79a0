/** One WebSocket: operations in, replies and events out. `frames.ts` says in which order. */
import type { Place, Target } from '../chat/access.ts'
import type { Draft } from '../chat/messages.ts'
import type { Viewer } from '../chat/sessions.ts'
import { type Clock, type Deferred, deferred } from '../clock.ts'
import { problem } from '../errors.ts'
import { isoTime } from '../events.ts'
import { type Format, socketFormat } from '../live/format.ts'
import type { Reader } from '../live/reader.ts'
import type { Turns } from '../live/turns.ts'
import type { Metrics } from '../metrics.ts'
import type { Seq, TimelineId } from '../types.ts'
import { getViewer } from './auth.ts'
import { CLOSE } from './close-codes.ts'
import type { Connection, EndCause } from './connections.ts'
import { type Frame, type FrameHandler, FrameQueue } from './frames.ts'
import type { FrameBudget } from './limits.ts'
import type { Api } from './operation.ts'
import type { SocketOperations } from './operations.ts'
import type { Responder } from './respond.ts'
import { check } from './schema.ts'
import { type Start, Subscriptions } from './subscriptions.ts'
import { userView } from './views.ts'

/** The runtime's socket. */
export interface RawSocket {
  /**
   * Bytes sent; −1 if they wait because the other side reads too slowly; 0 if they were dropped.
   */
  send(text: string): number
  /** Bytes that wait. */
  buffered(): number
  ping(): void
  close(code: number, reason: string): void
  /** Cuts it, without a closing handshake. */
  terminate(): void
}

/** What the handshake has already settled. */
export interface SocketStart {
  viewer?: Viewer
  /** On a subscribe path: subscribed from the first moment. */
  subscription?: Start & { place: Place }
}

export interface SocketOptions extends Api {
  operations: SocketOperations
  responder: Responder
  clock: Clock
  metrics: Metrics
}

/** The reply's id on a subscribe path, where nobody asked by frame. */
const UNASKED = 0

export class SocketConnection implements Connection, Reader, FrameHandler {
  readonly transport = 'websocket'
  readonly format: Format = socketFormat
  viewer: Viewer | undefined
  readonly #options: SocketOptions
  readonly #socket: RawSocket
  readonly #openedAt: number
  readonly #budget: FrameBudget
  /** Made with the first one. */
  #subscriptions: Subscriptions | undefined
  readonly #queue: FrameQueue
  #drained: Deferred<void> | undefined
  #stalledSince = Number.POSITIVE_INFINITY
  #endedAt: number | undefined
  #cause: EndCause | undefined
  #answered = true

  constructor(options: SocketOptions, socket: RawSocket, viewer?: Viewer) {
    this.#options = options
    this.#socket = socket
    this.#openedAt = options.clock.monotonicMs()
    this.viewer = viewer
    this.#budget = options.limits.frames()
    this.#queue = new FrameQueue(this, options.config.socketQueueMax)
  }

  /** Registers the connection; then, on a subscribe path, subscribes. */
  opened({ subscription }: SocketStart): void {
    try {
      this.#options.connections.add(this)
    } catch {
      this.end('too_many')
      // Nobody keeps time for it: it is not in the registry.
      setTimeout(() => this.#socket.terminate(), this.#options.config.closeGraceMs)
      return
    }
    // Signed out while the handshake was under way.
    if (this.viewer && !this.#options.chat.sessions.isLive(this.viewer))
      return this.end('signed_out')
    if (subscription === undefined) return
    this.#follow(UNASKED, subscription.place, subscription).catch((error) => {
      this.#refuse(UNASKED, error)
    })
  }

  /** The socket is gone, whoever closed it. */
  closed(): void {
    this.#stop()
    this.#options.connections.remove(this, this.#cause)
  }

  end(cause: EndCause): void {
    if (this.#endedAt !== undefined) return
    this.#cause = cause
    this.#stop()
    this.#socket.close(...CLOSE[cause])
  }

  #stop(): void {
    if (this.#endedAt !== undefined) return
    this.#endedAt = this.#options.clock.monotonicMs()
    this.#queue.stop()
    this.#subscriptions?.closeAll()
    this.writable()
  }

  /** A frame, as text; undefined stands for a binary one. */
  received(text: string | undefined): void {
    if (this.#endedAt !== undefined) return
    this.#answered = true
    if (text === undefined) return this.end('bad_frame')
    if (!this.#budget.take()) return this.end('too_busy')
    if (!this.#queue.push(text)) this.end('too_busy')
  }

  malformed(): void {
    this.end('bad_frame')
  }

  ponged(): void {
    this.#answered = true
  }

  /** The runtime has sent what waited. */
  writable(): void {
    this.#stalledSince = Number.POSITIVE_INFINITY
    this.#drained?.resolve()
    this.#drained = undefined
  }

  async operate(frame: Frame): Promise<void> {
    try {
      if (this.#mayAct(frame)) await this.#operate(frame)
    } catch (error) {
      this.#refuse(frame.id, error)
    }
  }

  /** Ends the connection if it is not, or no longer, signed in. */
  #mayAct({ op }: Frame): boolean {
    const { viewer } = this
    if (viewer === undefined && op !== 'auth') this.end('not_signed_in')
    else if (viewer && !this.#options.chat.sessions.use(viewer)) this.end('signed_out')
    return this.#endedAt === undefined
  }

  #operate(frame: Frame): void | Promise<void> {
    switch (frame.op) {
      case 'auth':
        return this.#auth(frame)
      case 'subscribe':
        return this.#subscribe(frame)
      case 'unsubscribe':
        return this.#unsubscribe(frame)
      case 'ping':
        check(this.#options.operations.ping.frame, frame.rest)
        return this.#reply(frame.id, '{}')
      default:
        throw problem('unknown_op', { detail: `\`${frame.op.slice(0, 64)}\` is not known.` })
    }
  }

  async #auth({ id, rest }: Frame): Promise<void> {
    const { chat, connections, operations } = this.#options
    const { token } = check(operations.auth.frame, rest)
    if (this.viewer !== undefined) throw problem('already_signed_in')
    let viewer: Viewer
    try {
      viewer = await getViewer(chat, { token, fromCookie: false })
    } catch (error) {
      this.#refuse(id, error)
      return this.end('not_signed_in')
    }
    if (this.#endedAt !== undefined) return
    try {
      connections.signedIn(this, viewer)
    } catch (error) {
      this.#refuse(id, error)
      return this.end('too_many')
    }
    this.viewer = viewer
    this.#reply(id, JSON.stringify({ user: userView(viewer.user) }))
  }

  async #subscribe({ id, rest }: Frame): Promise<void> {
    const frame = check(this.#options.operations.subscribe.frame, rest)
    const place = await this.#place(targetOf(frame))
    await this.#follow(id, place, frame)
  }

  async #follow(id: number, place: Place, start: Start): Promise<void> {
    this.#subscriptions ??= new Subscriptions(this.#options, this)
    const feed = await this.#subscriptions.add(place, start)
    if (feed === undefined) return
    const { head, recovered } = feed
    const told = { timeline: place.timeline, epoch: this.#options.chat.epoch, head, recovered }
    this.#reply(id, JSON.stringify(told))
    feed.start()
  }

  #unsubscribe({ id, rest }: Frame): void {
    const { timeline } = check(this.#options.operations.unsubscribe.frame, rest)
    if (this.#subscriptions === undefined) throw problem('not_subscribed')
    this.#subscriptions.remove(timeline)
    this.#reply(id, '{}')
  }

  preparePost(frame: Frame): (() => Promise<void>) | Promise<() => Promise<void>> {
    const { id, rest } = frame
    const refused = (error: unknown) => async () => this.#refuse(id, error)
    if (!this.#mayAct(frame)) return async () => {}
    try {
      const { text, key, ...names } = check(this.#options.operations.post.frame, rest)
      this.#options.limits.take('posts', this.viewer!.user.id)
      const place = this.#place(targetOf(names))
      const post = (at: Place) => () => this.#post(id, at, { text, key })
      return place instanceof Promise ? place.then(post, refused) : post(place)
    } catch (error) {
      return refused(error)
    }
  }

  async #post(id: number, place: Place, draft: Draft): Promise<void> {
    try {
      const posted = await this.#options.chat.messages.post(place, draft)
      const { timeline, seq, at, replayed } = posted
      const again = replayed ? ',"replayed":true' : ''
      this.#reply(id, `{"timeline":"${timeline}","seq":${seq},"at":"${isoTime(at)}"${again}}`)
    } catch (error) {
      this.#refuse(id, error)
    }
  }

  #place(target: Target): Place | Promise<Place> {
    return this.#options.chat.access.place(this.viewer!.user, target)
  }

  #reply(id: number, ok: string): void {
    this.write(`{"re":${id},"ok":${ok}}`)
  }

  #refuse(id: number, error: unknown): void {
    const known = this.#options.responder.problem(error)
    this.write(`{"re":${id},"error":${JSON.stringify(known)}}`)
  }

  write(frame: string): boolean {
    if (this.#endedAt !== undefined) return true
    const sent = this.#socket.send(frame)
    if (sent > 0) return true
    if (sent === 0 || this.#socket.buffered() > this.#options.config.slowReaderBytesMax)
      this.end('too_slow')
    return false
  }

  get turns(): Turns | undefined {
    return this.#subscriptions?.turns
  }

  drained(): Promise<void> {
    if (this.#endedAt !== undefined || this.#socket.buffered() === 0) return Promise.resolve()
    this.#drained ??= deferred()
    return this.#drained.promise
  }

  caughtUp(timeline: TimelineId, seq: Seq): void {
    this.write(`{"timeline":"${timeline}","caughtUp":${seq}}`)
  }

  failed(): void {
    this.end('failed')
  }

  /**
   * Our own sign of life: the runtime's idle timer is re-armed by whatever we send to a dead peer.
   */
  beat(): void {
    if (this.#endedAt !== undefined) return
    if (!this.#answered) {
      this.end('dead')
      return this.#socket.terminate()
    }
    this.#answered = false
    this.#socket.ping()
    const heads = this.#subscriptions?.movedHeads()
    if (heads !== undefined) this.write(JSON.stringify({ heads }))
  }

  sweep(now: number): void {
    const { config } = this.#options
    if (this.#endedAt !== undefined) {
      if (now - this.#endedAt > config.closeGraceMs) this.#socket.terminate()
      return
    }
    if (this.viewer === undefined && now - this.#openedAt > config.authTimeoutMs)
      return this.end('no_auth_in_time')
    // A ping may push the rest of a backfill's frame into the kernel, where it is as unread as
    // before.
    const waiting = this.#drained !== undefined || this.#socket.buffered() > 0
    if (!waiting) this.#stalledSince = Number.POSITIVE_INFINITY
    else this.#stalledSince = Math.min(this.#stalledSince, now)
    if (now - this.#stalledSince > config.slowReaderMs) this.end('too_slow')
  }
}

/** Exactly one of the three names. */
function targetOf(names: {
  room?: string | undefined
  user?: string | undefined
  inbox?: true | undefined
}): Target {
  const { room, user, inbox } = names
  const given = [room, user, inbox].filter((one) => one !== undefined)
  if (given.length !== 1)
    throw problem('target_unclear', { detail: `${given.length} of them are given.` })
  if (room !== undefined) return { room }
  return user !== undefined ? { user } : { inbox: true }
}
