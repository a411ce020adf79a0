/** From values to places: scales and the ticks on them. No drawing. */
import { isNumber, type Maybe } from './numbers.ts'

export interface Scale {
  kind: 'linear' | 'logarithmic'
  /** Round values within the domain, ascending. */
  ticks: number[]
  /**
   * From 0 at the low end to 1 at the high one, never outside; undefined for what has no place,
   * such as `NaN`, or zero on a logarithmic scale.
   */
  place: (value: Maybe) => number | undefined
}

/** Past this ratio of the largest to the smallest, a linear scale would hide the small ones. */
const LINEAR_RATIO_MAX = 40
const STEPS = [1, 2, 5, 10]

/** Linear from zero, or logarithmic where the values lie far apart. Negative ones are ignored. */
export function scaleFor(values: readonly Maybe[], tickCount = 4): Scale {
  const positive = values.filter(isNumber).filter((value) => value > 0)
  const { low, high } = bounds(positive)
  return high / low > LINEAR_RATIO_MAX ? logScale(low, high) : zeroScale(high, tickCount)
}

/** Linear from zero to the first tick that is not below `high`. */
function zeroScale(high: number, tickCount: number): Scale {
  const top = isNumber(high) && high > 0 ? high : 1
  const step = niceStep(top / tickCount)
  const last = Math.ceil(round(top / step))
  return linear(
    0,
    last * step,
    Array.from({ length: last + 1 }, (_, i) => round(i * step)),
  )
}

/** Linear over exactly the given domain, with the round values that lie in it. */
export function linearScale(low: number, high: number, step: number): Scale {
  const first = Math.ceil(round(low / step))
  const length = Math.max(0, Math.floor(round(high / step)) - first + 1)
  return linear(
    low,
    high,
    Array.from({ length }, (_, i) => round((first + i) * step)),
  )
}

function linear(low: number, high: number, ticks: number[]): Scale {
  const place = (value: Maybe) => {
    if (!isNumber(value)) return undefined
    return high > low ? clamp((value - low) / (high - low)) : 0.5
  }
  return { kind: 'linear', ticks, place }
}

/** Ticks at powers of ten, and at 2 and 5 times those where there are few. */
function logScale(low: number, high: number): Scale {
  const from = logStepDown(low)
  const to = logStepUp(high)
  const decades = Math.log10(to / from)
  const factors = decades > 3 ? [1] : decades > 2 ? [1, 3] : [1, 2, 5]
  const every = Math.max(1, Math.ceil(decades / 6))
  const ticks: number[] = []
  const firstPower = Math.floor(Math.log10(from))
  for (let power = firstPower; power <= Math.ceil(Math.log10(to)); power += every)
    for (const factor of factors) {
      const tick = Number(`${factor}e${power}`)
      if (tick >= from && tick <= to) ticks.push(tick)
    }
  const place = (value: Maybe) =>
    isNumber(value) && value > 0 ? clamp(Math.log(value / from) / Math.log(to / from)) : undefined
  return { kind: 'logarithmic', ticks, place }
}

/** The distance between ticks: 1, 2 or 5 times a power of ten, at least `atLeast`. */
export function niceStep(atLeast: number): number {
  const power = Math.floor(Math.log10(atLeast))
  const unit = Number(`1e${power}`)
  const factor = STEPS.find((one) => one * unit >= atLeast * (1 - 1e-9)) ?? 10
  return Number((factor * unit).toPrecision(1))
}

/** Seconds between the ticks of a time axis: round for a clock, not for a ruler. */
export function timeStep(spanS: number, tickCount = 6): number {
  const clock = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600]
  const atLeast = spanS / tickCount
  return clock.find((step) => step >= atLeast) ?? 3_600 * Math.ceil(atLeast / 3_600)
}

function bounds(positive: readonly number[]): { low: number; high: number } {
  let low = Number.POSITIVE_INFINITY
  let high = 0
  for (const value of positive) {
    if (value < low) low = value
    if (value > high) high = value
  }
  return high === 0 ? { low: 1, high: 1 } : { low, high }
}

function logStepDown(value: number): number {
  const power = Math.floor(Math.log10(value))
  const factor = [5, 2, 1].find((one) => Number(`${one}e${power}`) <= value) ?? 1
  return Number(`${factor}e${power}`)
}

function logStepUp(value: number): number {
  const power = Math.floor(Math.log10(value))
  const factor = STEPS.find((one) => Number(`${one}e${power}`) >= value) ?? 10
  return Number(`${factor}e${power}`)
}

function clamp(share: number): number {
  return Math.min(1, Math.max(0, share))
}

/** Sums of steps such as 0.1 carry noise in their last digits. */
function round(value: number): number {
  return Number(value.toPrecision(12))
}
