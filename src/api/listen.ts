/**
 * The runtime's server: the only file besides `main.ts` and the SQLite backend that knows Bun. It
 * turns Bun's sockets and requests into the plain ones the rest of `api` speaks of, and works
 * around what Bun 1.4.5 leaves to us; each workaround says which trap it is for.
 */
import type { Server, ServerWebSocket } from 'bun'
import type { Config } from '../config.ts'
import { problem } from '../errors.ts'
import { Framing } from './framing.ts'
import { type HttpHandler, splitUrl } from './http.ts'
import { lengthenListenQueues } from './listen-backlog.ts'
import { Outbox } from './outbox.ts'
import type { Peer } from './peer.ts'
import type { Responder } from './respond.ts'
import {
  DEFLATE_PROTOCOL,
  SocketConnection,
  type SocketOptions,
  type SocketStart,
} from './socket.ts'
import type { Address } from './socket-files.ts'

/**
 * Time that a request may take to arrive and to be answered, unless it is told to be patient; Bun
 * cuts it up to four seconds later. Longer than the wait for the database (`storeTimeoutMs`).
 */
const IDLE_S = 14
/** What Bun itself refuses, bare. Our own limit is below it and answers with a problem. */
const BODY_LIMITS = 4
/** Above our own limit for slow readers, which closes with a code; this one cuts. */
const BACKPRESSURE_LIMITS = 4

/** What the handshake has settled, until the socket is open. */
interface Handshake {
  start: SocketStart
  peer: Address | null
}

interface SocketData {
  /** Of ten thousand idle sockets nothing is kept. */
  handshake: Handshake | undefined
  connection: SocketConnection | undefined
  /** For `Framing`. */
  file: number | undefined
}

export interface Listener {
  /** For people: `http://127.0.0.1:8080`. */
  readonly url: string
  /** Takes no more connections; requests under way go on. */
  close(): void
  /** Cuts what is left. */
  stop(): Promise<void>
  /** Requests under way. */
  pending(): number
}

export interface ListenOptions {
  config: Config
  handle: HttpHandler
  sockets: Omit<SocketOptions, 'outbox'>
  responder: Responder
  /** The paths without parameters, which are answered only if they are asked for as they stand. */
  plainPaths: readonly string[]
}

/** Throws a sentence for people if the address cannot be listened on. */
export function listen(options: ListenOptions): Listener {
  const { config, responder } = options
  const sockets: SocketOptions = { ...options.sockets, outbox: new Outbox() }
  const framing = new Framing<SocketConnection>(config)
  const server = bound(config, () =>
    Bun.serve<SocketData>({
      hostname: config.host,
      port: config.port,
      // Left out, Bun shares the port outside of development: a second server would get half of it.
      reusePort: false,
      idleTimeout: IDLE_S,
      maxRequestBodySize: config.bodyBytesMax * BODY_LIMITS,
      development: false,
      ...answersByPath(options),
      error: (error) => responder.error(error),
      websocket: {
        // Deflate would run once for each receiver (trap 8).
        perMessageDeflate: false,
        maxPayloadLength: config.frameBytesMax,
        // Bun re-arms its idle timer with each send (trap 1), so ours does the work.
        idleTimeout: 0,
        sendPings: false,
        backpressureLimit: config.slowReaderBytesMax * BACKPRESSURE_LIMITS,
        closeOnBackpressureLimit: true,
        open: (socket) => opened(socket, sockets, framing),
        // Synchronous: async handlers run side by side (trap 3).
        message: ({ data }, message) =>
          data.connection!.received(typeof message === 'string' ? message : undefined),
        // Bun answers pings by itself; we only count them.
        ping: ({ data }) => data.connection!.controlled(),
        pong: ({ data }) => data.connection!.controlled(),
        drain: ({ data }) => data.connection!.writable(),
        close: ({ data }) => {
          if (data.file !== undefined) framing.remove(data.file)
          data.connection!.closed()
        },
      },
    }),
  )
  lengthenListenQueues()
  return {
    url: server.url.origin,
    close: () => void server.stop(),
    // Everything was told to close before: stop alone would wait for open sockets (trap 4).
    stop: async () => {
      framing.stop()
      void server.stop(true)
    },
    pending: () => server.pendingRequests,
  }
}

/**
 * Bun resolves dot segments and backslashes before we see the path (trap 7), but it routes by the
 * raw one. So a plain path that has come to `fetch` was written in another way, past the rule that
 * a proxy in front may have for it.
 */
function answersByPath({ handle, responder, plainPaths }: ListenOptions) {
  const refuse = (code: 'bad_path' | 'no_such_path') => () => responder.error(problem(code))
  const answer = (request: Request, self: Server<SocketData>) =>
    handle(request, new BunPeer(request, self)) as Promise<Response>
  const plain = new Set(plainPaths)
  const badPath = refuse('bad_path')
  return {
    routes: Object.fromEntries([
      ...DOTTED.map((path) => [path, badPath]),
      ...NOWHERE.map((path) => [path, refuse('no_such_path')]),
      ...plainPaths.map((path) => [path, answer]),
    ]),
    fetch: (request: Request, self: Server<SocketData>) =>
      plain.has(splitUrl(request.url).path) ? badPath() : answer(request, self),
  }
}

/** Paths with a dot segment at any depth that our own paths have, plain or percent-encoded. */
const DOTTED = ['..', '%2e%2e', '%2E%2E', '.%2e', '%2e.', '.%2E', '%2E.'].flatMap((dots) =>
  ['', '/:a', '/:a/:b', '/:a/:b/:c', '/:a/:b/:c/:d'].flatMap((before) => [
    `${before}/${dots}`,
    `${before}/${dots}/*`,
  ]),
)

/**
 * Paths that are longer than any of ours, or have an empty part: there is nothing, and with more
 * dots behind them they would come out as something.
 */
const NOWHERE = ['//*', '/:a//*', '/:a/:b//*', '/:a/:b/:c//*', '/:a/:b/:c/:d/*']

function bound(config: Config, serve: () => Server<SocketData>): Server<SocketData> {
  try {
    return serve()
  } catch (error) {
    const where = `${config.host}:${config.port}`
    throw new Error(
      `Cannot listen on ${where} (${(error as Error).message}). Stop what uses it, or choose ` +
        'another address with HOST and PORT; PORT=0 takes a free one.',
    )
  }
}

/** A class, because three closures for each request cost more than all of its routing. */
class BunPeer implements Peer {
  readonly #request: Request
  readonly #server: Server<SocketData>

  constructor(request: Request, server: Server<SocketData>) {
    this.#request = request
    this.#server = server
  }

  address(): string {
    return this.#server.requestIP(this.#request)?.address ?? 'unknown'
  }

  keepOpen(): void {
    this.#server.timeout(this.#request, 0)
  }

  upgrade(start: SocketStart): boolean {
    // Left alone, Bun agrees to whatever protocol is offered first.
    const headers = start.deflated ? { 'Sec-WebSocket-Protocol': DEFLATE_PROTOCOL } : {}
    const peer = this.#server.requestIP(this.#request)
    const data = { handshake: { start, peer }, connection: undefined, file: undefined }
    return this.#server.upgrade(this.#request, { data, headers })
  }
}

function opened(
  socket: ServerWebSocket<SocketData>,
  options: SocketOptions,
  framing: Framing<SocketConnection>,
): void {
  const { start, peer } = socket.data.handshake!
  const connection = new SocketConnection(options, socket, start)
  socket.data.handshake = undefined
  socket.data.connection = connection
  if (peer !== null) socket.data.file = framing.add(connection, peer)
  connection.opened(start)
}
