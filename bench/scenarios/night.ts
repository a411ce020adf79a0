/**
 * *night*: as many signed-in connections as one process may hold open here, ten subscriptions each,
 * and nothing to say; then one message to all of them. What a connection costs in memory is the
 * slope over groups of them, so that what the server needs anyway is not in it.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { IDLE_MARKS, type IdleJob, type IdleResult } from '../generator/jobs/idle.ts'
import { generate } from '../generator-process.ts'
import { openFilesMax } from '../machine.ts'
import { readMemory, readRssPeak } from '../memory.ts'
import { seedPeople } from '../people.ts'
import type { Goal, Measured } from '../record.ts'
import { makeDataFolder, ServerProcess } from '../server.ts'
import { slope } from '../stats.ts'
import { readListenOverflows, startUsage, type Used } from '../usage.ts'
import { amount, atLeast, atMost, type BenchContext, type Scenario } from './scenario.ts'

const ROOMS = 1_000
const ROOMS_EACH = 10
const TEXT_BYTES = 128
/** Files a process needs besides its connections. */
const OTHER_FILES = 200
/** The server's default, given here because the rest must last long enough for it. */
const HEARTBEAT_MS = 20_000
/** Heartbeats are spread, and a few may fall just outside of the rest. */
const PINGS_SHARE_MIN = 0.9
const WAKES = 3
const WAKE_MS_MAX = 10_000

interface Size {
  connections: number
  groups: number
  settleMs: number
  restMs: number
}

const FULL: Size = { connections: 18_000, groups: 6, settleMs: 4_000, restMs: 30_000 }
const QUICK: Size = { connections: 3_000, groups: 3, settleMs: 2_000, restMs: 10_000 }

const GOALS = { connectionKb: 2.5, cores: 0.05, rampPerS: 10_000, lastMs: 300 }

interface Night extends IdleResult {
  /** After each group: connections, and bytes. */
  dirty: [connections: number, bytes: number][]
  resident: [connections: number, bytes: number][]
  rest: Used
  rssPeakBytes: number
  listenOverflows: number
}

/** Once, however many runs are asked for: the groups are its repetitions. */
export const night: Scenario = {
  name: 'night',
  async run(context) {
    const wanted = context.quick ? QUICK : FULL
    const connections = Math.min(wanted.connections, openFilesMax() - OTHER_FILES)
    const size = { ...wanted, connections }
    const folder = makeDataFolder()
    context.progress.begin('night')
    try {
      return [measured(size, await runOn(folder, size, context))]
    } finally {
      context.progress.end()
      rmSync(folder, { recursive: true, force: true })
    }
  },
}

async function runOn(folder: string, size: Size, context: BenchContext): Promise<Night> {
  const { cores, profileFolder, progress } = context
  const { tokens, rooms } = seedPeople(folder, { users: size.connections, rooms: ROOMS })
  const env = { HEARTBEAT_MS: String(HEARTBEAT_MS) }
  const server = await ServerProcess.start({
    ...{ script: 'src/main.ts', core: cores?.server, profileFolder, folder, env },
  })
  try {
    const { pid, port } = server
    const job: IdleJob = {
      ...{ kind: 'idle', port, dialect: join(import.meta.dir, '../generator/parley.ts') },
      setup: { rooms, textBytes: TEXT_BYTES, tokens, options: {} },
      ...{ ...size, roomsEach: ROOMS_EACH, wakes: WAKES, wakeMsMax: WAKE_MS_MAX },
    }
    const seen = watch(pid, cores)
    const overflowsBefore = readListenOverflows()
    const result = await generate<IdleResult>(job, {
      ...{ core: cores?.generator, profileFolder, mark: seen.mark },
      progress: (told) => progress.tell(told, 'connections or heartbeats'),
    })
    const listenOverflows = readListenOverflows() - overflowsBefore
    const rssPeakBytes = readRssPeak(pid)
    await server.stop()
    const { dirty, resident, rest } = seen
    if (rest === undefined) throw new Error('The rest was not measured.')
    return { ...result, dirty, resident, rest, rssPeakBytes, listenOverflows }
  } finally {
    await server.kill()
  }
}

