/** The verdict, in plain text that can be pasted into a ticket. */
import type { FaultKind } from './history.ts'
import type { Outcome } from './trial.ts'

/** Faults told one by one; more of them say nothing new. */
const FAULTS_TOLD_MAX = 10

/** Whether what is acknowledged is on the disk. */
export interface Durability {
  /** It was seen not to be. */
  isUnsafe: boolean
  /** What was seen, or why nobody can tell. */
  words: string
}

export interface Trial {
  /** What was on trial, in some words. */
  subject: string
  /** Where and when. */
  circumstances: string
}

export interface Verdict extends Trial, Outcome {
  seconds: number
  durability: Durability
}

/** The kinds of faults that each figure of the report stands for. */
const FIGURES: [what: string, kinds: FaultKind[]][] = [
  ['lost', ['lost']],
  ['doubled', ['duplicate']],
  ['reordered', ['realtime-inversion', 'nonmonotonic', 'inconsistent', 'diverge']],
  ['holes', ['gap']],
  ['unseen', ['unseen']],
  ['made up', ['phantom', 'aborted-read']],
  ['leaked', ['leak']],
  ['after sign-out', ['zombie']],
]

export function hasPassed(verdict: Pick<Verdict, 'faults' | 'durability'>): boolean {
  return verdict.faults.length === 0 && !verdict.durability.isUnsafe
}

/** Of one that would not start, and said why. */
export function refusalReportOf({ subject, circumstances }: Trial, why: string): string {
  const lines = [`parley verify: ${circumstances}`, `  on trial   ${subject}`, `  ! ${why}`, 'FAIL']
  return lines.join('\n')
}

export function reportOf(verdict: Verdict): string {
  const { subject, circumstances, seconds, people, rooms, conversations } = verdict
  const { acknowledged, repeated, events, kills, cuts, signOuts, faults, latenciesMs } = verdict
  const count = (kinds: FaultKind[]) => faults.filter(({ kind }) => kinds.includes(kind)).length
  const number = (value: number) => value.toLocaleString('en')
  const at = (share: number) =>
    latenciesMs.length === 0 ? '–' : `${latency(latenciesMs, share).toFixed(1)} ms`
  return [
    `parley verify: ${circumstances}`,
    `  on trial   ${subject}`,
    `  people     ${people} talked and listened in ${rooms} rooms, ${conversations} ` +
      `conversations and their inboxes for ${seconds} s,`,
    '             over WebSocket, Server-Sent Events, NDJSON and long-poll',
    `  harm       killed ${kills} times (kill -9), ${number(cuts)} connections cut, ` +
      `${number(signOuts)} signed out while they listened`,
    `  posts      ${number(acknowledged)} acknowledged, ${number(repeated)} attempts repeated, ` +
      `${number(events)} in the log`,
    `  found      ${FIGURES.map(([what, kinds]) => `${what} ${count(kinds)}`).join(' · ')}`,
    `  latency    from post to reader, undisturbed: p50 ${at(0.5)}, p99 ${at(0.99)}, ` +
      `max ${at(1)}`,
    `  disk       ${diskWords(verdict.durability)}`,
    ...faults.slice(0, FAULTS_TOLD_MAX).map(({ kind, what }) => `  ! ${kind}: ${what}`),
    ...(faults.length > FAULTS_TOLD_MAX ? [`  ! and ${faults.length - FAULTS_TOLD_MAX} more`] : []),
    hasPassed(verdict) ? 'PASS' : 'FAIL',
  ].join('\n')
}

function latency(ascending: readonly number[], share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))]!
}

function diskWords({ isUnsafe, words }: Durability): string {
  return isUnsafe
    ? `${words}. ACKNOWLEDGED POSTS ARE NOT ON THE DISK: a power cut loses them`
    : words
}
