/**
 * *blackout*: everyone is cut off at once, misses some fifty events in each of ten rooms, and comes
 * back within one second. Warm: the server has gone on all the while. Cold: it was killed, and is
 * started again on the same data.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { RESUME_MARKS, type ResumeJob, type ResumeResult } from '../generator/jobs/resume.ts'
import { generate } from '../generator-process.ts'
import { readRssPeak } from '../memory.ts'
import { seedPeople } from '../people.ts'
import type { Goal, Measured } from '../record.ts'
import { makeDataFolder, ServerProcess } from '../server.ts'
import { median } from '../stats.ts'
import { readListenOverflows, readUsage } from '../usage.ts'
import { amount, atMost, type BenchContext, noneOf, type Scenario } from './scenario.ts'

const READERS = 10_000
const READERS_QUICK = 2_000
const ROOMS = 1_000
const ROOMS_EACH = 10
const SEEN_POSTS = 5
const MISSED_POSTS = 50
/** As in *town*, whose people these are. */
const TEXT_BYTES = 128
const RETURN_MS = 1_000
const RETURN_MS_MAX = 30_000

interface Variant {
  name: 'warm' | 'cold'
  /** What the time counts from. */
  from: string
  goalMs: number
}

const VARIANTS: readonly Variant[] = [
  { name: 'warm', from: 'the first connect', goalMs: 1_500 },
  { name: 'cold', from: 'listening again after kill -9', goalMs: 3_000 },
]

interface Run extends ResumeResult {
  serverCpuS: number
  rssPeakBytes: number
  listenOverflows: number
}

export const blackout: Scenario = {
  name: 'blackout',
  async run(context) {
    const measured: Measured[] = []
    for (const variant of VARIANTS) {
      const runs: Run[] = []
      const readers = context.quick ? READERS_QUICK : READERS
      const shape = { readers, rooms: ROOMS, killed: variant.name === 'cold' }
      for (let i = 0; i < context.runs; i++) runs.push(await runBlackout(shape, context))
      measured.push(summed(variant, runs))
    }
    return measured
  },
}

export interface BlackoutShape {
  readers: number
  rooms: number
  /** The server, too: `kill -9`, and started again. */
  killed: boolean
}

