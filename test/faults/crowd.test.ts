/**
 * Many at once: readers of whom some never read, and everyone coming back in the same moment. The
 * quick form; the long ones are `npm run trials -- --long F11 F15`.
 */
import { expect, test } from 'bun:test'
import { Person, ServerProcess, signUp, until, within } from '../harness.ts'
import { Socket } from '../live.ts'
import { comeBack, metric, seqsOf, upTo } from './crowd.ts'
import { RawConnection } from './raw-socket.ts'

const MIB = 1 << 20

/**
 * Posts so many long messages, one after the other; how long each took to each reader, in ms and in
 * the order in which they came.
 */
async function latencies(author: Person, place: string, readers: Socket[], count: number) {
  const text = 'x'.repeat(16_000)
  const postedAt = new Map<number, number>()
  const tookMs: number[] = []
  for (const { events } of readers) {
    const add = events.add.bind(events)
    events.add = (arrival) => {
      const startedAt = postedAt.get(arrival.event.seq)
      if (startedAt !== undefined) tookMs.push(performance.now() - startedAt)
      add(arrival)
    }
  }
  let { head } = await author.get<{ head: number }>(place)
  for (let i = 0; i < count; i++) {
    postedAt.set(head + 1, performance.now())
    head = (await author.post(place, text)).seq
    await Promise.all(readers.map(({ events }) => events.count(head)))
  }
  for (const { events } of readers) delete (events as { add?: unknown }).add
  return tookMs
}

const READERS = 30
const LAZY = 6
/** Messages before the lazy ones come, and after. */
const START = 100
const POSTS = 1_000
const HEAD = START + POSTS

/**
 * How slow the slowest twenty posts in a row were, by their median: a machine that stands still
 * makes some of them late, and not ten.
 */
function slowestStretch(tookMs: readonly number[]): number {
  const length = 20 * READERS
  const medians = Array.from({ length: Math.floor(tookMs.length / length) }, (_, i) => {
    const stretch = tookMs.slice(i * length, (i + 1) * length).sort((a, b) => a - b)
    return stretch[length / 2]!
  })
  return Math.max(...medians)
}

test('some who never read cost the others no time and little memory, and resume whole', async () => {
  const slowReaderBytesMax = 512 * 1_024
  const server = await ServerProcess.start({ slowReaderBytesMax, closeGraceMs: 500 })
  try {
    const [ada, bob, eve] = await Promise.all([1, 2, 3].map(() => signUp(server.url)))
    const place = `/room/${(await ada!.createRoom()).id}`
    const path = `${place}/subscribe?after=0`
    const well: Socket[] = []
    for (let i = 0; i < READERS; i++) well.push(await Socket.of(bob!, path))
    const alone = await latencies(ada!, place, well, START)
    const before = await metric(server.url, 'resident_memory_bytes')
    const lazy: RawConnection[] = []
    // Each stops before it has read anything: the kernel keeps ever more for who reads ever more.
    const lazyPath = `${place}/subscribe?after=${START}`
    for (let i = 0; i < LAZY; i++) {
      lazy.push(await RawConnection.socket(eve!, lazyPath))
      lazy.at(-1)!.stopReading()
    }
    const among = await latencies(ada!, place, well, POSTS)
    // A fifth more at most; what else the machine does may come on top.
    expect(slowestStretch(among)).toBeLessThan(1.2 * slowestStretch(alone) + 50)
    const isOver = async () =>
      (await metric(server.url, 'connections_dropped_total{cause="too_slow"}')) === lazy.length
    await until(isOver, 'those who do not read are closed')
    const grown = (await metric(server.url, 'resident_memory_bytes')) - before
    // Kept whole, what they have not read would be 90 MiB.
    expect(grown / MIB).toBeLessThan(64)
    for (const one of lazy) one.readOn()
    await within(Promise.all(lazy.map(({ closed }) => closed)), 'they find themselves closed')
    for (const one of lazy) {
      // Whoever does not read the close frame in time is cut.
      expect([4008, undefined]).toContain(one.closeCode)
      const had = one.socketEvents.map(({ seq }) => seq)
      const last = START + had.length
      expect(had).toEqual(upTo(last, START))
      const again = await Socket.of(eve!, `${place}/subscribe?after=${last}`)
      const rest = await again.events.count(HEAD - last, 'all the rest')
      expect(rest.map(({ event }) => event.seq)).toEqual(upTo(HEAD, last))
      again.close()
    }
    for (const { events } of well)
      expect(events.all.map(({ event }) => event.seq)).toEqual(upTo(HEAD))
  } finally {
    await server.stopAndForget()
  }
}, 60_000)

const CROWD = 1_000
const BEHIND = 500

test('a thousand come back at once, each 500 events behind: all have caught up in 30 s', async () => {
  const settings = {
    connectionsPerUserMax: 2 * CROWD,
    connectsBurstMax: CROWD / 2,
    connectsPerSecondMax: 100,
  }
  const server = await ServerProcess.start(settings)
  try {
    const [ada, bob] = [await signUp(server.url), await signUp(server.url)]
    const place = `/room/${(await ada.createRoom()).id}`
    for (const seq of upTo(100 + BEHIND)) await ada.post(place, `message ${seq}`)
    // Nothing is in memory when they come.
    await server.stop('SIGKILL')
    await server.restart()
    const { pid } = server
    const [author, reader] = [ada, bob].map(
      ({ id, name, token }) => new Person(server.url, id, name, token),
    ) as [Person, Person]
    const statuses = new Map<number, number>()
    const startedAt = performance.now()
    const crowd = upTo(CROWD).map(async () => {
      const socket = await comeBack(reader, `${place}/subscribe?after=100`, statuses)
      expect(await seqsOf(socket, BEHIND)).toEqual(upTo(100 + BEHIND, 100))
      return socket
    })
    const sockets = await Promise.all(crowd)
    expect(performance.now() - startedAt).toBeLessThan(30_000)
    // Some were told to come a little later; nobody met anything else.
    expect([...statuses.keys()].sort()).toEqual([101, 503])
    const { seq } = await author.post(place, 'welcome back')
    for (const socket of sockets) expect(await seqsOf(socket, 1)).toEqual([seq])
    expect(server.pid).toBe(pid)
    for (const { connection } of sockets) connection.cut()
  } finally {
    await server.stopAndForget()
  }
}, 60_000)
