/** Rounds: who is written to when, in how many writes, and who must not wait for whom. */
import { afterEach, expect, test } from 'bun:test'
import type { LiveEvent } from '../../src/live/bus.ts'
import { createLocalBus } from '../../src/live/bus-local.ts'
import { Feed } from '../../src/live/feed.ts'
import { socketFormat } from '../../src/live/format.ts'
import { Hub } from '../../src/live/hub.ts'
import { Reader } from '../../src/live/reader.ts'
import type { Slice } from '../../src/live/slice.ts'
import { createLog } from '../../src/log.ts'
import { createMetrics } from '../../src/metrics.ts'
import type { Store } from '../../src/store/store.ts'
import { eventually, HeldTimers, turn } from './world.ts'

/** More than this many readers have a lane of their own. */
const WIDE_READERS = 1_000
const WRITE_MS = 1

/** Rooms without history, and a clock that only writing moves on. */
class Rooms {
  nowMs = 0
  readonly hub: Hub
  readonly #heads = new Map<string, number>()

  constructor(tickMsMax = 0) {
    const store = { epoch: 'E', heads: async (ids: string[]) => ids.map(() => 0) }
    this.hub = new Hub({
      store: store as unknown as Store,
      bus: createLocalBus(),
      clock: { now: () => 0, monotonicMs: () => this.nowMs },
      log: createLog('silent'),
      metrics: createMetrics(),
      tail: { eventsMax: 1_000, bytesMax: 1 << 20, totalBytesMax: 1 << 20 },
      tickMsMax,
      idleMax: 0,
      holeWaitMs: 0,
    })
  }

  async follow(room: string, reader = new CountingReader(this)): Promise<CountingReader> {
    const feed = await Feed.open(this.hub, { timeline: room }, reader)
    feed.run()
    return reader
  }

  async crowd(room: string, size: number): Promise<CountingReader[]> {
    return Promise.all(Array.from({ length: size }, () => this.follow(room)))
  }

  post(room: string, count = 1): void {
    const head = this.#heads.get(room) ?? 0
    const news = Array.from({ length: count }, (_, i): LiveEvent => {
      const seq = head + i + 1
      return { timeline: room, seq, json: `{"seq":${seq}}` }
    })
    this.#heads.set(room, head + count)
    this.hub.events(news)
  }

  async leave(room: string, reader: Reader): Promise<void> {
    const timeline = await this.hub.open(room)
    this.hub.unsubscribe(timeline, reader)
    this.hub.release(timeline)
  }
}

class CountingReader extends Reader {
  readonly format = socketFormat
  ready = true
  ended = false
  /** The seqs of each write, by room. */
  readonly writes: Record<string, number[]>[] = []
  readonly #rooms: Rooms

  constructor(rooms: Rooms) {
    super()
    this.#rooms = rooms
  }

  write(slices: readonly Slice[]): number {
    this.#rooms.nowMs += WRITE_MS
    const write: Record<string, number[]> = {}
    for (const { timeline, events } of slices)
      write[timeline.id] = [...(write[timeline.id] ?? []), ...events.map(({ seq }) => seq)]
    this.writes.push(write)
    return slices.length
  }

  async drained(): Promise<void> {}
  caughtUp(): void {}
  failed(error: unknown): void {
    failures.push(error)
  }
}

const failures: unknown[] = []
afterEach(() => expect(failures.splice(0)).toEqual([]))

const served = (crowd: readonly CountingReader[]) => crowd.filter(({ writes }) => writes.length > 0)

test('a small room does not wait for a large one: a turn at the most', async () => {
  const rooms = new Rooms()
  const large = await rooms.crowd('large', WIDE_READERS + 1)
  const small = await rooms.crowd('small', 3)
  rooms.post('large')
  await eventually(() => served(large).length > 0, 'the large one has begun')
  rooms.post('small')
  await turn()
  await turn()
  expect(served(small)).toHaveLength(3)
  expect(served(large).length).toBeLessThan(WIDE_READERS / 2)
  await eventually(() => served(large).length === large.length, 'the large one ends, too')
})

test('a round writes a few milliseconds a turn', async () => {
  const rooms = new Rooms()
  const crowd = await rooms.crowd('room', 200)
  rooms.post('room')
  await eventually(() => served(crowd).length > 0, 'it has begun')
  const first = served(crowd).length
  expect(first).toBeLessThan(20)
  await turn()
  expect(served(crowd).length).toBeGreaterThan(first)
  expect(served(crowd).length).toBeLessThan(40)
  expect(rooms.hub.isWriting).toBe(true)
  await eventually(() => served(crowd).length === 200, 'all are served')
  expect(rooms.hub.isWriting).toBe(false)
})

test('a reader of many timelines gets all their news in one write', async () => {
  const rooms = new Rooms()
  const reader = await rooms.follow('a')
  for (const room of ['b', 'c', 'd']) await rooms.follow(room, reader)
  for (const room of ['d', 'a', 'c', 'a']) rooms.post(room, 2)
  await eventually(() => reader.writes.length > 0, 'it is written to')
  await turn()
  expect(reader.writes).toEqual([{ a: [1, 2, 3, 4], c: [1, 2], d: [1, 2] }])
})

