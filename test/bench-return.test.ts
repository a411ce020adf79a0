/**
 * The generator's jobs of *blackout* and *night*, each whole and in its own process: against a
 * server that does one thing wrong when everyone comes back, or wakes, and against the real one.
 */
import { describe, expect, test } from 'bun:test'
import type { IdleJob, IdleResult } from '../bench/generator/jobs/idle.ts'
import type { ResumeJob, ResumeResult } from '../bench/generator/jobs/resume.ts'
import { UpgradeRefused } from '../bench/generator/websocket.ts'
import { generate } from '../bench/generator-process.ts'
import { parseMemory } from '../bench/memory.ts'
import { Progress } from '../bench/progress.ts'
import { runBlackout } from '../bench/scenarios/blackout.ts'
import { type Plant, PlantedServer } from './bench-server.ts'

const READERS = 8
const SEEN = 5
const MISSED = 20
const ROOMS = ['r0000000000000001', 'r0000000000000002', 'r0000000000000003']
const ROOMS_EACH = 2
const DIALECT = new URL('../bench/generator/parley.ts', import.meta.url).pathname
const setup = { rooms: ROOMS, textBytes: 32, tokens: [], options: {} }

async function withServer<T>(plant: Plant, run: (port: number) => Promise<T>): Promise<T> {
  const server = await PlantedServer.start(plant)
  try {
    return await run(server.port)
  } finally {
    server.stop()
  }
}

/** For what comes, if the machine lets it; and for what never comes. */
const WAIT_MS = 20_000
const WAIT_MS_IN_VAIN = 3_000

/** Everyone is cut off and comes back. */
function comeBackTo(plant: Plant, returnMsMax = WAIT_MS): Promise<ResumeResult> {
  return withServer(plant, (port) => {
    const job: ResumeJob = {
      ...{ kind: 'resume', port, dialect: DIALECT, setup, epoch: 'e', killed: false },
      ...{ readers: READERS, roomsEach: ROOMS_EACH, seenPosts: SEEN, missedPosts: MISSED },
      ...{ returnMs: 100, returnMsMax },
    }
    return generate<ResumeResult>(job, { core: undefined })
  })
}

/** Only the first that comes back to a room, whichever it is, is given something wrong. */
function onceWrong(plant: NonNullable<Plant['backfill']>): Plant {
  let isPlanted = false
  return {
    backfill(missed) {
      if (isPlanted) return missed
      isPlanted = true
      return plant(missed)
    },
  }
}

const onLinux = process.platform === 'linux'

describe.skipIf(!onLinux)('when everyone comes back', () => {
  test.concurrent('all that was missed is counted, and nothing else is found', async () => {
    const { readers, complete, lost, twice, deliveries, faults, sinceFirstMs } = await comeBackTo(
      {},
    )
    expect(faults).toEqual([])
    expect({ readers, complete, lost, twice }).toEqual({
      ...{ readers: READERS, complete: READERS, lost: 0, twice: 0 },
    })
    // The cut comes in the midst of a round, so a reader may have seen a post more or less.
    const each = deliveries / (READERS * ROOMS_EACH)
    expect(each).toBeWithin(MISSED - 2, MISSED + SEEN + 1)
    expect(sinceFirstMs.max).toBeGreaterThan(0)
  })

  test.concurrent('an event that is left out is lost', async () => {
    const { lost, faults } = await comeBackTo(onceWrong((missed) => missed.slice(1)))
    expect(lost).toBe(1)
    expect(faults[0]).toMatch(/^reader \d got \d+ of room \d and not \d+$/)
  })

  test.concurrent('the last event is lost, too, if it never comes', async () => {
    const { lost, faults, complete } = await comeBackTo(
      onceWrong((missed) => missed.slice(0, -1)),
      WAIT_MS_IN_VAIN,
    )
    expect({ lost, complete }).toEqual({ lost: 1, complete: READERS - 1 })
    expect(faults[0]).toMatch(/^reader \d still lacks 1 events$/)
  })

  test.concurrent('an event that the reader has seen already comes twice', async () => {
    const again: Plant['backfill'] = ([first, ...rest]) => {
      const seq = first!.seq - 1
      const text = first!.text.replace(/^\d{8}/, String(seq - 1).padStart(8, '0'))
      return [{ ...first!, seq, text }, first!, ...rest]
    }
    const { twice, lost, faults } = await comeBackTo(onceWrong(again))
    expect({ twice, lost }).toEqual({ twice: 1, lost: 0 })
    expect(faults[0]).toMatch(/^reader \d got \d+ of room \d and not \d+$/)
  })

  test.concurrent('an event that is not the one posted there is a fault', async () => {
    const older: Plant['backfill'] = (missed) =>
      missed.map((event, i) => (i === 3 ? { ...event, text: missed[2]!.text } : event))
    const { faults } = await comeBackTo(onceWrong(older))
    expect(faults[0]).toMatch(/^event \d+ of room \d is post \d+$/)
  })

  test.concurrent('a cursor that is not honoured is a fault', async () => {
    const { faults } = await comeBackTo({ recovered: false })
    expect(faults[0]).toMatch(/^a subscription was not resumed/)
  })

  test.concurrent('who is told to come later comes later, and has everything', async () => {
    const refusal = 'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n'
    // The readers and the poster come first.
    const { refused, refusedRooms, complete, lost, sinceFirstMs, faults } = await comeBackTo({
      upgrade: (connection) => (connection === READERS + 2 ? refusal : undefined),
      busy: (subscription) => subscription === READERS * ROOMS_EACH + 3,
    })
    expect({ refused, refusedRooms, complete, lost, faults }).toEqual({
      ...{ refused: 1, refusedRooms: 1, complete: READERS, lost: 0, faults: [] },
    })
    expect(sinceFirstMs.max).toBeGreaterThan(1_000)
  })
})

