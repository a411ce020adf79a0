/**
 * How much a peer can carry: loads are tried one after another, each against a server of its own,
 * so that none pays for what the one before left behind.
 */

/** Deliveries a second that are offered, from the least; for a look, and for figures to publish. */
export const LADDERS = {
  quick: [1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7],
  full: [1e4, 2e4, 3e4, 5e4, 7e4, 1e5, 1.5e5, 2e5, 3e5, 5e5, 7e5, 1e6, 1.5e6, 2e6, 3e6, 5e6, 1e7],
} as const

export interface Rung<T> {
  offered: number
  carried: boolean
  result: T
}

/**
 * Tries `from` and goes up until a load is not carried; if `from` itself is not, goes down until
 * one is. Returns all that were tried, in that order.
 */
export async function climb<T>(
  ladder: readonly number[],
  from: number,
  attempt: (offered: number) => Promise<Omit<Rung<T>, 'offered'>>,
): Promise<Rung<T>[]> {
  const tried: Rung<T>[] = []
  const isCarried = async (offered: number): Promise<boolean> => {
    const rung = { offered, ...(await attempt(offered)) }
    tried.push(rung)
    return rung.carried
  }
  if (await isCarried(from)) {
    for (const offered of ladder.filter((load) => load > from)) {
      if (!(await isCarried(offered))) break
    }
  } else {
    for (const offered of ladder.filter((load) => load < from).toReversed()) {
      if (await isCarried(offered)) break
    }
  }
  return tried
}

/** The highest load that was carried; if none was, the lowest that was tried. */
export function bestOf<T>(tried: readonly Rung<T>[]): Rung<T> {
  const byLoad = tried.toSorted((a, b) => a.offered - b.offered)
  return byLoad.findLast(({ carried }) => carried) ?? byLoad[0]!
}
