/** The parts of the benchmark. Each has a server of its own, with fresh data. */
import { Publisher, Readers } from './fan-out.ts'
import { type Cores, openFilesMax } from './machine.ts'
import { createRoom, readHead, signUpUsers } from './people.ts'
import { openHttpLoad, openSocketLoad, type PostLoad } from './post-load.ts'
import { latencyOf, type Progress, type Row } from './report.ts'
import { ServerProcess } from './server.ts'
import { Faults, Histogram, median, slope } from './stats.ts'
import { readUsage, startUsage, type Used } from './usage.ts'
import { encodeRequest } from './wire.ts'

export interface PartOptions {
  quick: boolean
  cores: Cores | undefined
  progress: Progress
  profileFolder?: string | undefined
}

export interface Part {
  name: string
  run: (options: PartOptions) => Promise<Row[]>
}

export const parts: readonly Part[] = [
  { name: 'http', run: postsByHttp },
  { name: 'floor', run: bareLoop },
  { name: 'socket', run: postsBySocket },
  { name: 'fan-out', run: fanOut },
  { name: 'memory', run: memory },
]

const TEXT = 'The quick brown fox jumps over the lazy dog. '.repeat(3).slice(0, 128)
const CONNECTIONS = 256
const IN_FLIGHT = 16
const READERS = 1_000
const FAN_OUT_POSTS_PER_S = 100
const MEMORY_POSTS_PER_S = 10
const MEMORY_STEPS = [1_000, 5_000, 10_000]
const MEMORY_STEPS_QUICK = [500, 1_000, 2_000]
/** Files a process needs besides the connections of a load. */
const OTHER_FILES = 100
/** Between two looks at the progress, or at the memory. */
const STEP_MS = 250

function times({ quick }: PartOptions) {
  return quick ? { warmUpMs: 1_000, measureMs: 3_000 } : { warmUpMs: 2_000, measureMs: 10_000 }
}

/** Part 1. */
async function postsByHttp(options: PartOptions): Promise<Row[]> {
  return withServer('src/main.ts', options, async (server, faults) => {
    const tokens = await signUpUsers(server.url)
    const room = await createRoom(server.url, tokens[0]!)
    const path = `/room/${room}`
    const requests = tokens.map((token) =>
      encodeRequest({ method: 'POST', path: `${path}/messages`, token, body: { text: TEXT } }),
    )
    const requestOf = (index: number) => requests[index % requests.length]!
    const load = await openHttpLoad({
      port: server.port,
      connections: CONNECTIONS,
      requestOf,
      faults,
    })
    const row = await measurePosts(server, load, options)
    await checkHead(server, tokens[0]!, path, load)
    return [{ ...row, part: 'http', load: `${CONNECTIONS} connections × 1 in flight` }]
  })
}

/** The limit that part 1 is measured against. */
async function bareLoop(options: PartOptions): Promise<Row[]> {
  return withServer('bench/floor.ts', options, async (server, faults) => {
    // As many bytes as a real request, though nobody reads the token.
    const token = 'x'.repeat(43)
    const request = encodeRequest({
      ...{ method: 'POST', path: '/room/0123456789abcdef/messages', token },
      body: { text: TEXT },
    })
    const requestOf = () => request
    const load = await openHttpLoad({
      port: server.port,
      connections: CONNECTIONS,
      requestOf,
      faults,
    })
    const row = await measurePosts(server, load, options)
    await checkHead(server, token, '/', load)
    const notes = ['the bare loop: nothing is signed in, checked or told to anyone']
    return [{ ...row, part: 'floor', load: `${CONNECTIONS} connections × 1 in flight`, notes }]
  })
}

/** Part 2. */
async function postsBySocket(options: PartOptions): Promise<Row[]> {
  return withServer('src/main.ts', options, async (server, faults) => {
    const tokens = await signUpUsers(server.url)
    const room = await createRoom(server.url, tokens[0]!)
    const load = await openSocketLoad({
      ...{ port: server.port, connections: CONNECTIONS, inFlight: IN_FLIGHT, room, text: TEXT },
      tokenOf: (index) => tokens[index % tokens.length]!,
      faults,
    })
    const row = await measurePosts(server, load, options)
    await checkHead(server, tokens[0]!, `/room/${room}`, load)
    return [{ ...row, part: 'socket', load: `${CONNECTIONS} sockets × ${IN_FLIGHT} in flight` }]
  })
}

