/**
 * A subscription over HTTP: one path, three forms. A WebSocket if the request asks to become one,
 * Server-Sent Events if it accepts them, else NDJSON, one event a line, which plain `curl -N`
 * shows.
 */

import type { Place } from '../chat/access.ts'
import type { Viewer } from '../chat/sessions.ts'
import { type Deferred, deferred } from '../clock.ts'
import { fieldProblem, problem } from '../errors.ts'
import type { Feed } from '../live/feed.ts'
import { cursorId, eventStreamFormat, type Format, linesFormat } from '../live/format.ts'
import { Reader } from '../live/reader.ts'
import type { Slice } from '../live/slice.ts'
import type { LiveTimeline } from '../live/timeline.ts'
import type { Seq } from '../types.ts'
import type { Connection, EndCause } from './connections.ts'
import type { Api, Call, SubscribeOperation } from './operation.ts'
import type { Peer } from './peer.ts'
import type { Responder } from './respond.ts'
import { DEFLATE_PROTOCOL } from './socket.ts'

/** Text that may wait for a reader before it is given no more. */
const WAITING_CHARS = 262_144
/** Of RFC 6455. */
const SOCKET_VERSION = '13'
/** How long an `EventSource` waits before it comes back, in milliseconds. */
const RETRY_MS = 2_000

interface StartQuery {
  after?: Seq | undefined
  epoch?: string | undefined
}

interface Subscribing {
  call: Call
  operation: SubscribeOperation
  peer: Peer
  responder: Responder
  wantsSocket: boolean
}

export async function subscribeOverHttp(given: Subscribing): Promise<Response | undefined> {
  const { call, operation, peer, responder, wantsSocket } = given
  const place = await operation.place(call)
  const start = startOf(call)
  if (wantsSocket) checkVersion(call.headers)
  const { connections, chat } = call
  connections.admit()
  if (wantsSocket) {
    const deflated = wantsDeflated(call.headers)
    // Known before the client hears that it is connected: what is posted from then on comes to it.
    const after = start.after ?? (await chat.messages.head(place))
    const subscription = { place, ...start, after }
    if (peer.upgrade({ viewer: call.viewer, deflated, subscription })) return undefined
    throw problem('websocket_bad_handshake')
  }
  const sse = call.headers.get('accept')?.includes('text/event-stream') ?? false
  const stream = new StreamConnection(
    call.viewer,
    sse ? new EventStreamWords(place, chat.epoch) : new LinesWords(place, chat.epoch),
    call,
  )
  stream.onEnd = (cause) => connections.remove(stream, cause)
  connections.add(stream)
  let recovered: boolean
  try {
    const feed = await chat.messages.follow(place, start, stream)
    stream.start(feed)
    recovered = feed.recovered
  } catch (error) {
    stream.end('failed')
    throw error
  }
  peer.keepOpen()
  return responder.stream(stream.body, sse ? 200 : 202, {
    'Content-Type': sse ? 'text/event-stream' : 'application/x-ndjson',
    'Parley-Epoch': chat.epoch,
    ...(!recovered && { 'Parley-Recovered': 'false' }),
  })
}

/**
 * Throws `upgrade_required` with the one version that is spoken; the runtime would leave the
 * answer bare.
 */
export function checkVersion(headers: Headers): void {
  if (headers.get('sec-websocket-version') === SOCKET_VERSION) return
  throw problem('upgrade_required', {
    detail: `Only version ${SOCKET_VERSION} of the WebSocket protocol is spoken.`,
    headers: {
      Upgrade: 'websocket',
      Connection: 'Upgrade',
      'Sec-WebSocket-Version': SOCKET_VERSION,
    },
  })
}

/** Whether the handshake offers our subprotocol for deflated frames. */
export function wantsDeflated(headers: Headers): boolean {
  const offered = headers.get('sec-websocket-protocol')
  return offered?.split(',').some((one) => one.trim() === DEFLATE_PROTOCOL) ?? false
}

/** `?after=` or, from a browser that comes back, `Last-Event-ID`, which knows more. */
function startOf(call: Call): StartQuery {
  const last = call.headers.get('last-event-id')
  if (last === null || last === '') return call.query as StartQuery
  const [, epoch, seq] = /^([\w-]{1,64}):(\d{1,16})$/.exec(last) ?? []
  if (epoch === undefined || Number(seq) > Number.MAX_SAFE_INTEGER)
    throw fieldProblem('lastEventId', 'invalid', 'It must be an id from our stream.')
  return { after: Number(seq), epoch }
}

/** What a form of stream says besides events. */
interface Words {
  readonly transport: Connection['transport']
  readonly format: Format
  /** The first bytes; the runtime sends no headers before there are any. */
  opening(feed: Feed): string
  caughtUp(seq: Seq): string
  heartbeat: string
}

class EventStreamWords implements Words {
  readonly transport = 'sse'
  readonly format: Format
  readonly heartbeat = ': still here\n\n'
  readonly #epoch: string

