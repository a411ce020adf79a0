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
import type { Reader } from '../live/reader.ts'
import type { Seq } from '../types.ts'
import type { Connection, EndCause } from './connections.ts'
import type { Call, SubscribeOperation } from './operation.ts'
import type { Peer } from './peer.ts'
import type { Responder } from './respond.ts'

/** Text that may wait for a reader before a backfill pauses. */
const BACKFILL_CHARS = 262_144
/**
 * A stream passes its text on only between turns, so one big flush may go over the limit for a
 * moment even if the reader is fast. It may go over for a sweep, and never by more than this
 * factor.
 */
const BURST = 4
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
  if (wantsSocket) {
    if (peer.upgrade({ viewer: call.viewer, subscription: { place, ...start } })) return undefined
    throw problem('websocket_bad_handshake')
  }
  const { connections, chat, config } = call
  const sse = call.headers.get('accept')?.includes('text/event-stream') ?? false
  const stream = new StreamConnection(
    call.viewer,
    sse ? new EventStreamWords(place, chat.epoch) : new LinesWords(place, chat.epoch),
    { bytesMax: config.slowReaderBytesMax, stallMsMax: config.slowReaderMs },
  )
  stream.onEnd = (cause) => connections.remove(stream, cause)
  connections.add(stream)
  try {
    stream.start(await chat.messages.follow(place, start, stream))
  } catch (error) {
    stream.end('failed')
    throw error
  }
  peer.keepOpen()
  return responder.stream(stream.body, sse ? 200 : 202, {
    'Content-Type': sse ? 'text/event-stream' : 'application/x-ndjson',
    'Parley-Epoch': chat.epoch,
    ...(!stream.recovered && { 'Parley-Recovered': 'false' }),
  })
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

class StreamConnection implements Connection, Reader {
  readonly transport: Connection['transport']
  readonly viewer: Viewer
  readonly body: ReadableStream<string>
  /** Told once; without a cause the client itself has gone. */
  onEnd: (cause?: EndCause) => void = () => {}
  readonly #words: Words
  readonly #limits: { bytesMax: number; stallMsMax: number }
  #controller!: ReadableStreamDefaultController<string>
  #feed: Feed | undefined
  #drained: Deferred<void> | undefined
  #stalledSince: number | undefined
  /** Too much was waiting at the last sweep. */
  #over = false
  #ended = false

  constructor(viewer: Viewer, words: Words, limits: { bytesMax: number; stallMsMax: number }) {
    this.viewer = viewer
    this.transport = words.transport
    this.#words = words
    this.#limits = limits
    this.body = new ReadableStream<string>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => this.#resume(),
        cancel: () => this.#finish(),
      },
      { highWaterMark: BACKFILL_CHARS, size: (chunk = '') => chunk.length },
    )
  }

  get format(): Format {
    return this.#words.format
  }

  get recovered(): boolean {
    return this.#feed?.recovered ?? true
  }

  start(feed: Feed): void {
    // The client, or the session, may have gone while the feed was being opened.
    if (this.#ended) return feed.close()
    this.#feed = feed
    this.write(this.#words.opening(feed))
    feed.start()
  }

  write(frame: string): boolean {
    if (this.#ended) return true
    this.#controller.enqueue(frame)
    // Unread text grows without bound otherwise: the runtime never refuses any.
    if (this.#waiting() > this.#limits.bytesMax * BURST) this.end('too_slow')
    return this.#waiting() < BACKFILL_CHARS
  }

  /** Characters that the runtime has not taken yet. */
  #waiting(): number {
    return BACKFILL_CHARS - (this.#controller.desiredSize ?? BACKFILL_CHARS)
  }

  drained(): Promise<void> {
    if (this.#ended || this.#waiting() < BACKFILL_CHARS) return Promise.resolve()
    this.#drained ??= deferred()
    return this.#drained.promise
  }

  caughtUp(_: string, seq: Seq): void {
    const words = this.#words.caughtUp(seq)
    if (words !== '') this.write(words)
  }

  failed(): void {
    this.end('failed')
  }

  beat(): void {
    this.write(this.#words.heartbeat)
  }

  sweep(now: number): void {
    const waiting = this.#waiting()
    if (waiting < BACKFILL_CHARS) this.#stalledSince = undefined
    else this.#stalledSince ??= now
    const wasOver = this.#over
    this.#over = waiting > this.#limits.bytesMax
    const stalled = now - (this.#stalledSince ?? now) > this.#limits.stallMsMax
    if (stalled || (wasOver && this.#over)) this.end('too_slow')
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
    this.#feed?.close()
    this.#resume()
    this.onEnd(cause)
  }
}