async function measurePosts(server: ServerProcess, load: PostLoad, options: PartOptions) {
  const { warmUpMs, measureMs } = times(options)
  const { tally } = load
  load.begin()
  await wait(warmUpMs, options.progress, () => 'warm-up')
  const latency = new Histogram()
  tally.latency = latency
  const usage = startUsage(server.pid, options.cores)
  await wait(measureMs, options.progress, (s) => `${Math.round(latency.count / s)} posts/s`)
  const used = usage()
  const { count } = latency
  // The last ones were sent in time, so their latencies belong to it, however long they take.
  await load.finish()
  return {
    unit: 'posts',
    perSecond: count / used.seconds,
    latencyMs: latencyOf(latency),
    ...usageColumns(used, count),
  }
}

/** What the server counts must be what it acknowledged: no more, no less. */
async function checkHead(server: ServerProcess, token: string, path: string, { tally }: PostLoad) {
  const head = await readHead(server.url, token, path)
  const { size } = tally.seqs
  tally.faults.check(head === size, `the head is ${head}, but ${size} posts were acknowledged`)
}

/** Part 3. */
async function fanOut(options: PartOptions): Promise<Row[]> {
  const { warmUpMs, measureMs } = times(options)
  return withServer('src/main.ts', options, async (server, faults) => {
    const { publisher, readers } = await openRoom(server, FAN_OUT_POSTS_PER_S, faults)
    await readers.add(READERS)
    publisher.start()
    await wait(warmUpMs, options.progress, () => 'warm-up')
    const usage = startUsage(server.pid, options.cores)
    const before = publisher.measure()
    readers.measureAfter(before)
    const { latency } = readers
    await wait(measureMs, options.progress, (s) => `${Math.round(latency.count / s)} deliveries/s`)
    await publisher.stop()
    await readers.finish(publisher.posted)
    const used = usage()
    const expected = (publisher.posted - before) * READERS
    faults.check(latency.count === expected, `${latency.count} deliveries instead of ${expected}`)
    readers.close()
    publisher.close()
    const sent = latencyOf(publisher.sendLag)
    const acknowledged = latencyOf(publisher.acknowledgement)
    return [
      {
        part: 'fan-out',
        load: `1 room × ${READERS} readers, ${FAN_OUT_POSTS_PER_S} posts/s`,
        unit: 'deliveries',
        perSecond: latency.count / used.seconds,
        latencyMs: latencyOf(latency),
        ...usageColumns(used, latency.count),
        notes: [
          'latency counts from the planned time of a post; its acknowledgement took ' +
            `${spread(acknowledged)}; the generator sent it late by ${spread(sent)}`,
        ],
      },
    ]
  })
}

function spread({ p50, p99, max }: { p50: number; p99: number; max: number }): string {
  const all = [p50, p99, max].map((ms) => ms.toFixed(1))
  return `${all.join(' / ')} ms (p50 / p99 / max)`
}

async function openRoom(server: ServerProcess, perSecond: number, faults: Faults) {
  const tokens = await signUpUsers(server.url)
  const token = tokens[0]!
  const room = await createRoom(server.url, token)
  const { port } = server
  const publisher = await Publisher.open({ port, token, room, text: TEXT, perSecond, faults })
  const tokenOf = (index: number) => tokens[index % tokens.length]!
  const readers = new Readers({ port, room, text: TEXT, tokenOf, publisher, faults })
  return { publisher, readers }
}

