/** What a record amounts to: which runs count, which goals were met, who compares with whom. */
import type { Goal, Measured } from '../record.ts'
import { isNumber } from './numbers.ts'

/** What became of a goal: a run with faults says nothing about its goals. */
export type Outcome = 'met' | 'missed' | 'void'

export interface Tally {
  met: number
  missed: number
  void: number
}

/** The subject that the report is about, and the one that shows the machine's limit. */
export const OWN = 'parley'
export const BARE = 'bare loop'

/** Which goals a scenario has, one mark each, in the order of the record. */
export function outcomesOf(rows: readonly Measured[]): Outcome[] {
  return rows.flatMap((row) => (row.goals ?? []).map((goal) => outcomeOf(row, goal)))
}

/** Everything measured under one scenario's name, in the order of the record. */
export interface Scenario {
  name: string
  rows: Measured[]
}

export function scenariosOf(measured: readonly Measured[]): Scenario[] {
  const byName = Map.groupBy(measured, ({ scenario }) => scenario)
  return [...byName].map(([name, rows]) => ({ name, rows }))
}

export function isSubject({ subject }: Measured, name: string): boolean {
  return subject.toLowerCase() === name
}

export function failed({ faults = [] }: Measured): boolean {
  return faults.length > 0
}

export function outcomeOf(row: Measured, goal: Goal): Outcome {
  if (failed(row)) return 'void'
  return goal.met === true ? 'met' : 'missed'
}

export function tally(rows: readonly Measured[]): Tally {
  const counts: Tally = { met: 0, missed: 0, void: 0 }
  for (const outcome of outcomesOf(rows)) counts[outcome] += 1
  return counts
}

/**
 * The run that stands for Parley in a headline: of those that passed their checks, the one that got
 * the most through, in the unit that the scenario is about.
 */
export function leadOf(rows: readonly Measured[]): Measured | undefined {
  const own = rows.filter((row) => isSubject(row, OWN) && !failed(row))
  return most(own.filter(({ unit }) => unit === own[0]!.unit))
}

/** One for each subject: Parley, the bare loop, then the others, the thriftiest first. */
export function contendersOf(rows: readonly Measured[]): Measured[] {
  const own = ownContender(rows)
  if (own === undefined) return []
  const bare = rows.filter((row) => isSubject(row, BARE))
  const others = rows.filter((row) => !isSubject(row, OWN) && !isSubject(row, BARE))
  const best = [...Map.groupBy(others, ({ subject }) => subject).values()].map(bestOf)
  const thrift = ({ perCpuSecond, ...row }: Measured) =>
    failed(row as Measured) || !isNumber(perCpuSecond) ? -1 : perCpuSecond
  best.sort((one, other) => thrift(other) - thrift(one))
  const partner = bare.find((row) => sameLoad(row, own)) ?? (bare.length > 0 && bestOf(bare))
  return partner ? [own, partner, ...best] : [own, ...best]
}

/** The same load as the bare loop had, if there is one; of several, the heaviest. */
function ownContender(rows: readonly Measured[]): Measured | undefined {
  const own = rows.filter((row) => isSubject(row, OWN) && isNumber(row.perCpuSecond))
  const passed = own.filter((row) => !failed(row))
  const paired = passed.filter((row) => rows.some((one) => isBarePartner(one, row)))
  return most(paired) ?? most(passed) ?? own[0]
}

export function isBarePartner(row: Measured, own: Measured): boolean {
  return isSubject(row, BARE) && !failed(row) && sameLoad(row, own)
}

function sameLoad(one: Measured, other: Measured): boolean {
  if (one.unit !== other.unit) return false
  if (one.load === other.load) return true
  return isNumber(one.offeredPerSecond) && one.offeredPerSecond === other.offeredPerSecond
}

/** The most that a subject got through with nothing wrong, else with something lost. */
function bestOf(rows: readonly Measured[]): Measured {
  const passed = rows.filter((row) => !failed(row))
  const whole = passed.filter(({ lost }) => lost === undefined || lost === 0)
  return most(whole) ?? most(passed) ?? rows[0]!
}

/** By rate; a run that has none comes after all that have one. */
function most(rows: readonly Measured[]): Measured | undefined {
  const value = ({ perSecond }: Measured) => (isNumber(perSecond) ? perSecond : -1)
  return rows.toSorted((one, other) => value(other) - value(one))[0]
}

/**
 * The latency that a goal allows at p99, in ms; undefined if none is put as `p99 …`, `≤ 500 ms`.
 */
export function p99LimitMs(goals: readonly Goal[] = []): number | undefined {
  for (const { text, goal } of goals) {
    if (!/^p99\b/i.test(text)) continue
    const limit = /^(?:≤|<=)\s*([\d,.]+)\s*(ms|s)$/.exec(goal)
    if (limit !== null)
      return Number(limit[1]!.replaceAll(',', '')) * (limit[2] === 's' ? 1_000 : 1)
  }
  return undefined
}