export async function runBlackout(shape: BlackoutShape, context: BenchContext): Promise<Run> {
  const folder = makeDataFolder()
  context.progress.begin(`blackout, ${shape.killed ? 'cold' : 'warm'}`)
  try {
    return await runOn(folder, shape, context)
  } finally {
    context.progress.end()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function runOn(folder: string, shape: BlackoutShape, context: BenchContext): Promise<Run> {
  const { cores, profileFolder, progress } = context
  const { readers, killed } = shape
  const { tokens, rooms, epoch } = seedPeople(folder, { users: readers, rooms: shape.rooms })
  const start = (env: Record<string, string>) =>
    ServerProcess.start({
      ...{ script: 'src/main.ts', core: cores?.server, profileFolder, folder, env },
    })
  let server = await start({})
  const { port } = server
  let restarted: Promise<void> | undefined
  const restart = async () => {
    await server.kill()
    server = await start({ PORT: String(port) })
  }
  const used = { cpuBeforeS: 0, cpuS: 0, overflowsBefore: 0, overflows: 0 }
  const mark = (name: string) => {
    if (name === RESUME_MARKS.posted && killed) restarted = restart()
    if (name === RESUME_MARKS.returning) {
      // After a restart all that the new process has used counts, its start included.
      used.cpuBeforeS = killed ? 0 : readUsage(server.pid).cpuSeconds
      used.overflowsBefore = readListenOverflows()
    }
    if (name !== RESUME_MARKS.returned) return
    used.cpuS = readUsage(server.pid).cpuSeconds - used.cpuBeforeS
    used.overflows = readListenOverflows() - used.overflowsBefore
  }
  const job: ResumeJob = {
    ...{ kind: 'resume', port, dialect: join(import.meta.dir, '../generator/parley.ts') },
    setup: { rooms, textBytes: TEXT_BYTES, tokens, options: {} },
    ...{ readers, roomsEach: ROOMS_EACH, epoch, killed },
    ...{ seenPosts: SEEN_POSTS, missedPosts: MISSED_POSTS },
    ...{ returnMs: RETURN_MS, returnMsMax: RETURN_MS_MAX },
  }
  try {
    const result = await generate<ResumeResult>(job, {
      ...{ core: cores?.generator, profileFolder, mark },
      progress: (told) => progress.tell(told, 'readers'),
    })
    await restarted
    const rssPeakBytes = readRssPeak(server.pid)
    await server.stop()
    return { ...result, serverCpuS: used.cpuS, listenOverflows: used.overflows, rssPeakBytes }
  } finally {
    await restarted?.catch(() => {})
    await server.kill()
  }
}

/** One measurement of several runs: the median one, and what went wrong in any. */
function summed(variant: Variant, runs: readonly Run[]): Measured {
  const { name, goalMs } = variant
  const tookMs = runs.map(({ sinceFirstMs }) => sinceFirstMs.max)
  const run = runs.find(({ sinceFirstMs }) => sinceFirstMs.max === median(tookMs))!
  const sum = (of: (one: Run) => number) => runs.reduce((total, one) => total + of(one), 0)
  const seconds = run.sinceFirstMs.max / 1_000
  const lost = sum((one) => one.lost)
  const twice = sum((one) => one.twice)
  return {
    scenario: 'blackout',
    subject: 'parley',
    load: `${name}: ${amount(run.readers)} cut at once come back within ${RETURN_MS / 1_000} s`,
    unit: 'connections',
    durable: 'fsync before the acknowledgement',
    ordered: 'gapless numbers',
    offeredPerSecond: (run.readers / RETURN_MS) * 1_000,
    perSecond: run.complete / seconds,
    count: run.complete,
    lost,
    latencyMs: run.sinceFirstMs,
    serverCores: run.serverCpuS / seconds,
    generatorCores: run.generatorCpuS / seconds,
    perCpuSecond: run.complete / run.serverCpuS,
    rssMiB: Math.max(...runs.map(({ rssPeakBytes }) => rssPeakBytes)) / 2 ** 20,
    receivedBytes: run.receivedBytes,
    listenOverflows: run.listenOverflows,
    runs: tookMs,
    goals: goalsOf(goalMs, Math.max(...tookMs), {
      ...{ lost, twice, behind: sum(({ readers, complete }) => readers - complete) },
    }),
    notes: notesOf(variant, run, runs.length),
    faults: runs.flatMap(({ faults }) => faults),
  }
}

function goalsOf(
  goalMs: number,
  worstMs: number,
  { lost, twice, behind }: { lost: number; twice: number; behind: number },
): Goal[] {
  const lastMs = behind > 0 ? Number.POSITIVE_INFINITY : worstMs
  return [
    atMost('time until the last reader has everything', goalMs, lastMs, 'ms'),
    noneOf('events lost', lost),
    noneOf('events that came twice', twice),
  ]
}

function notesOf({ name, from }: Variant, run: Run, runs: number): string[] {
  const { p50, p99, max } = run.sinceOwnMs
  const ms = (value: number) => `${amount(value)} ms`
  return [
    `Times count from ${from} until a reader has all that it missed.`,
    `Counted for each reader from its own return: ${ms(p50)}, p99 ${ms(p99)}, at most ${ms(max)}.`,
    `${amount(run.deliveries)} events of ${TEXT_BYTES} bytes were resumed, about ${MISSED_POSTS} ` +
      `in each of ${ROOMS_EACH} rooms of each reader.`,
    `${amount(run.refused)} handshakes and ${amount(run.refusedRooms)} subscriptions were told ` +
      `to come later; ${amount(run.failed)} connections failed.`,
    ...(run.listenOverflows > 0
      ? [
          `The listen queue was full for ${amount(run.listenOverflows)} handshakes, which the ` +
            'kernel tries again after a second, and then after two more.',
        ]
      : []),
    ...(runs > 1 ? ['The goals are asked of the worst run.'] : []),
    ...(name === 'cold' ? ['The CPU of the server has its start in it.'] : []),
  ]
}
