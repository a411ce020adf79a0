/**
 * Whole servers in simulated time: whatever the store, the bus, the network and the nodes do,
 * nothing is lost, invented, repeated, reordered or shown to whom it does not concern, and when all
 * is well again everything arrives. Seeds that are always told, and as many others as time allows;
 * a failure prints its seed, the command that tells it again, and the shortest story.
 */
import { expect, test } from 'bun:test'
import { HeadCheck } from '../../src/live/head-check.ts'
import { ModelLog } from '../contracts/model-log.ts'
import { tellMany } from './run.ts'
import { storyOf } from './story.ts'
import { tell } from './tell.ts'

const FIXED_SEED = 1
const FIXED_STORIES = 40
const TELL_MS = 8_000

test('the same seed is the same story, to the last event', () => {
  const told = () => JSON.stringify([5, 6, 7].map((seed) => tell(storyOf(seed))))
  expect(told()).toBe(told())
})

test('nothing goes wrong in the stories that are always told', async () => {
  const { failure, deliveries } = await tellMany(FIXED_SEED, (told) => told < FIXED_STORIES)
  expect(failure).toBeUndefined()
  expect(deliveries).toBeGreaterThan(0)
}, 60_000)

test('nothing goes wrong in stories that nobody has told before', async () => {
  const seed = Math.floor(Math.random() * 1e9)
  const until = performance.now() + TELL_MS
  const { failure, stories } = await tellMany(seed, () => performance.now() < until)
  console.log(`${stories} stories from seed ${seed}`)
  expect(failure).toBeUndefined()
}, 120_000)

/** Far more than it takes. */
const STORIES_MAX = 1_000

async function firstFailure(): Promise<string | undefined> {
  return (await tellMany(FIXED_SEED, (told) => told < STORIES_MAX)).failure
}

test('a store that forgets keys is found out, and told of in a few steps', async () => {
  const { append } = ModelLog.prototype
  ModelLog.prototype.append = function (given) {
    return append.call(this, { ...given, key: undefined })
  }
  const failure = await firstFailure().finally(() => {
    ModelLog.prototype.append = append
  })
  expect(failure).toContain('duplicate')
  expect(failure).toContain('npm run trials -- --seed ')
  expect(failure!.match(/^ {2}after /gm)!.length).toBeLessThan(10)
}, 60_000)

test('nodes that never ask for what a lost ring would have told are found out', async () => {
  const { run } = HeadCheck.prototype
  HeadCheck.prototype.run = async () => {}
  const failure = await firstFailure().finally(() => {
    HeadCheck.prototype.run = run
  })
  expect(failure).toContain('unseen')
}, 60_000)
