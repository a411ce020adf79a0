/** What a scenario is: a question to the server, and how it is measured. */
import type { Cores } from '../machine.ts'
import type { FoundPeer } from '../peers/list.ts'
import type { Progress } from '../progress.ts'
import type { Goal, Measured } from '../record.ts'

export interface Scenario {
  /** On the command line. */
  name: string
  /** Rejects if it could not be measured at all; what went wrong under load stands in `faults`. */
  run(context: BenchContext): Promise<Measured[]>
}

export interface BenchContext {
  /** Short runs, for a look. */
  quick: boolean
  /** How often each load is measured; the one with the median counts. */
  runs: number
  cores: Cores | undefined
  progress: Progress
  /** Where the data are kept instead of in SQLite. */
  postgresUrl?: string | undefined
  /** Where Bun is to leave CPU profiles, on request. */
  profileFolder?: string | undefined
  /** Those that are wanted and on this machine. */
  peers: readonly FoundPeer[]
}

/** A goal that a figure reaches by being at most so much. */
export function atMost(text: string, limit: number, value: number, unit: string): Goal {
  return { ...goal(text, '≤', limit, value, unit), met: value <= limit }
}

/** A goal that a figure reaches by being at least so much. */
export function atLeast(text: string, limit: number, value: number, unit: string): Goal {
  return { ...goal(text, '≥', limit, value, unit), met: value >= limit }
}

/** A goal that only nothing reaches. */
export function noneOf(text: string, count: number): Goal {
  return { text, goal: 'none', value: count === 0 ? 'none' : amount(count), met: count === 0 }
}

function goal(text: string, sign: string, limit: number, value: number, unit: string) {
  return {
    text,
    goal: `${sign} ${amount(limit)} ${unit}`.trimEnd(),
    value: `${amount(value)} ${unit}`.trimEnd(),
  }
}

/** Three digits that mean something; all of them before the point. */
export function amount(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return value.toLocaleString('en', { maximumFractionDigits: digits })
}
