/** The phases of a feed, one by one: backfill, cutover, live; and how each can end. */
import { afterEach, expect, test } from 'bun:test'
import type { Range } from '../../src/store/store.ts'
import { failureOf, firstSeqs } from '../contracts/store-home.ts'
import { complaints, eventually, PaperReader, ROOM, seqsFormat, turn, World } from './world.ts'

afterEach(() => expect(complaints.splice(0)).toEqual([]))

test('a reader that starts at the head gets only what comes', async () => {
  const world = new World()
  world.commit(5)
  const reader = await world.follow()
  expect([reader.feed.head, reader.feed.recovered]).toEqual([5, true])
  await eventually(() => reader.isLive, 'it is live')
  expect(reader.caughtUpAt).toEqual([5])
  world.post(2)
  await eventually(() => reader.cursor === 7, 'both arrive')
  expect(reader.seqs).toEqual([6, 7])
})

test('a reader that starts after a seq gets the rest by pages, then what comes', async () => {
  const world = new World()
  world.commit(950)
  world.readTurns = 1
  const reader = await world.follow({ after: 17 })
  await eventually(() => reader.isLive, 'it is live')
  expect(reader.caughtUpAt).toEqual([950])
  world.post(3)
  await eventually(() => reader.cursor === 953, 'the last arrives')
  expect(reader.seqs).toEqual(firstSeqs(953).slice(17))
})

test('what is recent comes from the tail, without the store', async () => {
  const world = new World()
  const first = await world.follow()
  world.post(6)
  await eventually(() => first.cursor === 6, 'the first reader has all')
  const reads = world.reads
  const second = await world.follow({ after: 1 })
  await eventually(() => second.isLive, 'the second is live')
  expect(second.seqs).toEqual([2, 3, 4, 5, 6])
  expect(world.reads).toBe(reads)
})

test('a cursor of another epoch, or beyond the head, starts at the head and is told', async () => {
  const world = new World()
  world.commit(5)
  for (const start of [
    { after: 3, epoch: 'E0' },
    { after: 99 },
    { after: 2 ** 53 - 1, epoch: 'E1' },
  ]) {
    const reader = await world.follow(start)
    expect([reader.feed.recovered, reader.feed.head]).toEqual([false, world.head])
    await eventually(() => reader.isLive, 'it is live')
    world.post()
    await eventually(() => reader.cursor === world.head, 'the next one arrives')
    expect(reader.seqs).toEqual([world.head])
  }
  const same = await world.follow({ after: 3, epoch: 'E1' })
  expect(same.feed.recovered).toBe(true)
})

test('a cursor that is ahead of this node, but not of the log, is honoured', async () => {
  const world = new World()
  world.commit(5)
  const other = await world.follow()
  // Committed, and seen by someone in history, but not yet announced here.
  const late = world.commit(2)
  const reader = await world.follow({ after: 7 })
  expect(reader.feed.recovered).toBe(true)
  world.ring(late)
  world.post()
  await eventually(() => reader.cursor === 8 && other.cursor === 8, 'both have all')
  expect(reader.seqs).toEqual([8])
  expect(other.seqs).toEqual([6, 7, 8])
})

test('a reader that is not ready gets no more of the backfill until it has drained', async () => {
  const world = new World()
  world.commit(650)
  const reader = await world.follow({ after: 0 }, new PaperReader(undefined, [false, true, false]))
  for (const expected of [200, 600]) {
    await eventually(() => reader.stalled, 'it stalls')
    for (let i = 0; i < 50; i++) await turn()
    expect(reader.cursor).toBe(expected)
    expect(reader.isLive).toBe(false)
    reader.drain()
  }
  await eventually(() => reader.isLive, 'it is live')
  expect(reader.seqs).toEqual(firstSeqs(650))
})

test('what is posted while a reader stalls in its backfill is not lost', async () => {
  const world = new World()
  world.commit(100)
  const reader = await world.follow({ after: 0 }, new PaperReader(undefined, [false]))
  await eventually(() => reader.stalled, 'it stalls')
  // Far more than the tail holds.
  for (let i = 0; i < 30; i++) {
    world.post(3)
    await turn()
  }
  expect(reader.cursor).toBe(100)
  reader.drain()
  await eventually(() => reader.isLive, 'it is live')
  expect(reader.seqs).toEqual(firstSeqs(190))
})

