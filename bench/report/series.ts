/** Measured seconds made ready to draw: thinned, cut into lines where seconds are missing. */
import type { Second } from '../record.ts'
import { isNumber } from './numbers.ts'

/** A place in a plot: `x` from 0 to 1, `y` in pixels from the top. */
export interface Spot {
  x: number
  y: number
}

/** More points than this would be closer together than a pixel on a small screen. */
export const POINTS_MAX = 240

/**
 * At most `max` points, in order of time. Where several seconds become one point, its latencies are
 * the worst of them and its rate is their mean, so that no spike is smoothed away.
 */
export function thin(seconds: readonly Second[], max = POINTS_MAX): Second[] {
  const sorted = seconds
    .filter(({ atS }) => isNumber(atS))
    .sort((one, other) => one.atS - other.atS)
  const size = Math.ceil(sorted.length / max)
  if (size <= 1) return sorted
  return Array.from({ length: Math.ceil(sorted.length / size) }, (_, i) =>
    merge(sorted.slice(i * size, (i + 1) * size)),
  )
}

function merge(seconds: readonly Second[]): Second {
  const rates = seconds.map(({ perSecond }) => perSecond).filter(isNumber)
  return {
    atS: seconds[0]!.atS,
    perSecond: rates.reduce((sum, rate) => sum + rate, 0) / rates.length,
    p50: worst(seconds.map(({ p50 }) => p50)),
    p99: worst(seconds.map(({ p99 }) => p99)),
  }
}

function worst(values: readonly number[]): number {
  const known = values.filter(isNumber)
  return known.length === 0 ? Number.NaN : Math.max(...known)
}

/** Runs of neighbours; where a spot is missing, the line ends and another one begins. */
export function linesOf(spots: readonly (Spot | undefined)[]): Spot[][] {
  const lines: Spot[][] = []
  let open: Spot[] | undefined
  for (const spot of spots) {
    if (spot === undefined) {
      open = undefined
      continue
    }
    if (open === undefined) lines.push((open = []))
    open.push(spot)
  }
  return lines
}

/**
 * Moves labels apart to at least `gap`, in the order of their places, keeping them between 0 and
 * `height` as long as there is room. Answers in the order given.
 */
export function spread(places: readonly number[], gap: number, height: number): number[] {
  const order = places.map((_, i) => i).sort((one, other) => places[one]! - places[other]!)
  const moved = [...places]
  let above = Number.NEGATIVE_INFINITY
  for (const i of order) {
    moved[i] = Math.max(places[i]!, above + gap)
    above = moved[i]!
  }
  let below = height + gap
  for (const i of order.reverse()) {
    moved[i] = Math.min(moved[i]!, below - gap)
    below = moved[i]!
  }
  return moved
}
