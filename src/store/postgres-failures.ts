/** What goes wrong with PostgreSQL, and which problem of the table that is. */
import postgres from 'postgres'
import { type Problem, problem } from '../errors.ts'

export const SILENCE = 'ETIMEDOUT'

/**
 * The connection ended, or no answer came in time: what was asked for may or may not have been
 * done. The message holds no text of anybody's and no password.
 */
export class ConnectionLost extends Error {
  /** The SQLSTATE or the system's code, if there was one. */
  readonly code: string | undefined

  constructor(message: string, code?: string) {
    super(message)
    this.code = code
  }

  /** No answer came, though the connection was still there. */
  get isSilence(): boolean {
    return this.code === SILENCE
  }
}

/** Whether PostgreSQL itself refused a statement, and so has undone it. */
export function isRefusal(error: unknown): error is postgres.PostgresError {
  // After a graver one the session is over, and nobody knows whether the statement was.
  return error instanceof postgres.PostgresError && error.severity === 'ERROR'
}

/** Whether the statement was only unlucky beside others, and may simply be repeated. */
export function isUnlucky(error: unknown): boolean {
  return isRefusal(error) && (error.code === '40001' || error.code === '40P01')
}

export const DISK_FULL = '53100'
/**
 * What passes by itself, by SQLSTATE or its class: too few resources, locks held by others, an
 * operator's work, a broken disk, a server that only reads, and transactions in each other's way.
 */
const PASSING = /^(08|40|53|55P03|57|58|25006)/

/** As a client is told of it, whose statement was one that changes something or not. */
export function problemOf(error: unknown, changes: boolean): Problem {
  if (error instanceof ConnectionLost) return lost(error, changes)
  const { code = '', message = String(error) } = error as { code?: string; message?: string }
  // Not the error itself: it carries the statement's values, which are people's words.
  const cause = `${code} ${message}`.trim()
  if (code === DISK_FULL) return problem('storage_full', { cause })
  if (PASSING.test(code)) return problem('store_unavailable', { retryAfterS: 1, cause })
  return problem('internal', { cause })
}

function lost({ message }: ConnectionLost, changes: boolean): Problem {
  const code = changes ? 'outcome_unknown' : 'store_unavailable'
  return problem(code, { retryAfterS: 1, cause: message })
}