test('who joins while a flush is due gets what is due once', async () => {
  const world = new World()
  const first = await world.follow()
  await eventually(() => first.isLive, 'the first is live')
  world.post(3)
  // Not a turn has passed: the flush is due, and the newcomer has read past it.
  const second = await world.follow({ after: 0 })
  expect(second.feed.timeline.flushed).toBe(0)
  await eventually(() => second.caughtUpAt.length === 1, 'it has caught up')
  world.post(2)
  await eventually(() => second.cursor === 5 && first.cursor === 5, 'both have all')
  world.post()
  await eventually(() => second.cursor === 6 && first.cursor === 6, 'both go on')
  expect(second.seqs).toEqual(firstSeqs(6))
  expect(first.seqs).toEqual(firstSeqs(6))
})

test('a backfill that has read past the head of this node waits to be overtaken', async () => {
  const world = new World()
  world.commit(4)
  const opening = await world.follow()
  const unannounced = world.commit(3)
  world.hub.events([])
  const reader = await world.follow({ after: 2 })
  await eventually(() => reader.caughtUpAt.length === 1, 'it has caught up')
  expect(reader.seqs).toEqual([3, 4, 5, 6, 7])
  // One by one, each with a flush of its own; the reader has these already.
  for (const event of unannounced) {
    world.ring([event])
    for (let i = 0; i < 3; i++) await turn()
  }
  world.post(2)
  await eventually(() => reader.cursor === 9 && opening.cursor === 9, 'both have all')
  expect(reader.isLive).toBe(true)
})

test('closing during the backfill, or while waiting to join, ends it there', async () => {
  const world = new World()
  world.commit(650)
  world.readTurns = 2
  const reading = await world.follow({ after: 0 })
  await eventually(() => reading.cursor >= 200, 'it has begun')
  reading.close()
  const stalled = await world.follow({ after: 0 }, new PaperReader(undefined, [false]))
  await eventually(() => stalled.stalled, 'it stalls')
  stalled.close()
  world.post()
  const joining = await world.follow({ after: 650 })
  joining.close()
  // Whatever a closed reader is given, it complains.
  for (let i = 0; i < 50; i++) await turn()
  world.post()
  for (let i = 0; i < 50; i++) await turn()
  expect([world.hub.size, world.opened.size]).toEqual([0, 0])
})

test('a store that fails during the backfill ends the reader, which may come back', async () => {
  const world = new World()
  world.commit(450)
  const reader = await world.follow({ after: 0 }, new PaperReader(undefined, [false]))
  await eventually(() => reader.stalled, 'it stalls')
  world.failures = 1
  reader.drain()
  await eventually(() => reader.failure !== undefined, 'it is told')
  expect(String(reader.failure)).toContain('the store is away')
  expect(world.hub.size).toBe(0)
  const again = await world.follow({ after: reader.cursor })
  await eventually(() => again.isLive, 'it is live')
  expect([...reader.seqs, ...again.seqs]).toEqual(firstSeqs(450))
})

test('a store that fails while a feed is opened rejects, and leaves nothing behind', async () => {
  const world = new World()
  world.commit(3)
  world.readTurns = 1
  world.failures = 1
  const both = [world.follow(), world.follow({ after: 0 })]
  for (const one of both) expect(String(await failureOf(one))).toContain('the store is away')
  expect([world.hub.size, world.opened.size]).toEqual([0, 0])
  const reader = await world.follow({ after: 0 })
  await eventually(() => reader.isLive, 'it is live')

  world.failures = 1
  const beyond = failureOf(world.follow({ after: 99 }))
  expect(String(await beyond)).toContain('the store is away')
  reader.close()
  expect([world.hub.size, world.opened.size]).toEqual([0, 0])
})

test('what is rung while the head is being read is neither lost nor given twice', async () => {
  for (const answersLate of [false, true]) {
    const world = new World()
    world.commit(3)
    Object.assign(world, { readTurns: 3, answersLate })
    const following = world.follow({ after: 2 })
    await turn()
    world.post(2)
    const reader = await following
    await eventually(() => reader.cursor === 5 && reader.isLive, 'it has all')
    expect(reader.seqs).toEqual([3, 4, 5])
  }
})

test('the tail of a busy timeline stays within its limits once it is flushed', async () => {
  const world = new World({ eventsMax: 8, bytesMax: 100_000, totalBytesMax: 1_000_000 })
  const reader = await world.follow()
  for (let i = 0; i < 10; i++) {
    world.post(5)
    await eventually(() => reader.cursor === world.head, 'it arrives')
    expect(reader.feed.timeline.tail.size).toBeLessThanOrEqual(8)
  }
  expect(reader.feed.timeline.tail.size).toBe(8)
})

