/**
 * *cluster*: the same loads on one node with SQLite, on one with PostgreSQL, and on two and three
 * with PostgreSQL and NATS. Everything but the generator shares one core, so that a second node
 * cannot make anything faster: what is left of the rate is what the node costs.
 *
 * 1. *Posts*: many in flight, in rooms in which each node has its own connections.
 * 2. *Town*: as the scenario of that name, its lightest step; everyone's readers are on all nodes.
 * 3. *Across*: all posts at one node, all readers at another.
 */
import { Backend, Nodes } from '../cluster.ts'
import { createRooms, signUpUsers } from '../people.ts'
import type { Measured } from '../record.ts'
import { ServerProcess } from '../server.ts'
import { type PostsLoad, postTo } from './posts.ts'
import { medianRate } from './runs.ts'
import { atLeast, atMost, type BenchContext, noneOf, type Scenario } from './scenario.ts'
import { combineRuns, parley } from './subjects.ts'
import { measureTalk, type Subject, type Talk } from './talk.ts'
import { step, townRooms, townTalk } from './town.ts'

const POSTS: PostsLoad = { connections: 120, inFlightMax: 64, rooms: 40 }
const TOWN_POSTS_PER_S = 1_000
const TOWN_S = { quick: 6, full: 30 }
const ACROSS = { rooms: 100, readersEach: 10, postsPerSecond: 1_000, warmUpS: 2 }
const ACROSS_S = { quick: 5, full: 20 }
const TEXT_BYTES = 128

const POSTS_PER_S_MIN = 20_000
const ACROSS_P99_MS_MAX = 25

interface Layout {
  words: string
  nodes: number
  isEmbedded?: boolean
}

const LAYOUTS: Layout[] = [
  { words: 'one node, SQLite', nodes: 1, isEmbedded: true },
  { words: 'one node, PostgreSQL', nodes: 1 },
  { words: 'two nodes, PostgreSQL and NATS', nodes: 2 },
  { words: 'three nodes, PostgreSQL and NATS', nodes: 3 },
]

/** Servers that share their data, and whatever they need. */
export interface Running {
  servers: readonly ServerProcess[]
  pids: readonly number[]
  stop(): Promise<void>
}

export const cluster: Scenario = {
  name: 'cluster',
  async run(context) {
    const backend = await Backend.start(context.cores?.server)
    try {
      const start = (layout: Layout) => startLayout(layout, backend, context)
      return [
        ...(await measureEachLayout(start, context)),
        ...(await measureAcross(start, context)),
      ]
    } finally {
      await backend.remove()
    }
  },
}

type Start = (layout: Layout) => Promise<Running>

async function startLayout(
  { nodes: count, isEmbedded }: Layout,
  backend: Backend,
  { cores, profileFolder }: BenchContext,
): Promise<Running> {
  const core = cores?.server
  if (!isEmbedded) return Nodes.start(backend, { count, core })
  const server = await ServerProcess.start({ script: 'src/main.ts', core, profileFolder })
  return { servers: [server], pids: [server.pid], stop: () => server.stop() }
}

async function measureEachLayout(start: Start, context: BenchContext): Promise<Measured[]> {
  const rows: Measured[] = []
  for (const layout of LAYOUTS) {
    const posts: Measured[] = []
    const towns: Measured[] = []
    for (let run = 0; run < context.runs; run++) {
      posts.push(await onRunning(start, layout, (running) => runPosts(layout, running, context)))
      towns.push(
        ...(await onRunning(start, layout, (running) => runTown(layout, running, context))),
      )
    }
    rows.push(withGoals(layout, medianRate(posts)), ...combineRuns([towns]))
  }
  return withCosts(rows)
}

async function onRunning<T>(
  start: Start,
  layout: Layout,
  work: (running: Running) => Promise<T>,
): Promise<T> {
  const running = await start(layout)
  try {
    const result = await work(running)
    await running.stop()
    return result
  } catch (error) {
    await running.stop().catch(() => {})
    throw error
  }
}

