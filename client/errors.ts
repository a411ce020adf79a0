/** A refusal by the server (RFC 9457) or, with status 0 and `unreachable`, no answer at all. */
export class ParleyError extends Error {
  /** Stable; what programs match on. */
  declare readonly code: string
  declare readonly status: number
  declare readonly detail: string | undefined
  /** What can be done about it. */
  declare readonly hint: string | undefined
  /** Which field of the request is at fault. */
  declare readonly field: string | undefined
  /** Seconds, if the server said when to come back. */
  declare readonly retryAfter: number | undefined

  constructor(problem: Problem) {
    super(problem.detail ?? problem.title ?? problem.code)
    this.name = 'ParleyError'
    Object.assign(this, problem)
  }

  /** Worth another attempt: unreachable, 429, 5xx but not 507. */
  get temporary(): boolean {
    const { status } = this
    return status === 0 || status === 429 || (status >= 500 && status !== 507)
  }
}

/** What an error is made of; the server's problems have this shape. */
export interface Problem {
  code: string
  status: number
  title?: string | undefined
  detail?: string | undefined
  hint?: string | undefined
  field?: string | undefined
  retryAfter?: number | undefined
}
