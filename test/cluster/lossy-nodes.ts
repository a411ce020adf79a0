/**
 * Three nodes in one process, over one store, joined by a NATS that loses, repeats and reorders.
 * Everyone posts and follows everywhere at once; then the checker judges.
 */
import type { Place } from '../../src/chat/access.ts'
import { type Chat, createChat } from '../../src/chat/chat.ts'
import { newRoomId } from '../../src/chat/ids.ts'
import { systemClock } from '../../src/clock.ts'
import { defaultConfig } from '../../src/config.ts'
import { createNatsBus } from '../../src/live/bus-nats.ts'
import type { Format } from '../../src/live/format.ts'
import { Reader } from '../../src/live/reader.ts'
import type { Slice } from '../../src/live/slice.ts'
import { createLog } from '../../src/log.ts'
import { createMetrics } from '../../src/metrics.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { faultsOf } from '../../src/verify/checker.ts'
import type { Attempt, Fault, Reading, Seen } from '../../src/verify/history.ts'
import { readAll, textOf } from '../contracts/store-home.ts'
import { scratchFolder, until } from '../harness.ts'
import { NatsServer } from '../services/nats.ts'
import { type Losses, LossyBus } from './lossy-bus.ts'

const ADA = { id: 'uAAAAAAAAAAAAAAAA', name: 'ada', createdAt: 1 }
const HEAD_CHECK_MS = 200

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
  bus: LossyBus
  chat: Chat
}

export interface Judged {
  faults: Fault[]
  /** What readers failed with. */
  failures: unknown[]
  /** What became of the messages that each node was sent. */
  counts: LossyBus['counts'][]
}

/** A store and a NATS of their own; for one trial after another, each with new nodes and rooms. */
export class LossyCluster {
  readonly #nats: NatsServer
  readonly #store: Store
  readonly #folder: ReturnType<typeof scratchFolder>
  #nodes = 0

  static async start(program: string): Promise<LossyCluster> {
    const folder = scratchFolder()
    const onFatal = (error: Error) => {
      throw error
    }
    const limits = { timeoutMs: 10_000, queueMax: 10_000, readersMax: 1 }
    const store = await openSqlite({ folder: folder.path, ...limits, onFatal })
    return new LossyCluster(await NatsServer.start(program), store, folder)
  }

  private constructor(nats: NatsServer, store: Store, folder: ReturnType<typeof scratchFolder>) {
    this.#nats = nats
    this.#store = store
    this.#folder = folder
  }

  async remove(): Promise<void> {
    await this.#store.close()
    await this.#nats.remove()
    this.#folder.remove()
  }

  /** Everyone posts and follows everywhere at once. */
  async judge(losses: Losses, postsPerNode: number): Promise<Judged> {
    const nodes = [1, 2, 3].map(() => this.#startNode(losses))
    await until(() => nodes.every(({ bus }) => bus.connected), 'all reach NATS')
    const rooms = [newRoomId(), newRoomId()]
    const attempts: Attempt[] = []
    const followed = nodes.flatMap((node) => rooms.map((room) => follow(node, room)))
    const readers = await Promise.all(followed)
    await Promise.all(nodes.map((node) => post(node, rooms, postsPerNode, attempts)))
    const heads = await this.#store.heads(rooms)
    for (const [{ seen }, { timeline }] of readers) {
      const head = heads[rooms.indexOf(timeline)]!
      await until(() => seen.at(-1)?.seq === head, 'it has all')
    }
    const log = new Map<string, { seq: number; text: string }[]>()
    for (const room of rooms) {
      const events = await readAll(this.#store, room)
      const texts = events.map((event) => ({ seq: event.seq, text: textOf(event) }))
      log.set(room, texts)
    }
    for (const { chat, bus } of nodes) {
      await chat.recheck.stop()
      await bus.stop()
    }
    return {
      faults: faultsOf({ attempts, log, readings: readers.map(([, reading]) => reading) }),
      failures: readers.flatMap(([{ failure }]) => failure ?? []),
      counts: nodes.map(({ bus }) => bus.counts),
    }
  }

  #startNode(losses: Losses): Node {
    const metrics = createMetrics()
    const log = createLog('silent')
    const natsUrl = this.#nats.url
    const config = defaultConfig({ natsUrl, headCheckMs: HEAD_CHECK_MS })
    const nats = createNatsBus({ url: natsUrl, cluster: this.#store.epoch, log, metrics })
    const bus = new LossyBus(nats, losses)
    const chat = createChat({ config, store: this.#store, bus, clock: systemClock, log, metrics })
    chat.recheck.start()
    this.#nodes += 1
    return { name: `node ${this.#nodes}`, bus, chat }
  }
}

async function follow({ name, chat }: Node, timeline: string): Promise<[NotingReader, Reading]> {
  const reader = new NotingReader()
  const feed = await chat.messages.follow(placeOf(timeline), { after: 0 }, reader)
  chat.hub.start(feed)
  const where = { reader: ADA.name, via: name, timeline, after: 0, toTheEnd: true }
  return [reader, { ...where, events: reader.seen }]
}

/** Posts into both rooms, some at a time, each with a key of its own. */
async function post({ name, chat }: Node, rooms: string[], posts: number, attempts: Attempt[]) {
  const one = async (i: number) => {
    const timeline = rooms[i % rooms.length]!
    const draft = { key: `${name} ${i}`, text: `post ${i} of ${name}` }
    const invokedAt = performance.now()
    const { seq } = await chat.messages.post(placeOf(timeline), draft)
    const known = { client: ADA.name, timeline, outcome: 'ok', seq } as const
    attempts.push({ ...draft, ...known, invokedAt, completedAt: performance.now() })
  }
  for (let i = 0; i < posts; i += 4) await Promise.all([i, i + 1, i + 2, i + 3].map(one))
}
