/** Many feeds behind one reader: their backfills take turns. */
import { expect, test } from 'bun:test'
import { systemClock } from '../../src/clock.ts'
import { createLocalBus } from '../../src/live/bus-local.ts'
import { Feed } from '../../src/live/feed.ts'
import { socketFormat } from '../../src/live/format.ts'
import { Hub } from '../../src/live/hub.ts'
import { Reader } from '../../src/live/reader.ts'
import type { Slice } from '../../src/live/slice.ts'
import { Turns } from '../../src/live/turns.ts'
import { createLog } from '../../src/log.ts'
import { createMetrics } from '../../src/metrics.ts'
import type { EncodedEvents, Range, Store } from '../../src/store/store.ts'
import { until } from '../harness.ts'

const FEEDS = 20
const EVENTS = 500

/**
 * A log of `EVENTS` events in every timeline, which notes how many pages are being read at once.
 */
class Log {
  reading = 0
  readingMost = 0

  async listEncoded(_: string, range: Range): Promise<EncodedEvents> {
    this.reading += 1
    this.readingMost = Math.max(this.readingMost, this.reading)
    await new Promise((resolve) => setImmediate(resolve))
    this.reading -= 1
    const after = 'after' in range ? range.after : 0
    const count = Math.min(range.limit, EVENTS - after)
    const events = Array.from({ length: count }, (_, i) => `{"seq":${after + i + 1}}`)
    return { firstSeq: after + 1, events }
  }

  heads = async (timelines: readonly string[]) => timelines.map(() => EVENTS)
}

/** Never takes a turn: what would be without them. */
class NoTurns extends Turns {
  override async take() {
    return () => {}
  }
}

/** Takes a slice, then no more until the next turn of the loop. */
class PausingReader extends Reader {
  readonly format = socketFormat
  readonly ended = false
  readonly seen = new Map<string, number[]>()
  readonly #turns: Turns
  ready = true
  caughtUpCount = 0

  constructor(turns: Turns) {
    super()
    this.#turns = turns
  }

  override get turns(): Turns {
    return this.#turns
  }

  write(slices: readonly Slice[]): number {
    const { timeline, events } = slices[0]!
    const seqs = this.seen.get(timeline.id) ?? []
    this.seen.set(timeline.id, [...seqs, ...events.map(({ seq }) => seq)])
    this.ready = false
    return 1
  }

  async drained(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    this.ready = true
  }

  caughtUp(): void {
    this.caughtUpCount += 1
  }

  failed(error: unknown): void {
    expect(error).toBeUndefined()
  }
}

/**
 * Backfills all of the feeds; tells how many pages were read at once and what each timeline got.
 */
async function backfill(turns: Turns) {
  const log = new Log()
  const hub = new Hub({
    store: log as unknown as Store,
    bus: createLocalBus(),
    clock: systemClock,
    log: createLog('silent'),
    metrics: createMetrics(),
    tail: { eventsMax: 10, bytesMax: 10_000, totalBytesMax: 10_000 },
    tickMsMax: 0,
    idleMax: 0,
    holeWaitMs: 0,
  })
  const reader = new PausingReader(turns)
  for (let i = 0; i < FEEDS; i++)
    (await Feed.open(hub, { timeline: `room-${i}`, after: 0 }, reader)).run()
  await until(() => reader.caughtUpCount === FEEDS, 'all have caught up')
  return { most: log.readingMost, seen: reader.seen }
}

test('one page is read at a time, and everyone gets everything', async () => {
  const { most, seen } = await backfill(new Turns())
  expect(most).toBe(1)
  const all = Array.from({ length: EVENTS }, (_, i) => i + 1)
  expect([...seen.values()]).toEqual(Array.from({ length: FEEDS }, () => all))
})

test('without turns many would be read at once: the test above means something', async () => {
  expect((await backfill(new NoTurns())).most).toBeGreaterThan(1)
})

test('turns come in the order asked for, each when the one before has ended', async () => {
  const turns = new Turns()
  const order: string[] = []
  const take = async (name: string) => {
    const end = await turns.take()
    order.push(`${name} begins`)
    await new Promise((resolve) => setImmediate(resolve))
    order.push(`${name} ends`)
    end()
  }
  await Promise.all([take('a'), take('b')])
  expect(order).toEqual(['a begins', 'a ends', 'b begins', 'b ends'])
})
