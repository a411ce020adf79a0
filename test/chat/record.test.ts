/** The recorder: what is announced, when, and to whom what is refused. */
import { expect, test } from 'bun:test'
import { Recorder, type RecorderOptions } from '../../src/chat/record.ts'
import { type Deferred, deferred, systemClock } from '../../src/clock.ts'
import { type Problem, problem } from '../../src/errors.ts'
import type { Bus, LiveEvent } from '../../src/live/bus.ts'
import { liveEvent } from '../../src/live/live-event.ts'
import { createLog } from '../../src/log.ts'
import { createMetrics } from '../../src/metrics.ts'
import type { Appended, Store } from '../../src/store/store.ts'
import type { NewEvent } from '../../src/types.ts'
import { failureOf, firstSeqs, message } from '../contracts/store-home.ts'
import { until, within } from '../harness.ts'
import { expectSoon } from '../soon.ts'

/** A batch the store was given, to be committed or refused by the test. */
interface Batch {
  events: readonly NewEvent[]
  answer: Deferred<Appended[]>
}

/** A recorder whose store commits when the test says so, and whose bus notes what it is told. */
class Desk {
  readonly batches: Batch[] = []
  readonly announced: LiveEvent[] = []
  readonly recorder: Recorder
  #seq = 0

  constructor(limits: Partial<RecorderOptions> = {}) {
    const store = {
      append: (events: readonly NewEvent[]) => {
        const answer = deferred<Appended[]>()
        this.batches.push({ events, answer })
        return answer.promise
      },
    } as Partial<Store> as Store
    const bus = {
      publish: (events: readonly LiveEvent[]) => void this.announced.push(...events),
    } as Partial<Bus> as Bus
    this.recorder = new Recorder({
      ...{ store, bus, clock: systemClock, log: createLog('silent'), metrics: createMetrics() },
      ...{ queueMax: 100, queueBytesMax: 1_000_000, batchMax: 50, timeoutMs: 10_000 },
      readersAreBusy: () => false,
      ...limits,
    })
  }

  post(text: string, more: Partial<NewEvent> = {}) {
    const recorded = this.recorder.record(message('room', text, more))
    // Looked at later; until then nobody is to call it unhandled.
    recorded.catch(() => {})
    return recorded
  }

  /** The nth batch, as soon as the store has it. */
  batch(n: number): Promise<Batch> {
    return until(() => this.batches[n], `batch ${n} reaches the store`)
  }

