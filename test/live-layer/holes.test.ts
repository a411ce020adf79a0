/** Rings that come in the wrong order, twice, or never; and what is read from the store for it. */
import { expect, test } from 'bun:test'
import type { LiveEvent } from '../../src/live/bus.ts'
import { HeadCheck } from '../../src/live/head-check.ts'
import { KEPT_EVENTS_MAX } from '../../src/live/holes.ts'
import { EARLY_EVENTS_MAX } from '../../src/live/hub.ts'
import { failureOf, firstSeqs } from '../contracts/store-home.ts'
import { until } from '../harness.ts'
import { complaints, eventually, HeldTimers, ROOM, turn, World } from './world.ts'

/** Longer than any test takes. */
const FOR_EVER_MS = 60_000

function worldOf(holeWaitMs: number): World {
  const tail = { eventsMax: 100_000, bytesMax: 1 << 26, totalBytesMax: 1 << 26 }
  return new World(tail, 0, holeWaitMs)
}

test('a ring that is late closes the hole, and nothing is read', async () => {
  const world = worldOf(FOR_EVER_MS)
  const reader = await world.follow()
  const readsBefore = world.reads
  const [one, two, three, four] = world.commit(4) as [LiveEvent, LiveEvent, LiveEvent, LiveEvent]
  world.ring([four, two, four])
  world.ring([three])
  await turn()
  expect(reader.seqs).toEqual([])
  world.ring([one])
  await eventually(() => reader.seqs.length === 4, 'all are told')
  expect(reader.seqs).toEqual([1, 2, 3, 4])
  // What was put aside is not told again.
  world.ring([one, two, three, four])
  world.post()
  await eventually(() => reader.cursor === 5, 'the next one is told')
  expect(reader.seqs).toEqual([1, 2, 3, 4, 5])
  expect(world.reads).toBe(readsBefore)
  expect(complaints).toEqual([])
})

test('what no ring brings is read after a wait, once, however many rings there are', async () => {
  const world = worldOf(20)
  const reader = await world.follow()
  const readsBefore = world.reads
  const startedAtMs = performance.now()
  for (const event of world.commit(100).slice(1)) world.ring([event])
  await until(() => reader.cursor === 100, 'all are told')
  expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(19)
  expect(world.reads - readsBefore).toBe(1)
  expect((await world.metrics.holes.get()).values[0]!.value).toBe(1)
  expect(complaints).toEqual([])
})

test('two nodes that overtake each other all the time cost no reads', async () => {
  using timers = new HeldTimers()
  const world = worldOf(150)
  const reader = await world.follow()
  const readsBefore = world.reads
  for (let round = 0; round < 200; round++) {
    const [one, two] = world.commit(2) as [LiveEvent, LiveEvent]
    // The wait that ends while this hole is open was for the one before, which has been closed.
    world.ring([two])
    if (round > 0) timers.goOff()
    await turn()
    world.ring([one])
  }
  await eventually(() => reader.cursor === 400, 'all are told')
  expect(world.reads).toBe(readsBefore)
  expect(timers.setForMs).toEqual(Array(200).fill(150))
})

test('so many events are put aside; past that they are read', async () => {
  using timers = new HeldTimers()
  const world = worldOf(500)
  const reader = await world.follow()
  const [first, ...others] = world.commit(KEPT_EVENTS_MAX + 2) as [LiveEvent, ...LiveEvent[]]
  world.ring(others)
  const readsBefore = world.reads
  world.ring([first])
  await eventually(() => reader.cursor === KEPT_EVENTS_MAX + 1, 'what was put aside is told')
  expect(world.reads).toBe(readsBefore)
  timers.goOff()
  // The first wait was for a hole that has been closed; this one is for the one that is left.
  await eventually(() => timers.setForMs.length === 2, 'it waits for the one that is left')
  timers.goOff()
  await eventually(() => reader.cursor === KEPT_EVENTS_MAX + 2, 'the one past the limit is read')
  expect(world.reads).toBe(readsBefore + 1)

  // Whatever was put aside has been given back.
  const [again, ...more] = world.commit(KEPT_EVENTS_MAX + 1) as [LiveEvent, ...LiveEvent[]]
  world.ring(more)
  world.ring([again])
  await eventually(() => reader.cursor === world.head, 'as many are put aside again')
  expect(world.reads).toBe(readsBefore + 1)
})

test('a hole that cannot be read at first is filled later', async () => {
  using timers = new HeldTimers()
  const world = worldOf(0)
  const reader = await world.follow()
  await eventually(() => reader.isLive, 'it is live')
  const [, , third] = world.commit(3)
  world.failures = 1
  world.ring([third!])
  await eventually(() => timers.setForMs.length === 1, 'it has failed, and waits')
  expect([reader.seqs, timers.setForMs]).toEqual([[], [1_000]])
  timers.goOff()
  await eventually(() => reader.cursor === 3, 'the hole is filled')
  expect(reader.seqs).toEqual([1, 2, 3])
})

