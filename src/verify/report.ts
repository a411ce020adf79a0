/** The verdict, in plain text that can be pasted into a ticket. */
import type { FaultKind } from './checker.ts'
import type { Flushes } from './flushes.ts'
import type { Outcome } from './trial.ts'

/** Faults told one by one; more of them say nothing new. */
const FAULTS_TOLD_MAX = 10

export interface Verdict extends Outcome {
  /** What was on trial, in some words. */
  subject: string
  /** Where and when. */
  circumstances: string
  seconds: number
  /** Undefined where the disk does not tell. */
  flushes: Flushes | undefined
}

/** The kinds of faults that each figure of the report stands for. */
const FIGURES: [what: string, kinds: FaultKind[]][] = [
  ['lost', ['lost']],
  ['doubled', ['duplicate']],
  ['reordered', ['realtime-inversion', 'nonmonotonic', 'inconsistent']],
  ['holes', ['gap']],
  ['unseen', ['unseen']],
  ['made up', ['phantom', 'aborted-read']],
]

export function hasPassed({ faults, flushes }: Verdict): boolean {
  return faults.length === 0 && !isUnsafe(flushes)
}

/** Each post on its own must cause a flush of its own. */
function isUnsafe(flushes: Flushes | undefined): boolean {
  return flushes !== undefined && flushes.flushes < flushes.posts
}

export function reportOf(verdict: Verdict): string {
  const { subject, circumstances, seconds, people, rooms, conversations } = verdict
  const { acknowledged, repeated, events, kills, cuts, faults, latenciesMs, flushes } = verdict
  const count = (kinds: FaultKind[]) => faults.filter(({ kind }) => kinds.includes(kind)).length
  const number = (value: number) => value.toLocaleString('en')
  const at = (share: number) =>
    latenciesMs.length === 0 ? '–' : `${latency(latenciesMs, share).toFixed(1)} ms`
  return [
    `parley verify: ${circumstances}`,
    `  on trial   ${subject}`,
    `  people     ${people} talked and listened in ${rooms} rooms and ${conversations} ` +
      `conversations for ${seconds} s,`,
    '             over WebSocket, Server-Sent Events, NDJSON and long-poll',
    `  harm       killed ${kills} times (kill -9), ${number(cuts)} connections cut`,
    `  posts      ${number(acknowledged)} acknowledged, ${number(repeated)} attempts repeated, ` +
      `${number(events)} in the log`,
    `  found      ${FIGURES.map(([what, kinds]) => `${what} ${count(kinds)}`).join(' · ')}`,
    `  latency    from post to reader, undisturbed: p50 ${at(0.5)}, p99 ${at(0.99)}, ` +
      `max ${at(1)}`,
    `  disk       ${diskWords(flushes)}`,
    ...faults.slice(0, FAULTS_TOLD_MAX).map(({ kind, what }) => `  ! ${kind}: ${what}`),
    ...(faults.length > FAULTS_TOLD_MAX ? [`  ! and ${faults.length - FAULTS_TOLD_MAX} more`] : []),
    hasPassed(verdict) ? 'PASS' : 'FAIL',
  ].join('\n')
}

function latency(ascending: readonly number[], share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))]!
}

function diskWords(flushes: Flushes | undefined): string {
  if (flushes === undefined) return 'does not tell what it has flushed; not checked'
  const counted = `${flushes.posts} posts, one after the other: ${flushes.flushes} flushes`
  return isUnsafe(flushes)
    ? `${counted}. ACKNOWLEDGED POSTS ARE NOT ON THE DISK: a power cut loses them`
    : counted
}
