/**
 * Figures for people: at most three significant digits, grouped, with their unit. The record keeps
 * the exact ones. What is missing, or is no number, is a dash.
 */

/** Also what `NaN` and infinity become on their way through JSON. */
export type Maybe = number | null | undefined

export const NOTHING = '–'

/** Between a number and its unit, so that a line never breaks there. */
const JOINT = '\u00a0'

export function isNumber(value: Maybe): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

/** `9.99`, `312,000`, `10 million`. */
export function figure(value: Maybe): string {
  if (!isNumber(value)) return NOTHING
  const rounded = roundTo(value, 3)
  const [divisor, name] = scaleOf(rounded)
  return `${grouped(roundTo(rounded / divisor, 3))}${name && `\u00a0${name}`}`
}

/** The same in tight places: `312 k`, `10 M`. */
export function shortFigure(value: Maybe): string {
  if (!isNumber(value)) return NOTHING
  const rounded = roundTo(value, 3)
  if (Math.abs(rounded) >= 1e15) return rounded.toExponential(2)
  const [divisor, letter] = SHORT.find(([from]) => Math.abs(rounded) >= from) ?? [1, '']
  return `${grouped(roundTo(rounded / divisor, 3))}${letter && JOINT}${letter}`
}

const SHORT: readonly [divisor: number, letter: string][] = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
]

/** A count in full, for what is counted rather than measured. */
export function count(value: Maybe): string {
  return isNumber(value) ? grouped(Math.round(value)) : NOTHING
}

/** `0.42 ms`, `312 ms`, `1.23 s`, `30 min`. */
export function duration(ms: Maybe): string {
  if (!isNumber(ms)) return NOTHING
  const rounded = roundTo(ms, 3)
  if (Math.abs(rounded) < 1_000) return withUnit(rounded, 'ms')
  if (Math.abs(rounded) < 120_000) return withUnit(roundTo(rounded / 1_000, 3), 's')
  return withUnit(roundTo(rounded / 60_000, 3), 'min')
}

/** `840 B`, `2.1 KB`; a KB is 1,000 bytes. */
export function bytes(value: Maybe): string {
  if (!isNumber(value)) return NOTHING
  const rounded = roundTo(value, 3)
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.abs(rounded) || 1) / 3))
  const unit = Math.max(0, power)
  return withUnit(roundTo(rounded / 1_000 ** unit, 3), units[unit]!)
}

/** `3 %` of a share of 0.03. */
export function percent(share: Maybe): string {
  return isNumber(share) ? withUnit(roundTo(share * 100, 2), '%') : NOTHING
}

export function withUnit(value: Maybe, unit: string): string {
  return isNumber(value) ? `${grouped(roundTo(value, 3))}${JOINT}${unit}` : NOTHING
}

/** `1 goal`, `3 goals`, `no goals`. */
export function plural(number: number, noun: string): string {
  const word = number === 1 ? noun : `${noun}s`
  return `${number === 0 ? 'no' : count(number)} ${word}`
}

function roundTo(value: number, digits: number): number {
  return Number(value.toPrecision(digits))
}

function scaleOf(value: number): [divisor: number, name: string] {
  const size = Math.abs(value)
  if (size >= 1e15) return [1, '']
  if (size >= 1e12) return [1e12, 'trillion']
  if (size >= 1e9) return [1e9, 'billion']
  return size >= 1e6 ? [1e6, 'million'] : [1, '']
}

function grouped(value: number): string {
  if (Math.abs(value) >= 1e15) return value.toExponential(2)
  return value.toLocaleString('en', { maximumSignificantDigits: 15 })
}
