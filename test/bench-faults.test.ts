/**
 * The load generator, whole and in its own process, against a server that does one thing wrong: a
 * benchmark that claims every delivery must notice each that is lost, doubled or not what was
 * posted. Its plain figures are right when nothing is planted.
 */
import { describe, expect, test } from 'bun:test'
import type { TalkJob, TalkResult } from '../bench/generator/job.ts'
import { generate } from '../bench/generator-process.ts'
import { type Plant, PlantedServer } from './bench-server.ts'

const READERS = 8
const POSTS_PER_S = 100
const ROOMS = ['r0000000000000001', 'r0000000000000002']
const dialect = (name: string) => new URL(`../bench/generator/${name}.ts`, import.meta.url).pathname

/** For what comes, if the machine lets it; and for what never comes. */
const DRAIN_S = 10
const DRAIN_S_IN_VAIN = 1

/** Everyone in both rooms, and a second of posts. */
async function talkWith(plant: Plant, drainSMax = DRAIN_S): Promise<TalkResult> {
  const server = await PlantedServer.start(plant)
  const job: TalkJob = {
    kind: 'talk',
    port: server.port,
    dialect: dialect(plant.deflates ? 'parley-deflated' : 'parley'),
    setup: { rooms: ROOMS, textBytes: 32, tokens: [], options: {} },
    crowd: [{ connections: READERS, from: 0, rooms: 2, roomsEach: 2 }],
    gapless: true,
    senders: 'in turn',
    phases: [
      {
        name: 'a second',
        warmUpS: 0,
        seconds: 1,
        schedules: [{ from: 0, rooms: 2, postsPerSecond: POSTS_PER_S }],
        drainSMax,
      },
    ],
  }
  try {
    return await generate<TalkResult>(job, { core: undefined })
  } finally {
    server.stop()
  }
}

const onlyTo = (chosen: number, plant: NonNullable<Plant['events']>): Plant => ({
  events: (event, reader) => (reader === chosen ? plant(event, reader) : [event]),
})

/** The generator makes system calls of Linux. */
describe.skipIf(process.platform !== 'linux')('the generator', () => {
  test.concurrent('a right server has no faults, and every delivery counts', async () => {
    const { faultCount, faults, posted, acknowledged, lost, twice, phases } = await talkWith({})
    expect(faults).toEqual([])
    expect({ faultCount, posted, acknowledged, lost, twice }).toEqual({
      faultCount: 0,
      posted: POSTS_PER_S,
      acknowledged: POSTS_PER_S,
      lost: 0,
      twice: 0,
    })
    const [{ groups, receivedBytes }] = phases as [TalkResult['phases'][number]]
    expect(groups[0]).toMatchObject({ readers: READERS, posts: POSTS_PER_S })
    expect(groups[0]!.latencyMs.max).toBeGreaterThan(0)
    expect(receivedBytes).toBeGreaterThan(POSTS_PER_S * READERS * 32)
  })

  test.concurrent.each<[what: string, plant: Plant, fault: RegExp]>([
    ['lost to one reader', onlyTo(5, () => []), /^reader \d got \d+ of room \d and not \d+$/],
    [
      'sent to one reader twice',
      onlyTo(5, (event) => [event, event]),
      /^reader \d got \d+ of room \d and not \d+$/,
    ],
    [
      'changed by one character for one reader',
      onlyTo(5, (event) => [{ ...event, text: `${event.text.slice(0, -1)}X` }]),
      /does not say what was posted/,
    ],
    [
      'exchanged for another, older one',
      onlyTo(5, (event) => [{ ...event, text: event.text.replace(/^\d{8}/, '00000000') }]),
      /^post 0 of room \d is told to stand at \d+ and at \d+$/,
    ],
    [
      'made up',
      onlyTo(5, (event) => [{ ...event, text: event.text.replace(/^\d{8}/, '99999999') }]),
      /^post 99999999 of room \d, at \d+, was never sent$/,
    ],
    [
      'stored twice, so that everyone gets it at two seqs',
      { seqs: 2, events: (event) => [event, { ...event, seq: event.seq + 1 }] },
      /^post \d+ of room \d is told to stand at \d+ and at \d+$/,
    ],
    ['acknowledged with the seq of another', { acknowledged: (seq) => [seq - 1] }, /told to stand/],
  ])('a post is noticed that is %s', async (_, plant, fault) => {
    const { faults, faultCount } = await talkWith(plant, DRAIN_S_IN_VAIN)
    expect(faults[0]).toMatch(fault)
    expect(faultCount).toBeGreaterThan(0)
  })

  test.concurrent('deflated frames are checked like any other', async () => {
    const [right, changed] = await Promise.all([
      talkWith({ deflates: true }),
      talkWith({
        deflates: true,
        ...onlyTo(5, (event) => [{ ...event, text: `${event.text.slice(0, -1)}X` }]),
      }),
    ])
    expect(right.faults).toEqual([])
    expect(right.phases[0]!.groups[0]!.deliveries).toBe(POSTS_PER_S * READERS)
    expect(right.phases[0]!.receivedBytes).toBeGreaterThan(0)
    expect(changed.faults[0]).toMatch(/does not say what was posted/)
  })

  test.concurrent('a post that is never acknowledged, or twice, is counted', async () => {
    const [never, twice] = await Promise.all([
      talkWith({ acknowledged: () => [] }),
      talkWith({ acknowledged: (seq) => [seq, seq] }),
    ])
    expect([never.posted, never.acknowledged]).toEqual([POSTS_PER_S, POSTS_PER_S - 1])
    expect([twice.posted, twice.acknowledged]).toEqual([POSTS_PER_S, POSTS_PER_S + 1])
  })
})
