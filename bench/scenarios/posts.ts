/** The first half of *ledger*: durable posts, each acknowledgement checked. */
import { FreshDatabase } from '../fresh-database.ts'
import type { PostsJob, PostsResult } from '../generator/jobs/posts.ts'
import { createRooms, readHeads, signUpUsers } from '../people.ts'
import type { Goal, Measured } from '../record.ts'
import { ServerProcess } from '../server.ts'
import { SlowDisk } from '../slow-disk.ts'
import { measureLoad } from './load.ts'
import { medianRate } from './runs.ts'
import { amount, atLeast, atMost, type BenchContext } from './scenario.ts'
import { stopping } from './subjects.ts'

const ROOMS = 100
const TEXT_BYTES = 128
const WARM_UP_S = 2
const SECONDS = { quick: 4, full: 15 }
const FINISH_S = 15

/** One kind of load. */
export interface PostsLoad {
  /** As many as *ledger* has, if it is left out. */
  rooms?: number
  connections: number
  inFlightMax: number
  /** Of an open loop. */
  postsPerSecond?: number
  /** What a sync takes longer. */
  syncMs?: number
}

const PATIENT: PostsLoad = { connections: 10_000, inFlightMax: 1 }
const PIPELINED: PostsLoad = { connections: 100, inFlightMax: 64 }
const OPEN: PostsLoad = { connections: 1_000, inFlightMax: 1_000, postsPerSecond: 20_000 }
const SLOW_SYNCS_MS = [1, 5]

const PATIENT_PER_S_MIN = 50_000
const PIPELINED_PER_S_MIN = 100_000
const OPEN_P99_MS_MAX = 20
/** The sync at which the rate must still be so much of that without it. */
const SLOW = { syncMs: 5, percentMin: 90 }

export async function measurePosts(context: BenchContext): Promise<Measured[]> {
  // It slows the server's own disk down, which is not PostgreSQL's.
  const disk = context.postgresUrl === undefined ? SlowDisk.build() : 'PostgreSQL keeps the data'
  const loads = [PATIENT, PIPELINED, OPEN]
  if (disk instanceof SlowDisk)
    loads.push(...SLOW_SYNCS_MS.map((syncMs) => ({ ...PIPELINED, syncMs })))
  const rows: Measured[] = []
  let pipelinedPerSecond = 0
  for (const load of loads) {
    const env = load.syncMs && disk instanceof SlowDisk ? disk.env(load.syncMs) : {}
    const runs: Measured[] = []
    for (let run = 0; run < context.runs; run++)
      runs.push(
        await withDatabase(context, (more) => measureOnce(load, { ...env, ...more }, context)),
      )
    const row = medianRate(runs)
    if (load === PIPELINED) pipelinedPerSecond = row.perSecond!
    rows.push({ ...row, goals: goalsOf(load, row, pipelinedPerSecond) })
  }
  if (disk instanceof SlowDisk) disk.remove()
  else rows[1]!.notes = [`with slower syncs it was not measured: ${disk}`]
  return rows
}

/** Gives the settings for a database of its own, if it is not to be the embedded one. */
async function withDatabase<T>(
  { postgresUrl }: BenchContext,
  work: (env: Record<string, string>) => Promise<T>,
): Promise<T> {
  if (postgresUrl === undefined) return work({})
  const database = await FreshDatabase.create(postgresUrl)
  return work({ DATABASE_URL: database.url }).finally(() => database.drop())
}

async function measureOnce(
  load: PostsLoad,
  env: Record<string, string>,
  context: BenchContext,
): Promise<Measured> {
  const { cores, profileFolder } = context
  const server = await ServerProcess.start({
    ...{ script: 'src/main.ts', core: cores?.server, env, profileFolder },
  })
  const names = { scenario: 'ledger', load: describe(load) }
  return stopping(server, () => postTo([server], [server.pid], load, names, context))
}

/**
 * One run of a load on servers that share their data; `pids` are all that they need, the database
 * included. What they count in the end is compared with what they acknowledged.
 */
export async function postTo(
  servers: readonly ServerProcess[],
  pids: readonly number[],
  { rooms: roomCount = ROOMS, connections, inFlightMax, postsPerSecond }: PostsLoad,
  names: { scenario: string; load: string },
  context: BenchContext,
): Promise<Measured> {
  const [{ url }] = servers as [ServerProcess]
  const tokens = await signUpUsers(url)
  const rooms = await createRooms(url, tokens[0]!, roomCount)
  const job: PostsJob = {
    kind: 'posts',
    ports: servers.map(({ port }) => port),
    tokens,
    rooms,
    textBytes: TEXT_BYTES,
    connections,
    inFlightMax,
    ...(postsPerSecond !== undefined && { postsPerSecond }),
    warmUpS: WARM_UP_S,
    seconds: context.quick ? SECONDS.quick : SECONDS.full,
    finishS: FINISH_S,
  }
  const promises = {
    durable: 'fsync before the acknowledgement',
    ordered: 'gapless numbers',
  }
  const { measured, result } = await measureLoad<PostsResult>(
    { ...names, ...promises, unit: 'posts' },
    job,
    pids,
    context,
  )
  const heads = await readHeads(url, tokens[0]!)
  const wrong = compareHeads(rooms, heads, result.acknowledged)
  return {
    ...measured,
    ...(postsPerSecond !== undefined && { offeredPerSecond: postsPerSecond }),
    faults: [...measured.faults!, ...wrong],
  }
}

/** What the server counts must be what it acknowledged: no more, no less. */
export function compareHeads(
  rooms: readonly string[],
  heads: ReadonlyMap<string, number>,
  acknowledged: readonly number[],
): string[] {
  const wrong = rooms.flatMap((id, room) => {
    const head = heads.get(id)
    if (head === acknowledged[room]) return []
    return [`room ${room}: the head is ${head}, but ${acknowledged[room]} posts were acknowledged`]
  })
  return wrong.length <= 1 ? wrong : [wrong[0]!, `and ${wrong.length - 1} more rooms like that`]
}

function describe({ connections, inFlightMax, postsPerSecond, syncMs }: PostsLoad): string {
  const sockets = `${amount(connections)} sockets`
  const slow = syncMs === undefined ? '' : `, a sync takes ${syncMs} ms longer`
  if (postsPerSecond === undefined) return `${sockets} × ${inFlightMax} in flight${slow}`
  return `${amount(postsPerSecond)} posts/s from ${sockets}${slow}`
}

function goalsOf(load: PostsLoad, row: Measured, pipelinedPerSecond: number): Goal[] {
  const { perSecond = 0, latencyMs } = row
  const rate = 'posts a second'
  if (load === PATIENT) return [atLeast(rate, PATIENT_PER_S_MIN, perSecond, '')]
  if (load === PIPELINED) return [atLeast(rate, PIPELINED_PER_S_MIN, perSecond, '')]
  if (load === OPEN)
    return [atMost('p99 of an acknowledgement', OPEN_P99_MS_MAX, latencyMs!.p99, 'ms')]
  if (load.syncMs !== SLOW.syncMs) return []
  const percent = (perSecond / pipelinedPerSecond) * 100
  return [atLeast('of the rate without slower syncs', SLOW.percentMin, percent, '%')]
}
