/** Errors that this side finds, and what it reads from those of the server. */
import { ParleyError } from './errors.ts'

export function failure(code: string, status: number): ParleyError {
  return new ParleyError({ code, status })
}

export function unreachable(): ParleyError {
  return failure('unreachable', 0)
}

/** How long the server wants to be left alone, in milliseconds. */
export function waitMs(error: ParleyError | undefined): number {
  return (error?.retryAfter ?? 0) * 1_000
}
