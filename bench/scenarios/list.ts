/** The scenarios, in the order they are measured in. */
import { blackout } from './blackout.ts'
import { cluster } from './cluster.ts'
import { fullNight } from './full-night.ts'
import { ledger } from './ledger.ts'
import { monday } from './monday.ts'
import { night } from './night.ts'
import type { Scenario } from './scenario.ts'
import { stadium } from './stadium.ts'
import { town } from './town.ts'

export const scenarios: readonly Scenario[] = [
  town,
  stadium,
  night,
  ledger,
  blackout,
  monday,
  cluster,
  fullNight,
]

/** Those of these names, or all without any. Throws on a name that is none. */
export function findScenarios(names: readonly string[]): readonly Scenario[] {
  const known = scenarios.map(({ name }) => name)
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new Error(`There is no scenario "${unknown}". The scenarios are ${known.join(', ')}.`)
  return names.length === 0 ? scenarios : scenarios.filter(({ name }) => names.includes(name))
}
