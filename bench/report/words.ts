/** The sentences of the report. Every one is made from the record, so none can be untrue to it. */
import type { Measured } from '../record.ts'
import { bytes, count, duration, figure, isNumber, percent, plural } from './numbers.ts'
import { failed, isBarePartner, isSubject, leadOf, OWN, outcomeOf, tally } from './verdict.ts'

/** What is asked of the server. The numbers stand in each run's load, as they were. */
const QUESTIONS: Record<string, string> = {
  town: 'Many rooms, and everyone sits in ten of them. How much talk can one core carry?',
  stadium: 'Everyone is in one room, and all of them talk. Does each hear everything?',
  night: 'Everyone is connected and nobody talks. What does silence cost?',
  ledger: 'Post after post, each on the disk before it is acknowledged. How many?',
  blackout: 'Every connection is cut, and all return at once. Who gets what they missed, and when?',
  monday: 'Everyone signs in at the same time. Do those who chat notice?',
}

export function questionOf(scenario: string): string | undefined {
  return Object.hasOwn(QUESTIONS, scenario) ? QUESTIONS[scenario] : undefined
}

/** What happened, in a line; without the goals. */
export function headline(rows: readonly Measured[]): string {
  const own = rows.filter((row) => isSubject(row, OWN))
  if (own.length === 0) return 'Parley was not measured here.'
  const lead = leadOf(rows)
  if (lead === undefined) return 'The checks failed: these figures count for nothing.'
  const parts = [achievement(lead), losses(lead), tail(lead)].filter((part) => part !== undefined)
  const broken = own.filter(failed).length
  const warning = broken === 0 ? '' : ` But ${runs(broken)} failed ${whose(broken)} checks.`
  return `${parts.join(', ')}.${warning}`
}

function achievement({ scenario, unit, perSecond, ...row }: Measured): string {
  const rate = isNumber(perSecond) ? `${figure(perSecond)} ${unit} a second` : undefined
  if (unit !== 'connections' && unit !== 'sign-ins') return rate ?? capital(unit)
  const all = isNumber(row.count) ? `${figure(row.count)} ${unit}` : (rate ?? capital(unit))
  if (unit === 'sign-ins') return rate === undefined || all === rate ? all : `${all}, ${rate}`
  if (isNumber(row.bytesPerConnection)) return `${all} at ${bytes(row.bytesPerConnection)} each`
  return scenario === 'blackout' ? `${all} back` : all
}

function losses({ lost }: Measured): string | undefined {
  if (!isNumber(lost)) return undefined
  return lost === 0 ? 'nothing lost' : `${count(lost)} lost`
}

function tail({ latencyMs }: Measured): string | undefined {
  return isNumber(latencyMs?.p99) ? `p99\u00a0${duration(latencyMs.p99)}` : undefined
}

/** Whether the goals were met, and which were not. */
export function goalsSentence(rows: readonly Measured[]): string {
  const { met, missed, void: unknown } = tally(rows)
  const all = met + missed + unknown
  if (all === 0) return 'No goal was set.'
  if (met === all) return all === 1 ? 'The goal is met.' : `All ${count(all)} goals are met.`
  if (unknown === all) return 'The goals are void, for the checks failed.'
  const names = rows.flatMap((row) =>
    (row.goals ?? [])
      .filter((goal) => outcomeOf(row, goal) === 'missed')
      .map(({ text, goal, value }) => `${text} (${value}, asked ${goal})`),
  )
  const short = names.length > 0 && names.length <= 3 ? ` Missed: ${names.join('; ')}.` : ''
  const lost = unknown === 0 ? '' : ` ${plural(unknown, 'goal')} void, for checks failed.`
  return `${count(met)} of ${plural(all, 'goal')} met.${short}${lost}`
}

/** How near Parley comes to the bare loop under the same load; undefined without a fair pair. */
export function ratioSentence(own: Measured, rows: readonly Measured[]): string | undefined {
  const bare = rows.find((row) => isBarePartner(row, own))
  if (bare === undefined || failed(own)) return undefined
  if (!isNumber(own.perCpuSecond) || !isNumber(bare.perCpuSecond) || bare.perCpuSecond === 0)
    return undefined
  const share = figure(Number((own.perCpuSecond / bare.perCpuSecond).toPrecision(2)))
  const [mine, theirs] = [own.latencyMs?.p99, bare.latencyMs?.p99]
  const slower =
    isNumber(mine) && isNumber(theirs) && theirs > 0
      ? `, at ${figure(Number((mine / theirs).toPrecision(2)))} times its p99`
      : ''
  return (
    `For each second of its CPU, Parley gets ${share} times as much through as the bare loop, ` +
    `which stores and checks nothing${slower}; the load is the same.`
  )
}

/** What spoils a run without being a fault. */
export function cautions({ generatorCores, disturbed, listenOverflows }: Measured): string[] {
  const found: string[] = []
  if (isNumber(generatorCores) && generatorCores > GENERATOR_CORES_MAX)
    found.push('The load generator was as busy as the server: the server may be faster than this.')
  if (isNumber(disturbed) && disturbed > DISTURBED_MAX)
    found.push(`Other processes had ${percent(disturbed)} of a core: measure again, alone.`)
  if (isNumber(listenOverflows) && listenOverflows > 0)
    found.push(
      `The kernel dropped ${plural(listenOverflows, 'handshake')}: the listen queue was full.`,
    )
  return found
}

/** Of a core: past it, the generator is what was measured. */
const GENERATOR_CORES_MAX = 0.95
/** Of a core in other hands: past it, a figure says more about them than about us. */
export const DISTURBED_MAX = 0.05

function runs(number: number): string {
  return number === 1 ? 'one run' : `${count(number)} runs`
}

function whose(number: number): string {
  return number === 1 ? 'its' : 'their'
}

/** The name of a scenario or a unit at the head of a line. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
