/** What goes wrong, as the server tells it (RFC 9457), or as this side finds it. */

export interface Problem {
  code: string
  status: number
  title?: string | undefined
  detail?: string | undefined
  hint?: string | undefined
  field?: string | undefined
  retryAfter?: number | undefined
}

/** A refusal by the server or, with status 0 and code `unreachable`, no answer at all. */
export class ParleyError extends Error {
  /** Stable; what programs match on. */
  readonly code: string
  readonly status: number
  readonly detail: string | undefined
  readonly hint: string | undefined
  /** Which field of the request is at fault. */
  readonly field: string | undefined
  /** Seconds, if the server said when to come back. */
  readonly retryAfter: number | undefined

  constructor({ code, status, title, detail, hint, field, retryAfter }: Problem) {
    super(detail ?? title ?? code)
    this.name = 'ParleyError'
    this.code = code
    this.status = status
    this.detail = detail
    this.hint = hint
    this.field = field
    this.retryAfter = retryAfter
  }

  /** Worth another attempt: unreachable, 429, 5xx but not 507. */
  get temporary(): boolean {
    const { status } = this
    return status === 0 || status === 429 || (status >= 500 && status !== 507)
  }
}

export function unreachable(title = 'The server cannot be reached.'): ParleyError {
  return new ParleyError({ code: 'unreachable', status: 0, title })
}

export function notSignedIn(): ParleyError {
  return new ParleyError({ code: 'not_signed_in', status: 401, title: 'You are not signed in.' })
}

/** How long the server wants to be left alone, in milliseconds. */
export function waitMs(error: unknown): number {
  return ((error as Partial<ParleyError>).retryAfter ?? 0) * 1_000
}
