/**
 * How a crowd that talks is measured, for the scenarios that are made of one: the generator's marks
 * say when the server's CPU is read, and what it tells at the end becomes a record.
 */

import type {
  CrowdShape,
  GroupResult,
  Phase,
  PhaseResult,
  TalkJob,
  TalkResult,
} from '../generator/job.ts'
import { markOf } from '../generator/job.ts'
import { generate } from '../generator-process.ts'
import type { Measured } from '../record.ts'
import { readListenOverflows, readRssBytes, startUsage, type Used } from '../usage.ts'
import type { BenchContext } from './scenario.ts'

/** A server that runs, and how it is spoken to. */
export interface Subject {
  /** `parley`, `bare loop`, or the name of a peer. */
  name: string
  version?: string
  durable: string
  ordered: string
  port: number
  /** All its processes. */
  readonly pids: readonly number[]
  /** Path of the module with its `createDialect`. */
  dialect: string
  rooms: readonly string[]
  tokens: readonly string[]
  /** Whether it numbers the events of a room, acknowledges posts, and promises both. */
  promises: boolean
  /** Who posts; by default everyone in turn where the server promises an order. */
  senders?: TalkJob['senders']
  /** A phase begins. */
  phaseBegins?(phase: number): void
}

export interface Talk {
  scenario: string
  textBytes: number
  crowd: CrowdShape[]
  phases: TalkPhase[]
}

export interface TalkPhase extends Phase {
  /** For people; one for each schedule. */
  loads: string[]
}

/** What bench itself saw of a phase. */
interface Observed {
  used: Used | undefined
  rssBytes: number
}

/** Hooks for what happens beside the talk. */
export interface TalkEvents {
  mark?(name: string): void
}

/**
 * One list for each phase, with one `Measured` for each of its schedules; the first of each list
 * has the server's figures. A phase that the crowd did not live to see has none.
 */
export async function measureTalk(
  talk: Talk,
  subject: Subject,
  context: BenchContext,
  events: TalkEvents = {},
): Promise<Measured[][]> {
  const observed: Observed[] = talk.phases.map(() => ({ used: undefined, rssBytes: 0 }))
  let phase = 0
  let usage: (() => Used) | undefined
  const mark = (name: string, generator: number) => {
    const { cores } = context
    if (name === markOf.beginning(phase)) subject.phaseBegins?.(phase)
    if (name === markOf.measuring(phase))
      usage = startUsage({ servers: subject.pids, generators: [generator], cores })
    if (name === markOf.measured(phase)) observed[phase]!.used = usage!()
    if (name === markOf.drained(phase)) phase += 1
    events.mark?.(name)
  }
  const overflowsBefore = readListenOverflows()
  context.progress.begin(`${talk.scenario}, ${subject.name}`)
  const result = await generate<TalkResult>(jobOf(talk, subject), {
    core: context.cores?.generator,
    profileFolder: context.profileFolder,
    mark,
    progress(told) {
      const seen = observed[phase]
      if (seen !== undefined) seen.rssBytes = Math.max(seen.rssBytes, readRssBytes(subject.pids))
      context.progress.tell(told, 'deliveries')
    },
  }).finally(() => context.progress.end())
  const run = {
    listenOverflows: readListenOverflows() - overflowsBefore,
    faults: faultsOf(result, subject),
  }
  return result.phases.map((measured, i) =>
    recordPhase(talk, talk.phases[i]!, subject, measured, observed[i]!, run),
  )
}

function jobOf(talk: Talk, subject: Subject): TalkJob {
  const { port, dialect, rooms, tokens, promises } = subject
  return {
    kind: 'talk',
    port,
    dialect,
    setup: { rooms, tokens, textBytes: talk.textBytes, options: {} },
    crowd: talk.crowd,
    gapless: promises,
    senders: subject.senders ?? (promises ? 'in turn' : 'one a room'),
    phases: talk.phases,
  }
}

/** A server that promises nothing may lose; that is its figure and no fault. */
function faultsOf(result: TalkResult, { promises }: Subject): string[] {
  const { faults, faultCount, lost, twice, posted, acknowledged } = result
  const all = [...faults]
  if (faultCount > faults.length) all.push(`and ${faultCount - faults.length} more faults`)
  if (!promises) return all
  if (lost > 0) all.push(`${lost} deliveries never came`)
  if (twice > 0) all.push(`${twice} deliveries came twice`)
  if (acknowledged !== posted) all.push(`${acknowledged} of ${posted} posts were acknowledged`)
  return all
}

function recordPhase(
  { scenario }: Talk,
  phase: TalkPhase,
  subject: Subject,
  { groups, lost, twice, receivedBytes, drainedS }: PhaseResult,
  { used, rssBytes }: Observed,
  { faults, listenOverflows }: { faults: string[]; listenOverflows: number },
): Measured[] {
  const { name, version, durable, ordered } = subject
  return groups.map((group, i): Measured => {
    const measured: Measured = {
      scenario,
      subject: name,
      ...(version !== undefined && { version }),
      load: phase.loads[i]!,
      unit: 'deliveries',
      durable,
      ordered,
      offeredPerSecond: group.readers * phase.schedules[i]!.postsPerSecond,
      perSecond: group.deliveries / (used?.seconds ?? phase.seconds),
      count: group.deliveries,
      latencyMs: group.latencyMs,
      series: group.series,
      faults,
    }
    if (i > 0) return measured
    return {
      ...measured,
      lost,
      receivedBytes,
      listenOverflows,
      drainedS,
      rssMiB: rssBytes / 2 ** 20,
      ...(used !== undefined && costOf(group, used)),
      ...(twice > 0 && { notes: [`${twice} deliveries came twice or out of order`] }),
    }
  })
}

function costOf({ deliveries }: GroupResult, used: Used) {
  return {
    serverCores: used.serverCpuS / used.seconds,
    generatorCores: used.generatorCpuS / used.seconds,
    perCpuSecond: deliveries / used.serverCpuS,
    disturbed: used.disturbed,
  }
}
