/** What went wrong, by its code: errors are matched by nothing else. */
import { Problem } from '../../src/errors.ts'

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
