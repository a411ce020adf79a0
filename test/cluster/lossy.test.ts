/**
 * Three nodes in one process, over one store, joined by a NATS that loses, repeats and reorders.
 * Every reader is given exactly what was posted, in order, and everything; the checker judges.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Place } from '../../src/chat/access.ts'
import { type Chat, createChat } from '../../src/chat/chat.ts'
import { newRoomId } from '../../src/chat/ids.ts'
import { systemClock } from '../../src/clock.ts'
import { defaultConfig } from '../../src/config.ts'
import type { Bus } from '../../src/live/bus.ts'
import { createNatsBus } from '../../src/live/bus-nats.ts'
import type { Format } from '../../src/live/format.ts'
import { Reader } from '../../src/live/reader.ts'
import type { Slice } from '../../src/live/slice.ts'
import { createLog } from '../../src/log.ts'
import { createMetrics } from '../../src/metrics.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { type Attempt, faultsOf, type Reading, type Seen } from '../../src/verify/checker.ts'
import { readAll, textOf } from '../contracts/store-home.ts'
import { scratchFolder, until } from '../harness.ts'
import { findNatsServer, NatsServer } from '../services/nats.ts'
import { type Losses, LossyBus } from './lossy-bus.ts'

const program = await findNatsServer()

const ADA = { id: 'uAAAAAAAAAAAAAAAA', name: 'ada', createdAt: 1 }
const HEAD_CHECK_MS = 200
const POSTS_PER_NODE = 400

const placeOf = (timeline: string): Place => ({ viewer: ADA, timeline, label: null })

/** Notes what it is given, and is always ready for more. */
class NotingReader extends Reader {
  readonly format: Format = {
    key: 'noting',
    frame: (_, events) => `[${events.map(({ json }) => json).join()}]`,
  }
  readonly ready = true
  readonly ended = false
  readonly seen: Seen[] = []
  failure: unknown

  write(slices: readonly Slice[]): number {
    for (const slice of slices)
      for (const { seq, text } of JSON.parse(slice.frame(this.format) as string))
        this.seen.push({ seq, text, at: performance.now() })
    return slices.length
  }

  failed(error: unknown): void {
    this.failure = error
  }

  drained(): Promise<void> {
    return Promise.resolve()
  }

  caughtUp(): void {}
}

interface Node {
  name: string
  bus: Bus
  chat: Chat
}

describe.skipIf(program === undefined)('a bus that loses, repeats and reorders', () => {
  const folder = scratchFolder()
  let nats: NatsServer
  let store: Store

  beforeAll(async () => {
    nats = await NatsServer.start(program!)
    const onFatal = (error: Error) => {
      throw error
    }
    store = await openSqlite({
      folder: folder.path,
      timeoutMs: 10_000,
      queueMax: 10_000,
      readersMax: 1,
      onFatal,
    })
  })

  afterAll(async () => {
    await store.close()
    await nats.remove()
    folder.remove()
  })

  async function startNode(name: string, harm: (bus: Bus) => Bus): Promise<Node> {
    const metrics = createMetrics()
    const log = createLog('silent')
    const config = defaultConfig({ natsUrl: nats.url, headCheckMs: HEAD_CHECK_MS })
    const bus = harm(createNatsBus({ url: nats.url, cluster: store.epoch, log, metrics }))
    const chat = createChat({ config, store, bus, clock: systemClock, log, metrics })
    chat.recheck.start()
    await until(() => bus.connected, 'it reaches NATS')
    return { name, bus, chat }
  }

  async function follow({ name, chat }: Node, timeline: string): Promise<[NotingReader, Reading]> {
    const reader = new NotingReader()
    const feed = await chat.messages.follow(placeOf(timeline), { after: 0 }, reader)
    chat.hub.start(feed)
    const where = { reader: ADA.name, via: name, timeline, after: 0, toTheEnd: true }
    return [reader, { ...where, events: reader.seen }]
  }

  /** Posts into both rooms, some at a time, each with a key of its own. */
  async function post({ name, chat }: Node, rooms: string[], attempts: Attempt[]) {
    const one = async (i: number) => {
      const timeline = rooms[i % rooms.length]!
      const draft = { key: `${name} ${i}`, text: `post ${i} of ${name}` }
      const invokedAt = performance.now()
      const { seq } = await chat.messages.post(placeOf(timeline), draft)
      const known = { client: ADA.name, timeline, outcome: 'ok', seq } as const
      attempts.push({ ...draft, ...known, invokedAt, completedAt: performance.now() })
    }
    for (let i = 0; i < POSTS_PER_NODE; i += 4) await Promise.all([i, i + 1, i + 2, i + 3].map(one))
  }

  /** Everyone posts and follows everywhere at once. */
  async function judge(nodes: Node[], rooms: string[]): Promise<void> {
    const attempts: Attempt[] = []
    const followed = nodes.flatMap((node) => rooms.map((room) => follow(node, room)))
    const readers = await Promise.all(followed)
    await Promise.all(nodes.map((node) => post(node, rooms, attempts)))
    const heads = await store.heads(rooms)
    for (const [{ seen }, { timeline }] of readers) {
      const head = heads[rooms.indexOf(timeline)]!
      await until(() => seen.at(-1)?.seq === head, 'it has all', 5 * HEAD_CHECK_MS)
    }
    const log = new Map<string, { seq: number; text: string }[]>()
    for (const room of rooms) {
      const events = await readAll(store, room)
      log.set(
        room,
        events.map((event) => ({ seq: event.seq, text: textOf(event) })),
      )
    }
    expect(faultsOf({ attempts, log, readings: readers.map(([, reading]) => reading) })).toEqual([])
    expect(readers.map(([{ failure }]) => failure)).toEqual(readers.map(() => undefined))
  }

  test.each<Losses>([
    { dropped: 0.3, doubled: 0.1, late: 0.2 },
    { dropped: 0, doubled: 0.3, late: 0.7 },
    { dropped: 1, doubled: 0, late: 0 },
  ])('%o: readers of every node are given everything, once, in order', async (losses) => {
    const buses: LossyBus[] = []
    const harm = (bus: Bus) => {
      const lossy = new LossyBus(bus, losses)
      buses.push(lossy)
      return lossy
    }
    const nodes: Node[] = []
    for (const name of ['one', 'two', 'three'])
      nodes.push(await startNode(`${name} ${losses.dropped}`, harm))
    await judge(nodes, [newRoomId(), newRoomId()])
    for (const { counts } of buses) {
      if (losses.dropped > 0) expect(counts.dropped).toBeGreaterThan(50)
      if (losses.late > 0) expect(counts.late).toBeGreaterThan(50)
    }
    for (const { chat, bus } of nodes) {
      await chat.recheck.stop()
      await bus.stop()
    }
  })
})
