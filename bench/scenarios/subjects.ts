/** The two servers that every scenario of talk is measured on. */
import { bareRooms, setTick, startBareLoop } from '../peers/bare-loop.ts'
import { createRooms, signUpUsers } from '../people.ts'
import type { Measured } from '../record.ts'
import { ServerProcess } from '../server.ts'
import { median } from '../stats.ts'
import type { BenchContext } from './scenario.ts'
import { measureTalk, type Subject, type Talk, type TalkEvents } from './talk.ts'

/** Signed up; the connections share their sessions, for signing ten thousand in is another load. */
const USERS = 8
const DIALECT = new URL('../generator/parley.ts', import.meta.url).pathname
const DEFLATED = new URL('../generator/parley-deflated.ts', import.meta.url).pathname

/** Runs Parley, fresh, under a talk. */
export function measureParley(
  talk: Talk,
  rooms: number,
  context: BenchContext,
  events?: TalkEvents,
): Promise<Measured[][]> {
  return measure({}, talk, rooms, context, events)
}

/** The same, with readers who all ask for deflated frames. */
export function measureDeflated(
  talk: Talk,
  rooms: number,
  context: BenchContext,
): Promise<Measured[][]> {
  return measure({ name: 'parley, deflated', dialect: DEFLATED }, talk, rooms, context)
}

async function measure(
  differs: Partial<Subject>,
  talk: Talk,
  rooms: number,
  context: BenchContext,
  events?: TalkEvents,
): Promise<Measured[][]> {
  const { cores, profileFolder } = context
  const server = await ServerProcess.start({
    script: 'src/main.ts',
    core: cores?.server,
    profileFolder,
  })
  return stopping(server, async () => {
    const tokens = await signUpUsers(server.url, USERS)
    const subject = parley(server, await createRooms(server.url, tokens[0]!, rooms), tokens)
    return measureTalk(talk, { ...subject, ...differs }, context, events)
  })
}

export function parley(
  server: ServerProcess,
  rooms: readonly string[],
  tokens: readonly string[],
): Subject {
  return {
    name: 'parley',
    durable: 'fsync before the acknowledgement',
    ordered: 'gapless numbers',
    port: server.port,
    pids: [server.pid],
    dialect: DIALECT,
    rooms,
    tokens,
    promises: true,
  }
}

/** Runs the bare loop under a talk, with its best tick for each phase. */
export async function measureBareLoop(
  talk: Talk,
  rooms: number,
  ticksMs: readonly number[],
  context: BenchContext,
): Promise<Measured[][]> {
  const server = await startBareLoop(context.cores?.server)
  const subject: Subject = {
    name: 'bare loop',
    durable: 'stores nothing',
    ordered: 'gapless numbers',
    port: server.port,
    pids: [server.pid],
    dialect: DIALECT,
    rooms: bareRooms(rooms),
    tokens: [],
    promises: true,
    phaseBegins: (phase) => void setTick(server, ticksMs[phase]!),
  }
  return stopping(server, () => measureTalk(talk, subject, context))
}

/** A server that does not end in good order takes its measurement with it. */
export async function stopping<T>(server: ServerProcess, work: () => Promise<T>): Promise<T> {
  try {
    const result = await work()
    await server.stop()
    return result
  } catch (error) {
    await server.stop().catch(() => {})
    throw error
  }
}

/** The same load of each run, made one, in the order of the first run. */
export function combineRuns(runs: readonly Measured[][]): Measured[] {
  return [...Map.groupBy(runs.flat(), ({ load }) => load).values()].map(medianRun)
}

/**
 * Of several runs of the same load, the one with the median p99, with the p99 of each; but what was
 * lost or went wrong in any of them is told.
 */
function medianRun(runs: readonly Measured[]): Measured {
  const p99s = runs.map(({ latencyMs }) => latencyMs?.p99 ?? 0)
  const chosen = runs[p99s.indexOf(median(p99s))]!
  if (runs.length === 1) return chosen
  const worst = (figure: (run: Measured) => number | undefined) =>
    Math.max(...runs.map((run) => figure(run) ?? 0))
  return {
    ...chosen,
    runs: p99s,
    ...(chosen.lost !== undefined && { lost: worst(({ lost }) => lost) }),
    ...(chosen.rssMiB !== undefined && { rssMiB: worst(({ rssMiB }) => rssMiB) }),
    faults: runs.flatMap(({ faults = [] }) => faults),
  }
}
