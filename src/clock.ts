/**
 * Time, as an argument rather than a global, so that tests may set it. Wall time (`now`) is for
 * people and expiry dates; waits and rates use `monotonicMs`, which never jumps.
 */
export interface Clock {
  /** Wall time in milliseconds since the Unix epoch. May jump when the machine's clock is set. */
  now(): number
  /** Milliseconds since some fixed moment. Never runs backwards. */
  monotonicMs(): number
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
}

/** A promise and the functions that settle it. */
export interface Deferred<T> {
  promise: Promise<T>
  resolve: (value: T) => void
  reject: (error: unknown) => void
}

export function deferred<T>(): Deferred<T> {
  return Promise.withResolvers<T>()
}

/**
 * Waits for `promise`, at most `timeoutMs`. On time-out rejects with what `onTimeout` makes; the
 * underlying work is not stopped, its late result is ignored here.
 */
export function withDeadline<T>(
  promise: Promise<T>,
  timeoutMs: number,
  onTimeout: () => Error,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(onTimeout()), timeoutMs)
  })
  return Promise.race([promise, expired]).finally(() => clearTimeout(timer))
}
