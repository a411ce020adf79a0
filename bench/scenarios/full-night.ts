/**
 * *full night*: more signed-in connections than one process may hold open here, so on six nodes
 * with PostgreSQL and NATS, ten subscriptions each, and nothing to say; then one message, posted at
 * one node, to all of them. As in *night*, memory is the slope over groups of connections.
 *
 * Each node has a generator process of its own. They take every step together: bench waits until
 * all have told a mark, looks at the servers, and gives all of them their turn.
 */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Backend, Nodes } from '../cluster.ts'
import { IDLE_MARKS, type IdleJob, type IdleResult, turnAfter } from '../generator/jobs/idle.ts'
import { generate } from '../generator-process.ts'
import { readMemory } from '../memory.ts'
import { seedPeopleInPostgres } from '../people.ts'
import type { Measured } from '../record.ts'
import { slope } from '../stats.ts'
import { readListenOverflows, readRssBytes, startUsage, type Used } from '../usage.ts'
import { nightGoals } from './night.ts'
import { amount, type BenchContext, type Scenario } from './scenario.ts'

const ROOMS = 1_000
const ROOMS_EACH = 10
const TEXT_BYTES = 128
const WAKES = 3
const WAKE_MS_MAX = 20_000
/** From the turn until the post: all have read by then when it is to be. */
const WAKE_AFTER_MS = 500
/** The server's default. */
const HEARTBEAT_MS = 20_000
const PINGS_SHARE_MIN = 0.9

export interface NightSize {
  nodes: number
  connections: number
  groups: number
  settleMs: number
  restMs: number
}

const CALM = { nodes: 6, settleMs: 6_000 }
const FULL: NightSize = { ...CALM, connections: 100_000, groups: 5, restMs: 120_000 }
const QUICK: NightSize = { ...CALM, connections: 6_000, groups: 3, restMs: 20_000 }

const GOALS = { connectionKb: 2.5, cores: 0.05, rampPerS: 10_000, lastMs: 1_000 }

interface Night {
  results: IdleResult[]
  dirty: [connections: number, bytes: number][]
  rest: Used
  rssBytes: number
  /** Of PostgreSQL and NATS alone. */
  backendBytes: number
  listenOverflows: number
}

/** Once, however many runs are asked for: the groups are its repetitions. */
export const fullNight: Scenario = {
  name: 'full-night',
  run: async (context) => [await measureFullNight(context.quick ? QUICK : FULL, context)],
}

export async function measureFullNight(size: NightSize, context: BenchContext): Promise<Measured> {
  const core = context.cores?.server
  const backend = await Backend.start(core)
  context.progress.begin('full night')
  try {
    const nodes = await Nodes.start(backend, { count: size.nodes, core })
    const night = await runOn(nodes, backend, size, context).finally(() => nodes.stop())
    return measured(size, night)
  } finally {
    context.progress.end()
    await backend.remove()
  }
}

