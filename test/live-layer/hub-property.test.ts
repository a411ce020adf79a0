/**
 * Whatever the bus loses, repeats and reorders, however late the store answers and readers read:
 * each reader gets exactly the events after its cursor, in order, none missed, none twice; and all
 * of them, once the bus has rung cleanly a last time or heads have been compared with the store. A
 * failure prints the seed and the shortest story.
 */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import type { LiveEvent } from '../../src/live/bus.ts'
import { HeadCheck } from '../../src/live/head-check.ts'
import { complaints, eventually, PaperReader, seqsFormat, turn, World } from './world.ts'

const fraction = fc.double({ min: 0, max: 1, noNaN: true })

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ commit: fc.integer({ min: 1, max: 12 }) }) },
  // A ring takes some of what was committed, from anywhere, and leaves it to be repeated or lost.
  { weight: 6, arbitrary: fc.record({ ring: fraction, count: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 4, arbitrary: fc.record({ ringNext: fc.integer({ min: 1, max: 12 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      follow: fc.option(fraction, { nil: undefined }),
      answers: fc.array(fc.boolean(), { maxLength: 6 }),
      format: fc.constantFrom('a', 'b'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ drain: fraction }) },
  { weight: 1, arbitrary: fc.record({ close: fraction }) },
  { weight: 2, arbitrary: fc.record({ readTurns: fc.nat(4), late: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ turns: fc.integer({ min: 1, max: 4 }) }) },
)

type Step = typeof step extends fc.Arbitrary<infer One> ? One : never

class Story {
  readonly world: World
  readonly idleMax: number
  readonly readers: PaperReader[] = []
  readonly #opening: Promise<void>[] = []
  readonly #announced: LiveEvent[] = []
  #rung = 0
  readonly #endsByCheck: boolean

  constructor(eventsMax: number, holeWaitMs: number) {
    // Every second story keeps the timeline while nobody follows it.
    this.idleMax = eventsMax % 2
    this.#endsByCheck = eventsMax % 3 === 0
    const tail = { eventsMax, bytesMax: 1_000, totalBytesMax: 10_000 }
    this.world = new World(tail, this.idleMax, holeWaitMs)
  }

  async play(one: Step): Promise<void> {
    const { world } = this
    if ('commit' in one) this.#announced.push(...world.commit(one.commit))
    else if ('ring' in one) this.#ringAnywhere(one.ring, one.count)
    else if ('ringNext' in one) this.#ringNext(one.ringNext)
    else if ('follow' in one) this.#follow(one)
    else if ('drain' in one) this.#pick(one.drain)?.drain()
    else if ('close' in one) this.#pick(one.close)?.close()
    else if ('turns' in one) for (let i = 0; i < one.turns; i++) await turn()
    else Object.assign(world, { readTurns: one.readTurns, answersLate: one.late })
  }

  #ringAnywhere(at: number, count: number): void {
    const from = Math.floor(at * this.#announced.length)
    this.world.ring(this.#announced.slice(from, from + count))
  }

  #ringNext(count: number): void {
    this.world.ring(this.#announced.slice(this.#rung, this.#rung + count))
    this.#rung = Math.min(this.#rung + count, this.#announced.length)
  }

  #follow({ follow, answers, format }: Extract<Step, { follow: unknown }>): void {
    const { head } = this.world
    const after = follow === undefined ? undefined : Math.round(follow * head)
    const reader = new PaperReader(seqsFormat(format), answers)
    const opened = this.world.follow({ after }, reader).then(() => {
      expect(reader.feed.recovered).toBe(true)
      this.readers.push(reader)
    })
    this.#opening.push(opened)
  }

  #pick(at: number): PaperReader | undefined {
    const open = this.readers.filter((reader) => !reader.closed)
    return open[Math.min(Math.floor(at * open.length), open.length - 1)]
  }

  /** The last clean ring, or a look at the heads, and patience. */
  async end(): Promise<void> {
    const { world, readers } = this
    await Promise.all(this.#opening)
    if (this.#endsByCheck) {
      world.commit(1)
      world.failures = 0
      await new HeadCheck(world).run(true)
    } else world.post()
    const open = () => readers.filter((reader) => !reader.closed)
    const complete = (reader: PaperReader) => reader.cursor === world.head && reader.isLive
    await eventually(() => {
      for (const reader of open()) reader.drain()
      return open().every(complete)
    }, 'every open reader has every event')
    for (const reader of open()) {
      expect(reader.caughtUpAt).toHaveLength(1)
      expect(reader.failure).toBeUndefined()
    }
    for (const reader of open()) reader.close()
    expect(world.hub.size).toBe(world.opened.size)
    expect(world.hub.size).toBeLessThanOrEqual(this.idleMax)
  }
}

// With a wait before a hole is read, time has to pass, so there are fewer stories of that kind.
test.each([
  { holeWaitMs: 0, numRuns: 1_000 },
  { holeWaitMs: 1, numRuns: 150 },
])('every reader gets exactly what comes after its cursor, whatever happens: %o', (kind) =>
  fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 30 }),
      fc.array(step, { minLength: 5, maxLength: 60 }),
      async (eventsMax, steps) => {
        complaints.length = 0
        const story = new Story(eventsMax, kind.holeWaitMs)
        for (const one of steps) await story.play(one)
        await story.end()
        expect(complaints).toEqual([])
      },
    ),
    { numRuns: kind.numRuns },
  ),
)