test('what comes while a round is written waits for the next, together', async () => {
  const rooms = new Rooms()
  const crowd = await rooms.crowd('room', 100)
  rooms.post('room')
  await eventually(() => served(crowd).length > 0, 'the first round has begun')
  for (let i = 0; i < 5; i++) rooms.post('room')
  await eventually(() => crowd.every(({ writes }) => writes.length === 2), 'both are over')
  for (const { writes } of crowd) expect(writes).toEqual([{ room: [1] }, { room: [2, 3, 4, 5, 6] }])
})

/** How long the second round waits after a first one of 100 ms that gave each reader so many. */
async function waitAfterRound(events: number, tickMsMax: number): Promise<number> {
  using timers = new HeldTimers()
  const rooms = new Rooms(tickMsMax)
  const crowd = await rooms.crowd('room', 100 / WRITE_MS)
  rooms.post('room', events)
  await eventually(() => served(crowd).length === crowd.length, 'the first round is over')
  await turn()
  rooms.post('room')
  timers.goOff()
  await eventually(() => crowd.some(({ writes }) => writes.length === 2), 'the second one begins')
  expect(timers.setForMs.length).toBeLessThan(2)
  return timers.setForMs[0] ?? 0
}

test('a lane waits after a round, for longer the more events went into a write', async () => {
  expect(await waitAfterRound(50, 1_000)).toBeCloseTo(49)
  expect(await waitAfterRound(2, 1_000)).toBeCloseTo(25)
  expect(await waitAfterRound(1, 1_000)).toBe(0)
})

test('and never past the longest tick', async () => {
  expect(await waitAfterRound(50, 130)).toBeCloseTo(30)
  expect(await waitAfterRound(50, 90)).toBe(0)
})

test('who unsubscribes in the middle of a round gets nothing more of that timeline', async () => {
  const rooms = new Rooms()
  const crowd = await rooms.crowd('room', 100)
  const last = crowd.at(-1)!
  await rooms.follow('other', last)
  rooms.post('room')
  rooms.post('other')
  await eventually(() => served(crowd).length > 0, 'the round has begun')
  expect(last.writes).toEqual([])
  await rooms.leave('room', last)
  await eventually(() => last.writes.length > 0, 'it gets the rest')
  expect(last.writes).toEqual([{ other: [1] }])
  // And once more, from the head: not what was cancelled, not anything twice.
  await rooms.follow('room', last)
  rooms.post('room')
  await eventually(() => last.writes.length === 2, 'it gets what comes now')
  expect(last.writes[1]).toEqual({ room: [2] })
})

test('readers that have ended are not written to, and not kept for ever', async () => {
  const rooms = new Rooms()
  const [stays] = await rooms.crowd('room', 1)
  const { hub } = rooms
  for (let i = 0; i < 50; i++) {
    const goes = await rooms.follow('room')
    goes.ended = true
    await rooms.leave('room', goes)
    expect(goes.writes).toEqual([])
  }
  const timeline = await hub.open('room')
  expect(timeline.readers.length).toBeLessThan(4)
  hub.release(timeline)
  rooms.post('room')
  await eventually(() => stays!.writes.length > 0, 'whoever stays is served')
})

test('feeds begin a few milliseconds a turn, in the order asked for', async () => {
  const rooms = new Rooms()
  const first = await rooms.follow('room')
  rooms.post('room', 5)
  await eventually(() => first.writes.length > 0, 'the room has a tail')
  const back = Array.from({ length: 40 }, () => new CountingReader(rooms))
  for (const reader of back)
    rooms.hub.start(await Feed.open(rooms.hub, { timeline: 'room', after: 0 }, reader))
  expect(served(back)).toEqual([])
  await turn()
  const soon = served(back).length
  expect(soon).toBeGreaterThan(0)
  expect(soon).toBeLessThan(10)
  expect(served(back)).toEqual(back.slice(0, soon))
  await eventually(() => served(back).length === back.length, 'all have begun')
  for (const { writes } of back) expect(writes).toEqual([{ room: [1, 2, 3, 4, 5] }])
})

test('who is in both does not wait in the small room for the large one either', async () => {
  const rooms = new Rooms()
  const large = await rooms.crowd('large', WIDE_READERS + 1)
  const last = large.at(-1)!
  await rooms.follow('small', last)
  rooms.post('large')
  await eventually(() => served(large).length > 0, 'the large one has begun')
  rooms.post('small')
  await turn()
  await turn()
  expect(last.writes).toEqual([{ large: [1], small: [1] }])
  expect(served(large).length).toBeLessThan(WIDE_READERS / 2)
  await eventually(() => served(large).length === large.length, 'the large one ends, too')
  expect(last.writes).toHaveLength(1)
})
