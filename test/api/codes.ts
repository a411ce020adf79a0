/** What went wrong, by its code: errors are matched by nothing else. */
import { expect } from 'bun:test'
import { Problem, type ProblemJson } from '../../src/errors.ts'

/** The code of the problem that `work` throws; `undefined` if it throws none. */
export function codeOf(work: () => unknown): string | undefined {
  return thrownBy(work)?.code
}

/** The problem that `work` throws, or undefined. Anything else that is thrown goes on. */
export function thrownBy(work: () => unknown): Problem | undefined {
  try {
    work()
  } catch (error) {
    if (error instanceof Problem) return error
    throw error
  }
  return undefined
}

/** The problem a response brings, after a look at everything that makes it one. */
export async function problemIn(response: Response): Promise<ProblemJson> {
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  const body = await response.text()
  expect(body).not.toMatch(/\.ts\b|node_modules|at async|Error:/)
  const told = JSON.parse(body) as ProblemJson
  expect(told.status).toBe(response.status)
  expect(told.type).toStartWith('/docs#error-')
  return told
}

/** For comparing with `toBe`: `404 no_such_room`. */
export async function refusal(response: Response | Promise<Response>): Promise<string> {
  const answer = await response
  const { code } = await problemIn(answer)
  return `${answer.status} ${code}`
}
