/** Requests over HTTP: who asks, how long one waits, and what an answer that is none becomes. */
import type { Core } from './core.ts'
import { ParleyError, type Problem, unreachable } from './errors.ts'
import { HTTP_TIMEOUT_MS } from './limits.ts'

export interface Answer<T> {
  data: T
  headers: Headers
}

/**
 * Rejects with `ParleyError`, whatever goes wrong. An answer that says "not signed in" ends the
 * session that the request was made in, unless another has begun meanwhile.
 */
export async function request<T>(
  core: Core,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer<T>> {
  const { session, clock } = core
  const abort = new AbortController()
  const timer = clock.setTimeout(() => abort.abort(), HTTP_TIMEOUT_MS)
  let response: Response
  let text: string
  try {
    response = await core.fetch(core.url + path, {
      method,
      headers: {
        ...(session.token && { Authorization: `Bearer ${session.token}` }),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      credentials: core.cookie ? 'same-origin' : 'omit',
      cache: 'no-store',
      signal: abort.signal,
    })
    text = await response.text()
  } catch {
    throw unreachable()
  } finally {
    clock.clearTimeout(timer)
  }
  if (response.ok) return { data: parsed(text), headers: response.headers }
  const error = new ParleyError(problemOf(response, parsed(text)))
  if (error.code === 'not_signed_in') core.endSession(session, error)
  throw error
}

/** What stands between us and the server may answer, too, and then not in JSON. */
function problemOf({ status, headers }: Response, data: object | undefined): Problem {
  const problem: Problem = { code: `http_${status}`, ...data, status }
  problem.retryAfter ??= Number(headers.get('Retry-After')) || undefined
  return problem
}

// biome-ignore lint/suspicious/noExplicitAny: what it should be is known where it is used
export function parsed(text: string): any {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
