/**
 * Every error a client can meet, in one table. `code` is stable and is what programs match on;
 * `title` and `hint` are for people and may be reworded. Codes about one field of a request are
 * made from the field's name and one of `fieldReasons`, for example `limit_out_of_range`.
 */
interface ErrorKind {
  status: number
  title: string
  hint?: string
}

const kind = (status: number, title: string, hint?: string): ErrorKind =>
  hint === undefined ? { status, title } : { status, title, hint }

const table = {
  bad_request: kind(400, 'The request is not valid HTTP for this server.'),
  bad_path: kind(400, 'The path is not valid.', 'Send the path without dot segments.'),
  duplicate_parameter: kind(400, 'The query has the same parameter twice.'),
  bad_host: kind(400, 'The request needs exactly one valid Host header.'),
  body_not_utf8: kind(400, 'The body is not valid UTF-8.'),
  body_not_json: kind(400, 'The body is not valid JSON.'),
  body_not_object: kind(400, 'The body must be a JSON object.'),
  body_too_deep: kind(400, 'The JSON is nested too deeply.'),
  body_duplicate_key: kind(400, 'The JSON has the same key twice in one object.'),
  body_lone_surrogate: kind(400, 'A string holds half of a surrogate pair.'),
  unknown_field: kind(400, 'The request has a field this operation does not know.'),
  conflicting_cursors: kind(400, 'Give only one of before, after and around.'),
  wait_without_after: kind(400, '`wait` needs `after`.', 'Add the last seq you have as ?after=.'),
  not_signed_in: kind(
    401,
    'You are not signed in.',
    'Sign in with POST /sessions and send the token as "Authorization: Bearer <token>".',
  ),
  wrong_credentials: kind(401, 'Name or password is wrong.'),
  foreign_origin: kind(
    403,
    'Cookies are accepted from our own origin only.',
    'Send the token in the Authorization header, or set PUBLIC_URL to the address people use.',
  ),
  no_such_path: kind(404, 'There is nothing at this path.', 'GET /docs lists every path.'),
  no_such_room: kind(404, 'There is no such room.', 'GET /rooms lists them.'),
  no_such_user: kind(404, 'There is no such user.', 'GET /users?name=prefix finds people.'),
  no_such_message: kind(404, 'There is no message with this seq.'),
  no_such_session: kind(404, 'You have no such session.', 'GET /sessions lists yours.'),
  not_subscribed: kind(404, 'This connection has no such subscription.'),
  method_not_allowed: kind(405, 'This path does not know this method.', 'See the Allow header.'),
  name_taken: kind(409, 'This name is taken.', 'Choose another one.'),
  already_subscribed: kind(409, 'This connection is already subscribed to this timeline.'),
  already_signed_in: kind(409, 'This connection is already signed in.'),
  body_too_large: kind(413, 'The body is too large.'),
  text_too_long: kind(413, 'The text is too long.', 'Split it into several messages.'),
  wrong_content_type: kind(
    415,
    'The body must be JSON.',
    'Send the header "Content-Type: application/json".',
  ),
  text_blank: kind(422, 'The text has nothing to read in it.'),
  key_reused: kind(
    422,
    'This idempotency key was used for a different message.',
    'Use a new key for a new message; repeat a key only with the same text.',
  ),
  websocket_needs_get: kind(405, 'A WebSocket is opened with GET.'),
  websocket_bad_handshake: kind(400, 'The WebSocket handshake is not valid.'),
  upgrade_required: kind(426, 'This path speaks WebSocket.', 'Connect with ws:// or wss://.'),
  target_unclear: kind(400, 'Name exactly one of room, user and inbox.'),
  unknown_op: kind(400, 'There is no such operation.'),
  rate_limited: kind(429, 'Too many requests.', 'Wait as long as Retry-After says.'),
  too_many_connections: kind(429, 'Too many connections.', 'Close one you no longer need.'),
  too_many_subscriptions: kind(429, 'Too many subscriptions.', 'Unsubscribe from one first.'),
  internal: kind(500, 'Something went wrong on our side.', 'It is in our log; try again later.'),
  page_unavailable: kind(
    500,
    'The web page could not be built.',
    'The reason is in our log; the next request tries again. The API is not affected.',
  ),
  overloaded: kind(503, 'The server is too busy.', 'Try again as Retry-After says.'),
  store_unavailable: kind(
    503,
    'The database cannot be written at the moment.',
    'Retry with the same idempotency key: the message will be there once.',
  ),
  outcome_unknown: kind(
    503,
    'The database did not answer in time; the message may or may not be stored.',
    'Retry with the same idempotency key: the message will be there once.',
  ),
  restarting: kind(503, 'The server is restarting.', 'Come back in a moment.'),
  not_ready: kind(503, 'The server is not ready.'),
  storage_full: kind(
    507,
    'The disk is full: nothing can be posted, reading goes on.',
    'Whoever runs this server needs to free some space.',
  ),
} satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof table

