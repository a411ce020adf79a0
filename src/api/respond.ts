/** Replies and errors as HTTP responses, with the headers that every response carries. */
import type { Config } from '../config.ts'
import { Problem, problem } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Reply } from './operation.ts'

/**
 * Nothing may be loaded or framed. Only our own origin may be talked to, which lets people try the
 * API from the browser's console on any of our pages.
 */
export const POLICY =
  "default-src 'none'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; " +
  "form-action 'none'"

export class Responder {
  readonly #common: Record<string, string>
  readonly #json: Record<string, string>
  readonly #corsOrigins: ReadonlySet<string>
  readonly #log: Log
  readonly #metrics: Metrics
  /** Responses by status since the last report. */
  readonly #counts = new Map<number, number>()

  constructor(config: Config, log: Log, metrics: Metrics) {
    this.#log = log
    this.#metrics = metrics
    this.#corsOrigins = new Set(config.corsOrigins)
    this.#common = {
      'Cache-Control': 'no-store',
      'Content-Security-Policy': POLICY,
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Referrer-Policy': 'no-referrer',
      'X-Content-Type-Options': 'nosniff',
      ...(config.corsOrigins.length > 0 && { Vary: 'Origin' }),
      ...(config.publicUrl.startsWith('https:') && {
        'Strict-Transport-Security': 'max-age=31536000',
      }),
    }
    this.#json = { ...this.#common, 'Content-Type': 'application/json' }
  }

  reply(reply: Reply, more?: Record<string, string>): Response {
    const { status, body, headers } = reply
    this.#count(status)
    const common = body === undefined ? this.#common : this.#json
    return new Response(body ?? null, { status, headers: { ...common, ...more, ...headers } })
  }

  stream(body: ReadableStream, status: number, headers: Record<string, string>): Response {
    this.#count(status)
    // Proxies of the nginx family hold back what they pass on, unless they are told not to.
    const all = { ...this.#common, 'X-Accel-Buffering': 'no', ...headers }
    return new Response(body, { status, headers: all })
  }

  /** Whatever was thrown, as `application/problem+json`. What is not a `Problem` is a bug: 500. */
  error(error: unknown): Response {
    const known = this.problem(error)
    const { retryAfterS, headers } = known.options
    this.#count(known.status)
    return new Response(JSON.stringify(known), {
      status: known.status,
      headers: {
        ...this.#common,
        'Content-Type': 'application/problem+json',
        ...(retryAfterS !== undefined && { 'Retry-After': String(retryAfterS) }),
        ...headers,
      },
    })
  }

  problem(error: unknown): Problem {
    if (error instanceof Problem) {
      if (error.cause !== undefined) this.#log.warn({ code: error.code, cause: error.cause })
      return error
    }
    this.#log.error({ err: error }, 'a bug: an error without a place in the table')
    return problem('internal')
  }

  /** Plain numbers until somebody asks: finding a counter by its label costs more than counting. */
  #count(status: number): void {
    this.#counts.set(status, (this.#counts.get(status) ?? 0) + 1)
  }

  /** Moves the counts into the metrics; to be called before those are read. */
  report(): void {
    for (const [status, count] of this.#counts) this.#metrics.requests.inc({ status }, count)
    this.#counts.clear()
  }

  /**
   * Lets a listed origin's page read the response (CORS). Tokens only: cookies are never allowed
   * from another origin.
   */
  shared(response: Response, origin: string | null): Response {
    if (origin === null || !this.#corsOrigins.has(origin)) return response
    const { headers } = response
    headers.set('Access-Control-Allow-Origin', origin)
    headers.set('Access-Control-Expose-Headers', EXPOSED)
    headers.set('Cross-Origin-Resource-Policy', 'cross-origin')
    return response
  }

  /** The answer to a preflight; undefined if this origin is not listed. */
  preflight(origin: string | null, methods: readonly string[]): Response | undefined {
    if (origin === null || !this.#corsOrigins.has(origin)) return undefined
    const response = new Response(null, {
      status: 204,
      headers: {
        ...this.#common,
        'Access-Control-Allow-Methods': methods.join(', '),
        'Access-Control-Allow-Headers':
          'Authorization, Content-Type, Idempotency-Key, Last-Event-ID',
        'Access-Control-Max-Age': '600',
      },
    })
    return this.shared(response, origin)
  }
}

const EXPOSED =
  'Idempotent-Replayed, Link, Location, Parley-Epoch, Parley-Recovered, RateLimit, ' +
  'RateLimit-Policy, Retry-After'
