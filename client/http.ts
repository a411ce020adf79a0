/** Requests over HTTP: who asks, how long one waits, and what an answer that is none becomes. */
import { Alarm } from './clock.ts'
import type { Core } from './core.ts'
import { ParleyError, type Problem } from './errors.ts'
import { unreachable } from './failures.ts'
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
  const { session } = core
  const abort = new AbortController()
  const timeout = new Alarm(core.clock)
  timeout.set(HTTP_TIMEOUT_MS, () => abort.abort())
  let response: Response
  let text: string
  try {
    response = await core.fetch(core.url + path, {
      method,
      headers: {
        'Content-Type': 'application/json',
        ...(session.token && { Authorization: `Bearer ${session.token}` }),
      },
      body: JSON.stringify(body),
      credentials: core.cookie ? 'same-origin' : 'omit',
      signal: abort.signal,
    })
    text = await response.text()
  } catch {
    throw unreachable()
  } finally {
    timeout.clear()
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