  constructor(place: Place, epoch: string) {
    this.format = eventStreamFormat(place.label, epoch)
    this.#epoch = epoch
  }

  /** An `id:` without data gives the browser a cursor before the first event. */
  opening({ recovered, head }: Feed): string {
    const retry = `retry: ${RETRY_MS}\n`
    if (recovered) return `${retry}: head ${head}\n\n`
    const told = JSON.stringify({ recovered, epoch: this.#epoch, head })
    return `${retry}id: ${cursorId(this.#epoch, head)}\nevent: reset\ndata: ${told}\n\n`
  }

  caughtUp(seq: Seq): string {
    return `id: ${cursorId(this.#epoch, seq)}\n: caught up\n\n`
  }
}

/** White space before a line keeps it valid JSON, so one space serves as opening and heartbeat. */
class LinesWords implements Words {
  readonly transport = 'ndjson'
  readonly format: Format
  readonly heartbeat = ' '
  readonly #epoch: string

  constructor(place: Place, epoch: string) {
    this.format = linesFormat(place.label)
    this.#epoch = epoch
  }

  opening({ recovered, head }: Feed): string {
    if (recovered) return ' '
    return `${JSON.stringify({ type: 'reset', recovered, epoch: this.#epoch, head })}\n`
  }

  caughtUp(): string {
    return ''
  }
}

class StreamConnection extends Reader implements Connection {
  readonly viewer: Viewer
  readonly body: ReadableStream<string>
  /** Told once; without a cause the client itself has gone. */
  onEnd: (cause?: EndCause) => void = () => {}
  readonly #words: Words
  readonly #api: Api
  #controller!: ReadableStreamDefaultController<string>
  #timeline: LiveTimeline | undefined
  #drained: Deferred<void> | undefined
  #stalledSince: number | undefined
  #ended = false

  constructor(viewer: Viewer, words: Words, api: Api) {
    super()
    this.viewer = viewer
    this.#words = words
    this.#api = api
    this.body = new ReadableStream<string>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => this.#resume(),
        cancel: () => this.#finish(),
      },
      { highWaterMark: WAITING_CHARS, size: (chunk = '') => chunk.length },
    )
  }

  get transport(): Connection['transport'] {
    return this.#words.transport
  }

  get format(): Format {
    return this.#words.format
  }

  get ready(): boolean {
    return this.#waiting() < WAITING_CHARS
  }

  get ended(): boolean {
    return this.#ended
  }

  start(feed: Feed): void {
    // The client, or the session, may have gone while the feed was being opened.
    if (this.#ended) return feed.close()
    this.#timeline = feed.timeline
    this.#say(this.#words.opening(feed))
    this.#api.chat.hub.start(feed)
  }

  /** The runtime never refuses any text and would keep it all, so it is asked before each slice. */
  write(slices: readonly Slice[]): number {
    if (this.#ended) return slices.length
    let taken = 0
    // Streams are sent as text only.
    do this.#say(slices[taken++]!.frame(this.format) as string)
    while (taken < slices.length && this.ready)
    return taken
  }

  #say(text: string): void {
    if (!this.#ended) this.#controller.enqueue(text)
  }

  /** Characters that the runtime has not taken yet. */
  #waiting(): number {
    return WAITING_CHARS - (this.#controller.desiredSize ?? WAITING_CHARS)
  }

  drained(): Promise<void> {
    if (this.#ended || this.ready) return Promise.resolve()
    this.#drained ??= deferred()
    return this.#drained.promise
  }

  caughtUp(_: string, seq: Seq): void {
    const words = this.#words.caughtUp(seq)
    if (words !== '') this.#say(words)
  }

  failed(): void {
    this.end('failed')
  }

  beat(): void {
    this.#say(this.#words.heartbeat)
  }

  sweep(now: number): void {
    const { slowReaderMs, slowReaderBytesMax } = this.#api.config
    if (this.ready) this.#stalledSince = undefined
    else this.#stalledSince ??= now
    const stuck = now - (this.#stalledSince ?? now) > slowReaderMs
    if (stuck || this.staysBehind(slowReaderBytesMax)) this.end('too_slow')
  }

  /** A stream has no close code: the client sees the end and comes back, and then hears why. */
  end(cause: EndCause): void {
    if (this.#ended) return
    this.#finish(cause)
    if (cause === 'too_slow') this.#controller.error(new DOMException('too slow', 'AbortError'))
    else this.#controller.close()
  }

  #resume(): void {
    this.#drained?.resolve()
    this.#drained = undefined
  }

  #finish(cause?: EndCause): void {
    if (this.#ended) return
    this.#ended = true
    this.due = undefined
    if (this.#timeline !== undefined) this.#api.chat.hub.unsubscribe(this.#timeline, this)
    this.#resume()
    this.onEnd(cause)
  }
}
