/** One WebSocket: operations in, replies and events out. `frames.ts` says in which order. */
import type { Place, Target } from '../chat/access.ts'
import type { Draft } from '../chat/messages.ts'
import type { Recorded } from '../chat/record.ts'
import type { Viewer } from '../chat/sessions.ts'
import type { Clock } from '../clock.ts'
import { problem } from '../errors.ts'
import { isoTime } from '../events.ts'
import type { Feed } from '../live/feed.ts'
import { deflatedFormat, socketFormat } from '../live/format.ts'
import type { Metrics } from '../metrics.ts'
import { getViewer } from './auth.ts'
import { CLOSE } from './close-codes.ts'
import type { Connection, EndCause } from './connections.ts'
import { type Frame, type FrameHandler, FrameQueue, type Post } from './frames.ts'
import { CONTROL_FRAME_BYTES, type Framed, frameBytesOf } from './framing.ts'
import type { Api } from './operation.ts'
import type { SocketOperations } from './operations.ts'
import type { Outbox } from './outbox.ts'
import type { Responder } from './respond.ts'
import { check } from './schema.ts'
import { type RawSocket, SocketOutput } from './socket-output.ts'
import { type Start, Subscriptions } from './subscriptions.ts'
import { userView } from './views.ts'

/** What the handshake has already settled. */
export interface SocketStart {
  viewer?: Viewer
  /** Frames of events come deflated. */
  deflated?: boolean
  /** On a subscribe path: subscribed from the first moment. */
  subscription?: Start & { place: Place }
}

export interface SocketOptions extends Api {
  operations: SocketOperations
  responder: Responder
  clock: Clock
  metrics: Metrics
  outbox: Outbox
}

/** The subprotocol (`Sec-WebSocket-Protocol`) by which a client asks for deflated frames. */
export const DEFLATE_PROTOCOL = 'parley.deflate'

/** The reply's id on a subscribe path, where nobody asked by frame. */
const UNASKED = 0

/** One object for each connection, small while it is idle: what is not needed then is not there. */
export class SocketConnection extends SocketOutput implements Connection, FrameHandler, Framed {
  viewer: Viewer | undefined
  framedBytes = 0
  readonly #options: SocketOptions
  readonly #openedAt: number
  /** Of the frames it may send; see `Budget`. */
  #budgetFullAt = 0
  /** Made with the first one. */
  #subscriptions: Subscriptions | undefined
  /** There while frames wait or are being handled. */
  #queue: FrameQueue | undefined
  #endedAt: number | undefined
  #cause: EndCause | undefined
  #answered = true

  constructor(options: SocketOptions, socket: RawSocket, { viewer, deflated }: SocketStart) {
    super(socket, deflated ? deflatedFormat : socketFormat, options.outbox, options.config)
    this.#options = options
    this.#openedAt = options.clock.monotonicMs()
    this.viewer = viewer
  }

  get transport(): 'websocket' {
    return 'websocket'
  }

  get ended(): boolean {
    return this.#endedAt !== undefined
  }