/** What may be wrong with one field; the code is `<field>_<reason>`. */
export const fieldReasons = {
  missing: 'is missing',
  wrong_type: 'has the wrong type',
  invalid: 'is not valid',
  too_short: 'is too short',
  too_long: 'is too long',
  out_of_range: 'is out of range',
} as const

export type FieldReason = keyof typeof fieldReasons

/** The error table, for documents. */
export function errorKinds(): readonly (ErrorKind & { code: ErrorCode })[] {
  return Object.entries<ErrorKind>(table).map(([code, kind]) => ({
    code: code as ErrorCode,
    ...kind,
  }))
}

/** An RFC 9457 problem: what a client is told, in a body or in a WebSocket frame. */
export interface ProblemJson {
  type: string
  title: string
  status: number
  code: string
  detail?: string
  hint?: string
  /** Which field of the request is at fault. */
  field?: string
  /** Wait this long before trying again, in seconds. */
  retryAfter?: number
}

interface ProblemOptions {
  detail?: string
  field?: string
  /** Whole seconds, at least 1. */
  retryAfterS?: number
  headers?: Record<string, string>
  /** For the log, never for the client. */
  cause?: unknown
}

/** An error with a place in the table. Anything else that is thrown is a bug and becomes a 500. */
export class Problem extends Error {
  readonly status: number
  readonly code: string
  readonly options: ProblemOptions
  readonly #title: string
  readonly #hint: string | undefined
  readonly #anchor: string

  constructor(kind: ErrorKind, code: string, anchor: string, options: ProblemOptions) {
    super(options.detail ?? kind.title, { cause: options.cause })
    this.name = 'Problem'
    this.status = kind.status
    this.code = code
    this.options = options
    this.#title = kind.title
    this.#hint = kind.hint
    this.#anchor = anchor
  }

  toJSON(): ProblemJson {
    const { detail, field, retryAfterS } = this.options
    return {
      type: `/docs#${this.#anchor}`,
      title: this.#title,
      status: this.status,
      code: this.code,
      ...(detail !== undefined && { detail }),
      ...(this.#hint !== undefined && { hint: this.#hint }),
      ...(field !== undefined && { field }),
      ...(retryAfterS !== undefined && { retryAfter: retryAfterS }),
    }
  }
}

/** A problem of the table, for example `problem('no_such_room')`. */
export function problem(code: ErrorCode, options: ProblemOptions = {}): Problem {
  return new Problem(table[code], code, `error-${code}`, options)
}

/** A problem with one field of the request: status 400, code `<field>_<reason>`. */
export function fieldProblem(field: string, reason: FieldReason, detail: string): Problem {
  const code = `${field.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)}_${reason}`
  const title = `\`${field}\` ${fieldReasons[reason]}.`
  return new Problem({ status: 400, title }, code, 'error-fields', { detail, field })
}
