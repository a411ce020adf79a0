/** Promises about time, tried on machines that may stand still at any moment. */

/** A machine that stands still at the wrong moment so often in a row is of no use to anybody. */
export const TRIES = 5

/** How long it takes, in milliseconds. */
export async function msOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

/**
 * Resolves when a try has taken less than `ms`, with how long it took, which `measure` tells. A
 * machine that stands still makes a try late, and none early, so the best of several counts: what
 * is too slow by itself is so each time. Nothing but lateness is forgiven: a try that rejects, for
 * whatever never comes, is the end.
 */
export async function expectSoon(
  ms: number,
  what: string,
  measure: () => Promise<number>,
): Promise<number> {
  const took: number[] = []
  while (took.length < TRIES) {
    const tookMs = await measure()
    if (tookMs < ms) return tookMs
    took.push(Math.round(tookMs))
  }
  throw new Error(`never within ${ms} ms: ${what}, but ${took.join(', ')}`)
}