  /** Registers the connection; then, on a subscribe path, subscribes. */
  opened({ subscription }: SocketStart): void {
    try {
      this.#options.connections.add(this)
    } catch {
      this.end('too_many')
      // Nobody keeps time for it: it is not in the registry.
      setTimeout(() => this.socket.terminate(), this.#options.config.closeGraceMs)
      return
    }
    // Signed out while the handshake was under way.
    if (this.viewer && !this.#options.chat.sessions.isLive(this.viewer))
      return this.end('signed_out')
    if (subscription === undefined) return
    void this.#answering(UNASKED, () => this.#follow(UNASKED, subscription.place, subscription))
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
    this.socket.close(...CLOSE[cause])
  }

  #stop(): void {
    if (this.#endedAt !== undefined) return
    this.sendGathered()
    this.#endedAt = this.#options.clock.monotonicMs()
    this.#queue?.stop()
    this.#subscriptions?.closeAll()
    this.due = undefined
    this.wake()
  }

  /** A frame, as text; undefined stands for a binary one. */
  received(text: string | undefined): void {
    if (this.#endedAt !== undefined) return
    this.#answered = true
    if (text === undefined) return this.end('bad_frame')
    if (!this.#spendFrame(frameBytesOf(text))) return
    this.#queue ??= new FrameQueue(this, this.#options.config.socketQueueMax)
    if (!this.#queue.push(text)) this.end('too_busy')
  }

  /** False if it has sent too many frames, and is ended. */
  #spendFrame(bytes: number): boolean {
    this.framedBytes += bytes
    const fullAt = this.#options.limits.frames.take(this.#budgetFullAt)
    if (fullAt === undefined) this.end('too_busy')
    else this.#budgetFullAt = fullAt
    return fullAt !== undefined
  }

  overframed(): void {
    this.end('too_busy')
  }

  idle(): void {
    this.#queue = undefined
  }

  malformed(): void {
    this.end('bad_frame')
  }

  /** A ping or a pong: a sign of life, and a frame like any other. */
  controlled(): void {
    if (this.#endedAt === undefined && this.#spendFrame(CONTROL_FRAME_BYTES)) this.#answered = true
  }

  operate(frame: Frame): void | Promise<void> {
    return this.#answering(frame.id, () => {
      if (this.#mayAct(frame)) return this.#operate(frame)
    })
  }

  /** Whatever goes wrong is the answer. */
  #answering(id: number, work: () => void | Promise<void>): void | Promise<void> {
    try {
      const working = work()
      if (working instanceof Promise) return working.catch((error) => this.#refuse(id, error))
    } catch (error) {
      this.#refuse(id, error)
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

  #subscribe({ id, rest }: Frame): void | Promise<void> {
    const frame = check(this.#options.operations.subscribe.frame, rest)
    const place = this.#place(targetOf(frame))
    if (place instanceof Promise) return place.then((found) => this.#follow(id, found, frame))
    return this.#follow(id, place, frame)
  }

  #follow(id: number, place: Place, start: Start): void | Promise<void> {
    // It may have ended while the place was looked up, and nobody would end what begins after that.
    if (this.#endedAt !== undefined) return
    this.#subscriptions ??= new Subscriptions(this.#options, this)
    const feed = this.#subscriptions.add(place, start)
    if (feed instanceof Promise) return feed.then((late) => this.#began(id, late))
    this.#began(id, feed)
  }

  #began(id: number, feed: Feed | undefined): void {
    if (feed === undefined) return
    const { head, recovered, timeline } = feed
    const { chat } = this.#options
    const place = `"timeline":"${timeline.id}","epoch":"${chat.epoch}"`
    this.#reply(id, `{${place},"head":${head},"recovered":${recovered}}`)
    chat.hub.start(feed)
  }

  #unsubscribe({ id, rest }: Frame): void {
    const { timeline } = check(this.#options.operations.unsubscribe.frame, rest)
    if (this.#subscriptions === undefined) throw problem('not_subscribed')
    this.#subscriptions.remove(timeline)
    this.#reply(id, '{}')
  }

  preparePost(frame: Frame): Post | Promise<Post> {
    const { id, rest } = frame
    const refused =
      (error: unknown): Post =>
      (answered) => {
        this.#refuse(id, error)
        answered()
      }
    if (!this.#mayAct(frame)) return (answered) => answered()
    try {
      const { text, key, ...names } = check(this.#options.operations.post.frame, rest)
      this.#options.limits.take('posts', this.viewer!.user.id)
      const place = this.#place(targetOf(names))
      const post = (at: Place) => this.#post(id, at, { text, key })
      return place instanceof Promise ? place.then(post, refused) : post(place)
    } catch (error) {
      return refused(error)
    }
  }

  #post(id: number, place: Place, draft: Draft): Post {
    return (answered) => {
      try {
        this.#options.chat.messages.submit(place, draft, (error, recorded) => {
          if (recorded === undefined) this.#refuse(id, error)
          else this.#posted(id, place, recorded)
          answered()
        })
      } catch (error) {
        this.#refuse(id, error)
        answered()
      }
    }
  }

  #posted(id: number, { timeline }: Place, { event, replayed }: Recorded): void {
    const { seq, at } = event
    const again = replayed ? ',"replayed":true' : ''
    this.#reply(id, `{"timeline":"${timeline}","seq":${seq},"at":"${isoTime(at)}"${again}}`)
  }

  #place(target: Target): Place | Promise<Place> {
    return this.#options.chat.access.place(this.viewer!.user, target)
  }

  #reply(id: number, ok: string): void {
    this.gather(`{"re":${id},"ok":${ok}}`)
  }

  #refuse(id: number, error: unknown): void {
    const known = this.#options.responder.problem(error)
    this.gather(`{"re":${id},"error":${JSON.stringify(known)}}`)
  }

  failed(): void {
    this.end('failed')
  }

  /**
   * Our own sign of life: the runtime's idle timer is re-armed by whatever we send to a dead peer.
   */
  beat(beforeLastMs: number): void {
    if (this.#endedAt !== undefined) return
    if (!this.#answered) {
      this.end('dead')
      return this.socket.terminate()
    }
    this.#answered = false
    this.socket.ping()
    // Two beats back: what could not be told last time is told now.
    const heads = this.#subscriptions?.headsMovedSince(beforeLastMs)
    if (heads !== undefined) this.gather(JSON.stringify({ heads }))
  }

  sweep(now: number): void {
    const { config } = this.#options
    if (this.#endedAt !== undefined) {
      if (now - this.#endedAt > config.closeGraceMs) this.socket.terminate()
      return
    }
    if (this.viewer === undefined && now - this.#openedAt > config.authTimeoutMs)
      return this.end('no_auth_in_time')
    if (this.isTooSlow(now)) this.end('too_slow')
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