/** Looks at the server whenever the generator says that it is the time to. */
function watch(pid: number, cores: BenchContext['cores']) {
  let stop: (() => Used) | undefined
  const seen = {
    dirty: [] as Night['dirty'],
    resident: [] as Night['resident'],
    rest: undefined as Used | undefined,
    mark(name: string, generator: number): void {
      const [word, connections] = name.split(' ')
      if (name === IDLE_MARKS.resting)
        stop = startUsage({ servers: [pid], generators: [generator], cores })
      else if (name === IDLE_MARKS.rested) seen.rest = stop!()
      else if (word === 'settled') {
        const { privateDirtyBytes, rssBytes } = readMemory(pid)
        seen.dirty.push([Number(connections), privateDirtyBytes])
        seen.resident.push([Number(connections), rssBytes])
      }
    },
  }
  return seen
}

function measured(size: Size, run: Night): Measured {
  const connections = run.connections
  const bytesPerConnection = slope(run.dirty)
  const serverCores = run.rest.serverCpuS / run.rest.seconds
  const perSecond = connections / run.rampS
  const lastMs = Math.max(...run.wakesMs.map(({ max }) => max))
  return {
    scenario: 'night',
    subject: 'parley',
    load:
      `${amount(connections)} connections with ${ROOMS_EACH} subscriptions each, idle for ` +
      `${size.restMs / 1_000} s, then one message to all`,
    unit: 'connections',
    durable: 'fsync before the acknowledgement',
    ordered: 'gapless numbers',
    perSecond,
    count: connections,
    lost: run.lost,
    latencyMs: run.wakesMs.find(({ max }) => max === lastMs)!,
    serverCores,
    generatorCores: run.rest.generatorCpuS / run.rest.seconds,
    disturbed: run.rest.disturbed,
    rssMiB: run.rssPeakBytes / 2 ** 20,
    bytesPerConnection,
    listenOverflows: run.listenOverflows,
    runs: run.wakesMs.map(({ max }) => max),
    goals: nightGoals(GOALS, { bytesPerConnection, serverCores, perSecond, lastMs }, run.lost),
    notes: notesOf(size, run),
    faults: faultsOf(size, run),
  }
}

/** What is asked of a night, on one node or on several. */
export function nightGoals(
  { connectionKb, cores, rampPerS, lastMs }: typeof GOALS,
  got: { bytesPerConnection: number; serverCores: number; perSecond: number; lastMs: number },
  lost: number,
): Goal[] {
  const wokenMs = lost > 0 ? Number.POSITIVE_INFINITY : got.lastMs
  return [
    atMost('user memory of a connection', connectionKb, got.bytesPerConnection / 1_000, 'KB'),
    atMost('CPU while idle', cores, got.serverCores, 'core'),
    atLeast('connections a second, with their subscriptions', rampPerS, got.perSecond, ''),
    atMost('time until the last one has the message', lastMs, wokenMs, 'ms'),
  ]
}

function notesOf(size: Size, run: Night): string[] {
  const steps = run.dirty.map(([count, bytes], i) => {
    const mib = (value: number) => (value / 2 ** 20).toFixed(1)
    return `${amount(count)}: ${mib(bytes)} of ${mib(run.resident[i]![1])}`
  })
  return [
    `Memory is private and dirty, the slope over ${size.groups} groups, each left alone for ` +
      `${size.settleMs / 1_000} s; what the kernel keeps for the sockets is not in it.`,
    `The slope of all resident memory is ${amount(slope(run.resident))} bytes a connection.`,
    `Private of resident MiB: ${steps.join('; ')}.`,
    `${amount(run.pings)} heartbeats were answered in the rest.`,
    `One message ${run.wakesMs.length} times; the worst counts.`,
  ]
}

/** Without its heartbeats an idle server would cost less than it does. */
function faultsOf(size: Size, run: Night): string[] {
  const due = run.connections * Math.min(1, size.restMs / HEARTBEAT_MS)
  const missed =
    run.pings < due * PINGS_SHARE_MIN
      ? [`only ${run.pings} heartbeats came in the rest; ${due} were due`]
      : []
  return [...run.faults, ...missed]
}