test('one flush makes one frame for each format, however many read', async () => {
  const world = new World()
  let made = 0
  const format = () => seqsFormat('shared', () => (made += 1))
  const readers = await Promise.all(
    firstSeqs(20).map(() => world.follow({}, new PaperReader(format()))),
  )
  const other = await world.follow({}, new PaperReader(seqsFormat('other')))
  await eventually(() => other.isLive, 'all are live')
  world.post(4)
  await eventually(() => [...readers, other].every((one) => one.cursor === 4), 'all have all')
  expect(made).toBe(1)
  expect(world.opened).toEqual(new Set([ROOM]))
})

test('a backfill from the store leaves its newest page in the tail, within its limits', async () => {
  const world = new World({ eventsMax: 8, bytesMax: 100_000, totalBytesMax: 1_000_000 })
  world.commit(20)
  const page = (range: Range) => world.hub.recent(ROOM, range)?.map(({ seq }) => seq)
  expect(page({ before: 99, limit: 5 })).toBeUndefined()
  const reader = await world.follow({ after: 0 })
  await eventually(() => reader.isLive, 'it is live')
  expect(reader.feed.timeline.tail.size).toBe(8)
  expect(page({ before: 99, limit: 5 })).toEqual([16, 17, 18, 19, 20])
  expect(page({ before: 16, limit: 3 })).toEqual([13, 14, 15])
  expect(page({ before: 16, limit: 4 })).toBeUndefined()
  expect(page({ after: 12, limit: 2 })).toEqual([13, 14])
  expect(page({ after: 20, limit: 5 })).toEqual([])
  expect(page({ after: 11, limit: 2 })).toBeUndefined()
  const { reads } = world
  const second = await world.follow({ after: 12 })
  await eventually(() => second.isLive, 'the second is live')
  expect([second.seqs.length, world.reads]).toEqual([8, reads])
  reader.close()
  second.close()
  expect(page({ before: 99, limit: 5 })).toBeUndefined()
})

test('readers that missed the same share one read, and the same text', async () => {
  const world = new World()
  world.commit(150)
  world.readTurns = 3
  let made = 0
  const format = seqsFormat('shared', () => (made += 1))
  const first = await world.follow()
  const { reads } = world
  const all = await Promise.all(
    firstSeqs(50).map(() => world.follow({ after: 20 }, new PaperReader(format))),
  )
  await eventually(() => all.every((reader) => reader.isLive), 'all are live')
  for (const reader of all) expect(reader.seqs).toEqual(firstSeqs(150).slice(20))
  expect([world.reads - reads, made]).toEqual([1, 1])
  expect(first.seqs).toEqual([])
})

test('a timeline that nobody follows is kept, and goes on, until too many are', async () => {
  const world = new World(undefined, 1)
  const first = await world.follow()
  world.post(3)
  await eventually(() => first.cursor === 3, 'it has all')
  first.close()
  world.post(2)
  expect([world.hub.size, world.opened.size]).toEqual([1, 1])
  const { reads } = world
  const back = await world.follow({ after: 1 })
  await eventually(() => back.isLive, 'it is live')
  expect([back.seqs, world.reads - reads]).toEqual([[2, 3, 4, 5], 0])
  back.close()

  const other = await world.hub.open('another')
  expect(world.hub.size).toBe(2)
  world.hub.release(other)
  expect([...world.opened]).toEqual(['another'])
})

test('the newest page is read once, and then kept up to date', async () => {
  const world = new World(undefined, 1)
  world.commit(20)
  const newest = async (limit: number) =>
    (await world.hub.newest(ROOM, limit)).map(({ seq }) => seq)
  expect(await newest(3)).toEqual([18, 19, 20])
  const { reads } = world
  expect(await newest(2)).toEqual([19, 20])
  world.post()
  expect(await newest(3)).toEqual([19, 20, 21])
  expect(world.reads).toBe(reads)
  expect(await newest(10)).toEqual(firstSeqs(21).slice(11))
  expect(world.reads).toBe(reads + 1)
  world.failures = 1
  expect(String(await failureOf(world.hub.newest('another', 5)))).toContain('the store is away')
  expect([...world.opened]).toEqual([ROOM])
})

test('who comes for the same a little later is given the same text', async () => {
  const world = new World({ eventsMax: 100, bytesMax: 100_000, totalBytesMax: 1_000_000 })
  const first = await world.follow()
  world.post(30)
  await eventually(() => first.cursor === 30, 'the tail has them')
  let made = 0
  const format = seqsFormat('shared', () => (made += 1))
  for (let i = 0; i < 3; i++) {
    const reader = await world.follow({ after: 10 }, new PaperReader(format))
    await eventually(() => reader.isLive, 'it is live')
    expect(reader.seqs).toHaveLength(20)
  }
  expect(made).toBe(1)
})