/** Part 4. */
async function memory(options: PartOptions): Promise<Row[]> {
  const { quick, progress } = options
  const settleMs = quick ? 1_500 : 5_000
  const all = quick ? MEMORY_STEPS_QUICK : MEMORY_STEPS
  const steps = all.filter((step) => step + OTHER_FILES <= openFilesMax())
  return withServer('src/main.ts', options, async (server, faults) => {
    const { publisher, readers } = await openRoom(server, MEMORY_POSTS_PER_S, faults)
    publisher.start()
    const rows: Row[] = [await memoryRow(0)]
    for (const step of steps) {
      progress.say(`connecting up to ${step}`)
      await readers.add(step - readers.size)
      rows.push(await memoryRow(step))
    }
    await publisher.stop()
    await readers.finish(publisher.posted)
    readers.close()
    publisher.close()
    const points = rows.slice(1).map((row, i) => [steps[i]!, row.serverRssMiB! * 2 ** 20] as const)
    return [...rows.slice(0, -1), { ...rows.at(-1)!, ...slopeOf(points, all.length) }]

    async function memoryRow(connections: number): Promise<Row> {
      await wait(settleMs, progress, () => `${connections} connections settle`)
      const samples: number[] = []
      readers.measureAfter(publisher.posted)
      const usage = startUsage(server.pid, options.cores)
      await wait(settleMs, progress, () => {
        samples.push(readUsage(server.pid).rssBytes)
        return `${connections} connections`
      })
      const used = usage()
      const { latency } = readers
      return {
        part: 'memory',
        load: `1 room × ${connections} readers, ${MEMORY_POSTS_PER_S} posts/s`,
        unit: 'deliveries',
        perSecond: latency.count / used.seconds,
        ...(latency.count > 0 && { latencyMs: latencyOf(latency) }),
        ...usageColumns(used, latency.count),
        serverRssMiB: median(samples) / 2 ** 20,
      }
    }
  })
}

/** What the last row of the memory part says: `points` are connections and bytes. */
function slopeOf(points: readonly (readonly [number, number])[], wanted: number): Partial<Row> {
  const fewer = `${points.length} of ${wanted} steps: no more open files are allowed`
  const notes = points.length < wanted ? [fewer] : []
  if (points.length < 2) return { notes }
  const bytesPerConnection = slope(points)
  const kib = (bytesPerConnection / 1_024).toFixed(1)
  const over = points.map(([connections]) => connections).join(', ')
  notes.push(`${kib} KiB of the server's memory a connection, by the slope over ${over}`)
  return { bytesPerConnection, notes }
}

/** Runs a part against a server; whatever goes wrong becomes a fault of its rows. */
async function withServer(
  script: string,
  { cores, profileFolder }: PartOptions,
  work: (server: ServerProcess, faults: Faults) => Promise<Row[]>,
): Promise<Row[]> {
  const faults = new Faults()
  const server = await ServerProcess.start({ script, core: cores?.server, profileFolder })
  const rows = await work(server, faults).catch(async (error) => {
    await server.stop().catch((other) => console.error(other.message))
    throw error
  })
  await server.stop().catch((error) => faults.add(error.message))
  const uncounted = faults.count - faults.texts.length
  const texts = uncounted === 0 ? faults.texts : [...faults.texts, `and ${uncounted} more faults`]
  rows.at(-1)!.faults = texts
  return rows
}

function usageColumns(used: Used, count: number) {
  const { seconds, serverCpuS, generatorCpuS, serverRssBytes, disturbed } = used
  return {
    serverCores: serverCpuS / seconds,
    generatorCores: generatorCpuS / seconds,
    ...(count > 0 && { serverUsEach: (serverCpuS * 1e6) / count }),
    serverRssMiB: serverRssBytes / 2 ** 20,
    disturbed,
  }
}

/** Waits, and says now and then how it goes; `text` is given the seconds that have passed. */
async function wait(ms: number, progress: Progress, text: (seconds: number) => string) {
  const startedAt = performance.now()
  for (;;) {
    const passedMs = performance.now() - startedAt
    if (passedMs >= ms) return
    if (passedMs > 0) progress.say(`${(passedMs / 1_000).toFixed(0)} s, ${text(passedMs / 1_000)}`)
    await Bun.sleep(Math.min(STEP_MS, ms - passedMs))
  }
}