test('an upgrade that is refused says why, and when to come again', () => {
  const refused = new UpgradeRefused('HTTP/1.1 503 Busy\r\nretry-after: 4\r\n\r\n')
  expect([refused.status, refused.retryAfterS]).toEqual([503, 4])
  const denied = new UpgradeRefused('HTTP/1.1 401 Unauthorized\r\n\r\n')
  expect([denied.status, denied.retryAfterS]).toEqual([401, undefined])
})

describe.skipIf(!onLinux)('when everyone is woken', () => {
  function wake(plant: Plant, wakeMsMax = WAIT_MS): Promise<IdleResult> {
    return withServer(plant, (port) => {
      const job: IdleJob = {
        ...{ kind: 'idle', port, dialect: DIALECT, setup, connections: READERS },
        ...{ roomsEach: ROOMS_EACH, groups: 2, settleMs: 0, restMs: 0, wakes: 2, wakeMsMax },
      }
      return generate<IdleResult>({ ...job }, { core: undefined })
    })
  }

  test.concurrent('each is told once', async () => {
    const { lost, twice, faults, wakesMs, connections } = await wake({})
    expect({ lost, twice, faults, connections }).toEqual({
      ...{ lost: 0, twice: 0, faults: [], connections: READERS },
    })
    expect(wakesMs).toHaveLength(2)
  })

  test.concurrent('one that is not told is missed', async () => {
    const untold: Plant = {
      at: 2,
      events: (event, reader) => (reader === 5 ? [] : [event]),
    }
    const { lost, faults } = await wake(untold, WAIT_MS_IN_VAIN)
    expect(lost).toBe(1)
    expect(faults).toEqual(['1 connections were not told of post 1'])
  })

  test.concurrent('one that is told twice is noticed', async () => {
    const { twice, faults } = await wake({
      at: 1,
      events: (event, reader) => (reader === 5 ? [event, event] : [event]),
    })
    expect(twice).toBe(1)
    expect(faults[0]).toMatch(/^connection \d got 1 of room 0 and not 2$/)
  })
})

test.skipIf(!onLinux).each([false, true])(
  'the real server gives everyone what they missed; killed: %p',
  async (killed) => {
    const context = { quick: true, runs: 1, cores: undefined, progress: new Progress(), peers: [] }
    const run = await runBlackout({ readers: 40, rooms: 20, killed }, context)
    const { complete, lost, twice, faults, deliveries } = run
    expect({ complete, lost, twice, faults }).toEqual({
      ...{ complete: 40, lost: 0, twice: 0, faults: [] },
    })
    expect(deliveries).toBeGreaterThan(40 * 10 * 40)
  },
  20_000,
)

test('memory is read from the kernel’s sums', () => {
  const rollup = 'Rss:  300 kB\nPss:  250 kB\nPrivate_Clean: 8 kB\nPrivate_Dirty:    200 kB\n'
  expect(parseMemory(rollup)).toEqual({ privateDirtyBytes: 204_800, rssBytes: 307_200 })
})
