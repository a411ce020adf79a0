/**
 * How much a peer can carry: loads are tried one after another, each against a server of its own,
 * so that none pays for what the one before left behind.
 */

/** Deliveries a second that are offered, from the least. */
export const LADDER: readonly number[] = [
  10_000, 20_000, 50_000, 100_000, 150_000, 200_000, 300_000, 500_000, 1_000_000, 2_000_000,
  5_000_000, 10_000_000,
]

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