  commit({ events, answer }: Batch): void {
    answer.resolve(
      events.map(({ timeline, type, author, at, body }) => {
        this.#seq += 1
        const event = { timeline, type, author, at, body, seq: this.#seq }
        return { outcome: 'recorded', event, inboxEntry: null }
      }),
    )
  }

  get textsAnnounced(): string[] {
    return this.announced.map(({ json }) => JSON.parse(json).text)
  }
}

const textsOf = ({ events }: Batch) => events.map(({ body }) => JSON.parse(body).text)
const codeOf = async (promise: Promise<unknown>) =>
  ((await failureOf(promise)) as { code?: string } | undefined)?.code

/** False while the promise waits, however many microtasks pass. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const waiting = Symbol()
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
  const first = await Promise.race([promise.catch(() => {}), Promise.resolve(waiting)])
  return first !== waiting
}

test('nothing is announced or acknowledged before it is committed', async () => {
  const desk = new Desk()
  const posted = desk.post('hello')
  const batch = await desk.batch(0)
  expect(await isSettled(posted)).toBe(false)
  expect(desk.announced).toEqual([])

  desk.commit(batch)

  const { event, replayed } = await posted
  expect([event.seq, event.at, replayed]).toEqual([1, 1_000, false])
  // By the time the author knows, everyone has been told.
  expect(desk.announced).toEqual([liveEvent(event)])
})

test('a batch that was not committed is announced to nobody, and each of its posts refused', async () => {
  for (const code of ['storage_full', 'store_unavailable'] as const) {
    const desk = new Desk()
    const posts = ['a', 'b', 'c'].map((text) => desk.post(text))
    const batch = await desk.batch(0)
    batch.answer.reject(problem(code))
    for (const post of posts) expect(await codeOf(post)).toBe(code)
    expect(desk.announced).toEqual([])

    const next = desk.post('d')
    desk.commit(await desk.batch(1))
    await next
    expect(desk.textsAnnounced).toEqual(['d'])
  }
})

test('batches go one at a time, in the order given, and so do their announcements', async () => {
  const desk = new Desk({ batchMax: 3 })
  const posts = firstSeqs(8).map((n) => desk.post(String(n)))
  const expected = [
    ['1', '2', '3'],
    ['4', '5', '6'],
    ['7', '8', '9'],
  ]
  for (const [index, texts] of expected.entries()) {
    const batch = await desk.batch(index)
    // One that arrives meanwhile goes to the end.
    if (index === 1) posts.push(desk.post('9'))
    expect(await isSettled(posts[index * 3]!)).toBe(false)
    expect(desk.batches).toHaveLength(index + 1)
    expect(textsOf(batch)).toEqual(texts)
    desk.commit(batch)
  }
  const recorded = await Promise.all(posts)
  expect(recorded.map(({ event }) => event.seq)).toEqual(firstSeqs(9))
  expect(desk.textsAnnounced).toEqual(firstSeqs(9).map(String))
})

test('posts of one turn share a batch, and what waits for a commit makes up the next', async () => {
  const desk = new Desk()
  firstSeqs(3).map((n) => desk.post(String(n)))
  const first = await desk.batch(0)
  expect(textsOf(first)).toEqual(['1', '2', '3'])
  for (const n of [4, 5, 6, 7]) {
    desk.post(String(n))
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(desk.recorder.queued).toBe(4)
  desk.commit(first)
  const second = await desk.batch(1)
  expect(textsOf(second)).toEqual(['4', '5', '6', '7'])
  desk.commit(second)
  await desk.recorder.settled()
  expect(desk.recorder.queued).toBe(0)
})

test('as many posts may wait as the limit says; one more is refused, and only that one', async () => {
  const desk = new Desk({ queueMax: 5 })
  const running = desk.post('running')
  const first = await desk.batch(0)
  const waiting = firstSeqs(5).map((n) => desk.post(String(n)))
  expect(await codeOf(desk.post('too many'))).toBe('overloaded')

  desk.commit(first)
  await running
  const second = await desk.batch(1)
  const late = desk.post('there is room again')
  desk.commit(second)
  desk.commit(await desk.batch(2))
  await Promise.all([...waiting, late])
  expect(desk.textsAnnounced).not.toContain('too many')
  expect(desk.announced).toHaveLength(7)
})

test('as many bytes may wait as the limit says; past it posts are refused until there is room', async () => {
  const bytes = message('room', 'x').body.length
  const desk = new Desk({ queueBytesMax: 3 * bytes })
  desk.post('-')
  const first = await desk.batch(0)
  const waiting = ['a', 'b', 'c'].map((text) => desk.post(text))
  expect(await codeOf(desk.post('d'))).toBe('overloaded')
  desk.commit(first)
  desk.commit(await desk.batch(1))
  await Promise.all(waiting)
  const again = ['e', 'f'].map((text) => desk.post(text))
  desk.commit(await desk.batch(2))
  await Promise.all(again)
  expect(desk.textsAnnounced.join('')).toBe('-abcef')
})

test('a commit that takes too long is of unknown outcome, and announced when it comes', async () => {
  const desk = new Desk({ timeoutMs: 30 })
  const posts = ['a', 'b'].map((text) => desk.post(text))
  const first = await desk.batch(0)
  for (const post of posts) expect(await codeOf(post)).toBe('outcome_unknown')
  expect(desk.announced).toEqual([])
  // Whoever comes meanwhile waits for the first batch: order is not given up.
  const later = desk.post('c')
  expect(await isSettled(later)).toBe(false)
  expect(desk.batches).toHaveLength(1)

  desk.commit(first)
  expect(await until(() => desk.batches[1], 'the next batch')).toBeDefined()
  expect(desk.textsAnnounced).toEqual(['a', 'b'])
  desk.commit(desk.batches[1]!)
  await later
  expect(desk.textsAnnounced).toEqual(['a', 'b', 'c'])
})

test('a commit that takes too long and then fails is announced to nobody', async () => {
  const desk = new Desk({ timeoutMs: 30 })
  const post = desk.post('a')
  const first = await desk.batch(0)
  expect(await codeOf(post)).toBe('outcome_unknown')
  first.answer.reject(problem('store_unavailable'))
  await desk.recorder.settled()
  expect(desk.announced).toEqual([])
})

test('a replay is announced once more, a refused key is not; inbox entries are', async () => {
  const desk = new Desk()
  const posts = ['new', 'again', 'other'].map((text) => desk.post(text))
  const { events, answer } = await desk.batch(0)
  const stored = (index: number, seq: number) => ({ ...events[index]!, seq })
  const entry = { timeline: 'inbox', seq: 4, type: 'direct', author: null, at: 1, body: '{"x":1}' }
  answer.resolve([
    { outcome: 'recorded', event: stored(0, 8), inboxEntry: entry },
    { outcome: 'replayed', event: stored(1, 3) },
    { outcome: 'key_reused' },
  ])
  expect((await posts[0]!).event.seq).toBe(8)
  expect(await posts[1]!).toMatchObject({ replayed: true, event: { seq: 3 } })
  expect(await codeOf(posts[2]!)).toBe('key_reused')
  expect(desk.announced.map(({ timeline, seq }) => [timeline, seq])).toEqual([
    ['room', 8],
    ['inbox', 4],
    ['room', 3],
  ])
})

test('those who wait by callback are told once each, in the order given, after the announcement', async () => {
  const desk = new Desk()
  const told: string[] = []
  const submit = (text: string) =>
    desk.recorder.submit(message('room', text), (error, recorded) => {
      const what = recorded ? recorded.event.seq : (error as Problem).code
      told.push(`${text} ${what} of ${desk.announced.length}`)
    })
  for (const text of ['a', 'b', 'c']) submit(text)
  const batch = await desk.batch(0)
  expect(told).toEqual([])
  desk.commit(batch)
  await desk.recorder.settled()
  expect(told).toEqual(['a 1 of 3', 'b 2 of 3', 'c 3 of 3'])
})

test('a callback that was told of an unknown outcome is not called again', async () => {
  for (const later of ['commits', 'fails']) {
    const desk = new Desk({ timeoutMs: 30 })
    const told: unknown[] = []
    desk.recorder.submit(message('room', 'a'), (error) => told.push((error as Problem)?.code))
    const batch = await desk.batch(0)
    await until(() => told.length > 0, 'the outcome is unknown')
    if (later === 'commits') desk.commit(batch)
    else batch.answer.reject(problem('store_unavailable'))
    await desk.recorder.settled()
    expect(told).toEqual(['outcome_unknown'])
    expect(desk.announced).toHaveLength(later === 'commits' ? 1 : 0)
  }
})

test('a callback is refused at once when too many wait', async () => {
  const desk = new Desk({ queueMax: 1 })
  const told: unknown[] = []
  for (const text of ['a', 'b'])
    desk.recorder.submit(message('room', text), (error) => told.push((error as Problem)?.code))
  expect(told).toEqual(['overloaded'])
  desk.commit(await desk.batch(0))
  await desk.recorder.settled()
  expect(told).toEqual(['overloaded', undefined])
})

test('`settled` waits for everything that was handed in', async () => {
  const desk = new Desk({ batchMax: 1 })
  desk.post('a')
  desk.post('b')
  const settled = desk.recorder.settled()
  desk.commit(await desk.batch(0))
  expect(await isSettled(settled)).toBe(false)
  desk.commit(await desk.batch(1))
  await settled
  expect(desk.textsAnnounced).toEqual(['a', 'b'])
})

/** How long after the first batch the second one begins, in milliseconds. */
async function timeBetweenBatches(waiting: number, options: Partial<RecorderOptions>) {
  const desk = new Desk(options)
  const begun = async (count: number) => {
    while (desk.batches.length < count) await new Promise((resolve) => setImmediate(resolve))
    return performance.now()
  }
  desk.post('first')
  const firstAt = await within(begun(1), 'the first batch')
  for (let i = 0; i < waiting; i++) desk.post(`${i}`)
  desk.commit(desk.batches[0]!)
  const secondAt = await within(begun(2), 'the second batch')
  desk.commit(desk.batches[1]!)
  await desk.recorder.settled()
  return secondAt - firstAt
}

test('while readers are busy, commits are ten milliseconds apart, or a full batch', async () => {
  const busy = { readersAreBusy: () => true, batchMax: 5 }
  // Whatever else the machine does, one of some tries is not held up, nor noticed too late.
  const times: number[] = []
  while (times.length < 5 && !times.some((one) => one > 7))
    times.push(await timeBetweenBatches(4, busy))
  expect(Math.max(...times)).toBeGreaterThan(7)
  await expectSoon(7, 'the next batch is given', () => timeBetweenBatches(5, busy))
  await expectSoon(7, 'the next batch is given', () => timeBetweenBatches(4, { batchMax: 5 }))
})
