/** What an operation is, for the table in `operations.ts` and for everything mounted from it. */
import type { z } from 'zod'
import type { Place } from '../chat/access.ts'
import type { Chat } from '../chat/chat.ts'
import type { Viewer } from '../chat/sessions.ts'
import type { Config } from '../config.ts'
import type { ErrorCode } from '../errors.ts'
import type { Connections } from './connections.ts'
import type { Limits, RateName } from './limits.ts'
import type { RequestSchemas } from './schema.ts'

/** What handlers work with. One for the whole server. */
export interface Api {
  readonly chat: Chat
  readonly config: Config
  readonly limits: Limits
  readonly connections: Connections
}

export interface Reply {
  status: number
  /** JSON text, or whatever `Content-Type` in `headers` says. */
  body?: string | Uint8Array<ArrayBuffer>
  headers?: Record<string, string>
}

/** One request, with everything already checked. */
export interface Call<Query = unknown, Body = unknown> extends Api {
  readonly viewer: Viewer
  /** Path parameters by name. */
  readonly params: Readonly<Record<string, string>>
  readonly query: Query
  readonly body: Body
  /** The path as asked for, without its query. */
  readonly path: string
  /** Our origin as the client knows it, for absolute links. */
  readonly origin: string
  readonly address: string
  readonly headers: Headers
  /** Its `signal` fires when the client has gone; touching it costs 2 µs, so only some do. */
  readonly request: Request
}

interface Described {
  readonly name: string
  readonly summary: string
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** For example `/room/{roomId}/messages`. */
  readonly path: string
  /** Whether one must be signed in; if not, `Call.viewer` must not be touched. */
  readonly auth: boolean
  readonly query?: z.ZodObject
  readonly body?: z.ZodObject
  readonly errors: readonly ErrorCode[]
  /** What it counts against; nothing by default for those without `auth`. */
  readonly rate?: RateName
}

export interface RequestOperation extends Described {
  readonly kind: 'request'
  /** Status → what the body is; null for none. The first is the usual one. */
  readonly replies: Readonly<Record<number, z.ZodType | null>>
  /** True if the reply is a JSON array with a `Link` header. */
  readonly paged?: boolean
  /** True if the answer may take longer than the runtime lets a request be quiet. */
  readonly patient?: boolean
  handle(call: Call): Reply | Promise<Reply>
}

/** A subscription: one path, three forms (WebSocket, SSE, NDJSON). */
export interface SubscribeOperation extends Described {
  readonly kind: 'subscribe'
  /** What one event looks like. */
  readonly event: z.ZodType
  place(call: Call): Place | Promise<Place>
}

/** The one WebSocket for everything. Signing in may wait for its first frame. */
export interface SocketPathOperation extends Described {
  readonly kind: 'socket'
}

export type Operation = RequestOperation | SubscribeOperation | SocketPathOperation

/** An operation's frame on the WebSocket. */
export interface SocketOperation {
  readonly op: string
  readonly summary: string
  /** The fields besides `id` and `op`. */
  readonly frame: z.ZodObject
  /** What `ok` holds in the reply. */
  readonly reply: z.ZodType
  readonly errors: readonly ErrorCode[]
}

/** Gives the handler the types of the operation's own schemas. */
export function request<Query extends z.ZodObject, Body extends z.ZodObject>(
  operation: Omit<RequestOperation, 'kind' | 'handle' | 'query' | 'body'> & {
    query?: Query
    body?: Body
    handle: (call: Call<z.output<Query>, z.output<Body>>) => Reply | Promise<Reply>
  },
): RequestOperation {
  return { kind: 'request', ...operation } as RequestOperation
}

/** Of whatever stays open. */
export const CONNECT_ERRORS: readonly ErrorCode[] = [
  'websocket_bad_handshake',
  'upgrade_required',
  'overloaded',
]

/** A subscription's path, with the errors that all of them have. */
export function subscribe(
  name: string,
  summary: string,
  path: string,
  schemas: RequestSchemas,
  rest: Pick<SubscribeOperation, 'event' | 'place'> & { errors?: readonly ErrorCode[] },
): SubscribeOperation {
  return {
    kind: 'subscribe',
    name,
    summary,
    method: 'GET',
    path,
    auth: true,
    query: schemas.start,
    ...rest,
    errors: [...(rest.errors ?? []), ...CONNECT_ERRORS],
  }
}