async function runOn(
  nodes: Nodes,
  backend: Backend,
  size: NightSize,
  context: BenchContext,
): Promise<Night> {
  const { connections } = size
  const people = { users: connections, rooms: ROOMS }
  const { tokens, rooms } = await seedPeopleInPostgres(nodes.databaseUrl, people)
  const folder = mkdtempSync(join(tmpdir(), 'parley-turns-'))
  const watch = new Watch(nodes, folder, context)
  const overflowsBefore = readListenOverflows()
  try {
    const results = await Promise.all(
      nodes.servers.map(({ port }, i) => {
        const of = (share: number) => Math.round((share / size.nodes) * connections)
        const own = tokens.slice(of(i), of(i + 1))
        const job: IdleJob = {
          ...{ kind: 'idle', port, dialect: join(import.meta.dir, '../generator/parley.ts') },
          setup: { rooms, textBytes: TEXT_BYTES, tokens: own, options: {} },
          ...{ ...size, connections: own.length, roomsEach: ROOMS_EACH },
          ...{ wakes: WAKES, wakeMsMax: WAKE_MS_MAX, together: { folder, posts: i === 0 } },
        }
        return generate<IdleResult>(job, {
          ...{ core: context.cores?.generator, profileFolder: context.profileFolder },
          mark: (mark, pid) => watch.marked(mark, pid),
        })
      }),
    )
    return {
      ...{ results, dirty: watch.dirty, rest: watch.rest! },
      rssBytes: readRssBytes(nodes.servers.map(({ pid }) => pid)),
      backendBytes: readRssBytes(backend.pids),
      listenOverflows: readListenOverflows() - overflowsBefore,
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Looks at the servers when all generators have come to the same point, and lets them go on. */
class Watch {
  readonly dirty: Night['dirty'] = []
  rest: Used | undefined
  readonly #nodes: Nodes
  readonly #folder: string
  readonly #context: BenchContext
  readonly #generators = new Set<number>()
  #connections = 0
  #waiting: string[] = []
  #stop: (() => Used) | undefined

  constructor(nodes: Nodes, folder: string, context: BenchContext) {
    this.#nodes = nodes
    this.#folder = folder
    this.#context = context
  }

  marked(mark: string, generator: number): void {
    this.#generators.add(generator)
    const [word, count] = mark.split(' ')
    if (word === 'settled') this.#connections += Number(count)
    this.#context.progress.say(mark)
    // Groups may differ by one connection, and so may the marks' names.
    this.#waiting.push(mark)
    if (this.#waiting.length < this.#nodes.servers.length) return
    this.#look(word!)
    for (const name of new Set(this.#waiting)) this.#giveTurn(name)
    this.#waiting = []
    this.#connections = 0
  }

  #look(word: string): void {
    const servers = this.#nodes.servers.map(({ pid }) => pid)
    if (word === 'settled') {
      const bytes = servers.reduce((sum, pid) => sum + readMemory(pid).privateDirtyBytes, 0)
      this.dirty.push([this.#connections, bytes])
    } else if (word === IDLE_MARKS.resting) {
      const { cores } = this.#context
      const parties = { servers: this.#nodes.pids, generators: [...this.#generators], cores }
      this.#stop = startUsage(parties)
    } else if (word === IDLE_MARKS.rested) this.rest = this.#stop!()
  }

  /** Whole when it appears. */
  #giveTurn(mark: string): void {
    const path = join(this.#folder, turnAfter(mark))
    writeFileSync(`${path}.part`, String(Date.now() + WAKE_AFTER_MS))
    renameSync(`${path}.part`, path)
  }
}

function measured(size: NightSize, night: Night): Measured {
  const { results, rest } = night
  const sum = (of: (result: IdleResult) => number) =>
    results.reduce((total, result) => total + of(result), 0)
  const connections = sum((result) => result.connections)
  const worst = results.flatMap(({ wakesMs }) => wakesMs).reduce((a, b) => (b.max > a.max ? b : a))
  const bytesPerConnection = slope(night.dirty)
  const perSecond = connections / Math.max(...results.map(({ rampS }) => rampS))
  const serverCores = rest.serverCpuS / rest.seconds
  const lost = sum((result) => result.lost)
  // In less than one interval few are due, and by chance.
  const due = size.restMs < HEARTBEAT_MS ? 0 : connections
  const pings = sum((result) => result.pings)
  return {
    scenario: 'full night',
    subject: 'parley',
    load:
      `${amount(connections)} connections at ${size.nodes} nodes with ${ROOMS_EACH} ` +
      `subscriptions each, idle for ${size.restMs / 1_000} s, then one message to all`,
    unit: 'connections',
    durable: 'fsync before the acknowledgement',
    ordered: 'gapless numbers',
    ...{ perSecond, count: connections, lost, latencyMs: worst, serverCores, bytesPerConnection },
    generatorCores: rest.generatorCpuS / rest.seconds,
    disturbed: rest.disturbed,
    rssMiB: night.rssBytes / 2 ** 20,
    listenOverflows: night.listenOverflows,
    goals: nightGoals(
      GOALS,
      { bytesPerConnection, serverCores, perSecond, lastMs: worst.max },
      lost,
    ),
    notes: [
      `Memory is private and dirty, of all nodes together, the slope over ${size.groups} groups.`,
      `CPU is that of the nodes, PostgreSQL and NATS together; ${amount(pings)} heartbeats.`,
      `PostgreSQL and NATS have ${amount(night.backendBytes / 2 ** 20)} MiB besides.`,
      `One message ${WAKES} times; the worst counts. Percentiles are of the slowest node.`,
    ],
    faults: [
      ...results.flatMap(({ faults }) => faults),
      ...(pings < due * PINGS_SHARE_MIN ? [`only ${pings} heartbeats came; ${due} were due`] : []),
    ],
  }
}
