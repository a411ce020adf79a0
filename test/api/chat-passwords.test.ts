/** Password hashing in the background, behind a bounded queue. */
import { afterEach, expect, test } from 'bun:test'
import { Passwords } from '../../src/chat/passwords.ts'
import { Users } from '../../src/chat/users.ts'
import { systemClock } from '../../src/clock.ts'
import type { Problem } from '../../src/errors.ts'
import { createLog } from '../../src/log.ts'
import { createMetrics, type Metrics } from '../../src/metrics.ts'
import type { Store } from '../../src/store/store.ts'

const made: Passwords[] = []

function passwordsWith(options: { concurrency: number; queueMax: number }, clock = systemClock) {
  const metrics = createMetrics()
  const passwords = new Passwords({ ...options, clock, log: createLog('silent'), metrics })
  made.push(passwords)
  return { passwords, metrics }
}

afterEach(() => Promise.all(made.splice(0).map((passwords) => passwords.close())))

const waitingIn = async (metrics: Metrics) => (await metrics.hashQueue.get()).values[0]!.value

const outcome = (promise: Promise<unknown>) =>
  promise.then(
    () => 'done' as const,
    (error: Problem) => error,
  )

test('the right password fits; no other does, and none fits nobody', async () => {
  const { passwords } = passwordsWith({ concurrency: 2, queueMax: 10 })
  const hash = await passwords.hash('pässword 😀')
  expect(hash).toStartWith('$argon2id$v=19$m=19456,t=2,p=1$')
  expect(await passwords.verify(hash, 'pässword 😀')).toBe(true)
  expect(await passwords.verify(hash, 'pässword 😀 ')).toBe(false)
  expect(await passwords.verify(hash, '')).toBe(false)
  expect(await passwords.verify(undefined, 'pässword 😀')).toBe(false)
})

test('equal passwords have different hashes', async () => {
  const { passwords } = passwordsWith({ concurrency: 2, queueMax: 10 })
  expect(await passwords.hash('the same')).not.toBe(await passwords.hash('the same'))
})

test('at the limit of the queue all are served; one more is refused, alone', async () => {
  const { passwords, metrics } = passwordsWith({ concurrency: 1, queueMax: 3 })
  // One is being hashed, three wait, the fifth is too many.
  const accepted = [1, 2, 3, 4].map(() => outcome(passwords.hash('a password')))
  const refused = await outcome(passwords.hash('a password'))
  expect(refused).toMatchObject({ code: 'overloaded', status: 503, options: { retryAfterS: 1 } })
  expect(await waitingIn(metrics)).toBe(3)
  expect(await Promise.all(accepted)).toEqual(['done', 'done', 'done', 'done'])
  expect(await waitingIn(metrics)).toBe(0)
  expect((await metrics.refusals.get()).values).toMatchObject([
    { labels: { cause: 'hash_queue' }, value: 1 },
  ])
  // The places are free again, all of them.
  const again = [1, 2, 3, 4].map(() => outcome(passwords.hash('a password')))
  expect(await Promise.all(again)).toEqual(['done', 'done', 'done', 'done'])
})

/** Of very many at one moment, how many are told to come in each second from then. */
async function turns(): Promise<number[]> {
  const { passwords } = passwordsWith(
    { concurrency: 1, queueMax: 3 },
    { ...systemClock, monotonicMs: () => 0 },
  )
  await passwords.hash('measured')
  const accepted = [1, 2, 3, 4].map(() => outcome(passwords.hash('a password')))
  const refused = Array.from({ length: 60_000 }, () => outcome(passwords.hash('a password')))
  const inSecond = new Array<number>(62).fill(0)
  for (const one of await Promise.all(refused))
    inSecond[(one as Problem).options.retryAfterS!]! += 1
  await Promise.all(accepted)
  return inSecond
}

test('those who are refused get turns one after the other, a minute away at most', async () => {
  let inSecond = await turns()
  // If the machine stood still within the hash that was measured, none is done in the first second.
  for (let tries = 1; tries < 3 && inSecond[1] === 0; tries++) inSecond = await turns()
  const [none, first, ...later] = inSecond
  const [beyond, last] = [later.pop(), later.pop()!]
  expect({ none, beyond }).toEqual({ none: 0, beyond: 0 })
  // As many a second as can be hashed in one; whoever came in the first counts with the queue.
  const most = Math.max(...later)
  expect(Math.min(...later)).toBeGreaterThanOrEqual(most - 1)
  expect(first).toBeGreaterThan(0)
  expect(first).toBeLessThanOrEqual(most)
  // A hash takes more than 1 ms, or there would be nobody left for the last second.
  expect(last).toBeGreaterThan(most)
})

test('whoever is refused is not looked up', async () => {
  const { passwords } = passwordsWith({ concurrency: 1, queueMax: 1 })
  const asked: string[] = []
  const findAccount = async (name: string) => void asked.push(name)
  const store = { findAccount } as Partial<Store> as Store
  const users = new Users({ store, passwords, clock: systemClock, cachedMax: 1 })
  // One is being hashed, one waits: all in one turn of the event loop, so that neither can be done.
  const accepted = [1, 2].map(() => outcome(passwords.hash('a password')))
  expect(await outcome(users.verify('bob', 'a password'))).toMatchObject({ code: 'overloaded' })
  expect(await Promise.all(accepted)).toEqual(['done', 'done'])
  expect(await outcome(users.verify('ada', 'a password'))).toMatchObject({
    code: 'wrong_credentials',
  })
  expect(asked).toEqual(['ada'])
})

test('a job that fails gives its place back', async () => {
  const { passwords } = passwordsWith({ concurrency: 1, queueMax: 1 })
  for (let i = 0; i < 3; i++)
    expect(await outcome(passwords.verify('not a hash', 'a password'))).toBeInstanceOf(Error)
  expect(await outcome(passwords.hash('a password'))).toBe('done')
})