function runPosts(
  { words }: Layout,
  { servers, pids }: Running,
  context: BenchContext,
): Promise<Measured> {
  const { connections, inFlightMax } = POSTS
  const load = `posts, ${words}: ${connections} sockets × ${inFlightMax} in flight`
  return postTo(servers, pids, POSTS, { scenario: 'cluster', load }, context)
}

function withGoals({ nodes, isEmbedded }: Layout, row: Measured): Measured {
  if (nodes > 1 || isEmbedded) return row
  const { perSecond = 0 } = row
  return { ...row, goals: [atLeast('posts a second', POSTS_PER_S_MIN, perSecond, '')] }
}

/** Each load's CPU beside that of the same load on one node with PostgreSQL. */
function withCosts(rows: readonly Measured[]): Measured[] {
  return rows.map((row) => {
    const isSameLoad = ({ unit, load }: Measured) =>
      unit === row.unit && load.includes('one node, PostgreSQL')
    const alone = rows.find(isSameLoad)
    if (alone === undefined || alone === row || !row.perCpuSecond) return row
    const percent = Math.round((row.perCpuSecond / alone.perCpuSecond!) * 100)
    return {
      ...row,
      notes: [`for each second of CPU ${percent} % of what one node on PostgreSQL does with it`],
    }
  })
}

async function runTown(
  { words }: Layout,
  { servers, pids }: Running,
  context: BenchContext,
): Promise<Measured[]> {
  const phase = step(TOWN_POSTS_PER_S, context.quick ? TOWN_S.quick : TOWN_S.full)
  const talk = townTalk('cluster', [{ ...phase, loads: [`town, ${words}: ${phase.loads[0]}`] }])
  const [shape] = talk.crowd
  const connections = shape!.connections / servers.length
  const crowd = servers.map(({ port }, i) => ({
    ...shape!,
    connections: Math.floor((i + 1) * connections) - Math.floor(i * connections),
    port,
  }))
  const subject = await subjectOf(servers, pids, townRooms)
  return (await measureTalk({ ...talk, crowd }, subject, context)).flat()
}

async function measureAcross(start: Start, context: BenchContext): Promise<Measured[]> {
  const [, , two] = LAYOUTS
  const load = { ...ACROSS, seconds: context.quick ? ACROSS_S.quick : ACROSS_S.full }
  const runs: Measured[][] = []
  for (let run = 0; run < context.runs; run++)
    runs.push(await onRunning(start, two!, (running) => runAcross(running, load, context)))
  return combineRuns(runs).map((row) => ({
    ...row,
    goals: [
      atMost('p99 from one node to the other', ACROSS_P99_MS_MAX, row.latencyMs!.p99, 'ms'),
      noneOf('deliveries lost', row.lost ?? 0),
    ],
  }))
}

/** Who posts is the first of its room, at the first node; all others are at the second. */
export async function runAcross(
  { servers, pids }: Running,
  { rooms, readersEach, postsPerSecond, warmUpS, seconds }: typeof ACROSS & { seconds: number },
  context: BenchContext,
): Promise<Measured[]> {
  const [here, there] = servers.map(({ port }) => port)
  const place = { from: 0, rooms, roomsEach: 1 }
  const talk: Talk = {
    ...{ scenario: 'cluster', textBytes: TEXT_BYTES },
    crowd: [
      { ...place, connections: rooms, port: here! },
      { ...place, connections: rooms * readersEach, port: there! },
    ],
    phases: [
      {
        ...{ name: 'across', warmUpS, seconds, drainSMax: 10 },
        schedules: [{ from: 0, rooms, postsPerSecond }],
        loads: [
          `across, two nodes: ${postsPerSecond} posts/s at one, ${readersEach} of each room's ` +
            `${readersEach + 1} readers at the other`,
        ],
      },
    ],
  }
  const subject = { ...(await subjectOf(servers, pids, rooms)), senders: 'one a room' as const }
  return (await measureTalk(talk, subject, context)).flat()
}

async function subjectOf(
  servers: readonly ServerProcess[],
  pids: readonly number[],
  roomCount: number,
): Promise<Subject> {
  const [first] = servers as [ServerProcess]
  const tokens = await signUpUsers(first.url)
  const rooms = await createRooms(first.url, tokens[0]!, roomCount)
  return { ...parley(first, rooms, tokens), pids }
}