test('what this node has recorded past a hole is on its pages at once', async () => {
  const world = worldOf(FOR_EVER_MS)
  await world.follow()
  world.post(3)
  const [, , own] = world.commit(3) as [LiveEvent, LiveEvent, LiveEvent]
  world.ring([own])
  for (const range of [
    { after: 2, limit: 9 },
    { before: 9, limit: 2 },
  ])
    expect(world.hub.recent(ROOM, range)).toBeUndefined()
  const page = async () => (await world.hub.newest(ROOM, 4)).map(({ seq }) => seq)
  expect(await page()).toEqual([3, 4, 5, 6])
  expect(await world.hub.newest('another', 4)).toEqual([])
})

test('a ring of what is not in the log is forgotten', async () => {
  const world = worldOf(1)
  const reader = await world.follow()
  const invented = (seq: number) => ({ timeline: ROOM, seq, json: '{"text":"a lie"}' })
  world.commit(3)
  world.ring([invented(5), invented(Number.MAX_SAFE_INTEGER)])
  await until(() => reader.cursor === 3, 'what is in the log is told')
  await until(() => reader.feed.timeline.rumoured === 0, 'the rumour is forgotten')
  world.post(2)
  await eventually(() => reader.cursor === 5, 'the log goes on')
  // The fifth one is the one of the log.
  expect(complaints).toEqual([])
})

test.each([0, 1])('%d past the limit of early events, nothing is missed', async (more) => {
  const world = worldOf(0)
  world.readTurns = 5
  const following = world.follow({ after: 0 })
  await turn()
  const early = world.commit(EARLY_EVENTS_MAX + more)
  world.ring(early)
  const reader = await following
  // The head was read before they were committed, so they are all that tells of them.
  expect(reader.feed.timeline.head).toBe(more === 0 ? EARLY_EVENTS_MAX : 0)
  await eventually(() => reader.cursor === world.head, 'all are told')
  expect(reader.seqs).toEqual(firstSeqs(world.head))
})

test('the head check finds the last ring that was lost, at the second look at the latest', async () => {
  const world = worldOf(0)
  const reader = await world.follow()
  const check = new HeadCheck(world)
  world.post(3)
  world.commit(1)
  await check.run(false)
  await check.run(false)
  await eventually(() => reader.cursor === 4, 'it is told')
  const { value } = (await world.metrics.headsBehind.get()).values[0]!
  expect(value).toBe(1)
})

test('a timeline that has moved is looked at only if all are', async () => {
  const world = worldOf(0)
  await world.follow()
  const check = new HeadCheck(world)
  const { reads } = world
  await check.run(false)
  expect(world.reads).toBe(reads + 1)
  world.post()
  await check.run(false)
  expect(world.reads).toBe(reads + 1)
  world.post()
  await check.run(true)
  expect(world.reads).toBe(reads + 2)
  await check.run(false)
  expect(world.reads).toBe(reads + 3)
})

test('ten thousand quiet timelines are ten queries; none is none', async () => {
  const world = worldOf(0)
  const check = new HeadCheck(world)
  await check.run(true)
  expect(world.reads).toBe(0)
  for (let i = 0; i < 10_000; i++) await world.hub.open(`r${i}`)
  const { reads } = world
  await check.run(false)
  expect(world.reads).toBe(reads + 10)
  await world.hub.open('one more')
  await check.run(false)
  expect(world.reads).toBe(reads + 1 + 10 + 11)
})

test('a head check that fails says so; a timeline that is closed meanwhile is left alone', async () => {
  const world = worldOf(0)
  const reader = await world.follow()
  const check = new HeadCheck(world)
  world.failures = 1
  expect(String(await failureOf(check.run(true)))).toContain('the store is away')
  world.readTurns = 3
  world.commit(2)
  const checking = check.run(true)
  reader.close()
  await checking
  expect(world.hub.size).toBe(0)
  expect(reader.seqs).toEqual([])
})

test('whoever knows more than this node has heard of makes it read the log', async () => {
  const world = worldOf(0)
  const reader = await world.follow()
  world.post()
  world.commit(3)
  expect(world.hub.recent(ROOM, { after: 1, limit: 5 })).toEqual([])
  expect(world.hub.recent(ROOM, { after: 2, limit: 5 })).toBeUndefined()
  const other = await world.follow({ after: 4 })
  expect(other.feed.recovered).toBe(true)
  await eventually(() => reader.cursor === 4, 'the others hear of it, too')
  world.post()
  await eventually(() => other.cursor === 5, 'it goes on from its cursor')
  expect(other.seqs).toEqual([5])
  expect(complaints).toEqual([])
})

test('a page past a hole is read from the log, with all that this node has heard of', async () => {
  const world = worldOf(FOR_EVER_MS)
  await world.follow({ after: 0 })
  world.post(2)
  world.ring(world.commit(3).slice(2))
  expect(world.hub.recent(ROOM, { after: 0, limit: 2 })).toBeUndefined()
  const newest = await world.hub.newest(ROOM, 2)
  expect(newest.map(({ seq }) => seq)).toEqual([4, 5])
})
