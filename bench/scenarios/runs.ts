/** Several runs of the same load, made one. */
import type { Measured } from '../record.ts'
import { median } from '../stats.ts'

/** The one with the median rate, with the rate of each; but what went wrong in any is told. */
export function medianRate(runs: readonly Measured[]): Measured {
  const rates = runs.map(({ perSecond = 0 }) => perSecond)
  const chosen = runs[rates.indexOf(median(rates))]!
  if (runs.length === 1) return chosen
  const rssMiB = Math.max(...runs.map((run) => run.rssMiB ?? 0))
  const faults = runs.flatMap((run) => run.faults ?? [])
  return { ...chosen, runs: rates, rssMiB, faults }
}
