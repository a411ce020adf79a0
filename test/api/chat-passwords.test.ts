/** Password hashing behind a bounded queue. */
import { expect, test } from 'bun:test'
import { Passwords } from '../../src/chat/passwords.ts'
import { systemClock } from '../../src/clock.ts'
import type { Problem } from '../../src/errors.ts'
import { createMetrics } from '../../src/metrics.ts'

const passwordsWith = (options: { concurrency: number; queueMax: number }) =>
  new Passwords({ ...options, clock: systemClock, metrics: createMetrics() })

const outcome = (promise: Promise<unknown>) =>
  promise.then(
    () => 'done' as const,
    (error: Problem) => error,
  )

test('the right password fits; no other does, and none fits nobody', async () => {
  const passwords = passwordsWith({ concurrency: 2, queueMax: 10 })
  const hash = await passwords.hash('pässword 😀')
  expect(hash).toStartWith('$argon2id$v=19$m=19456,t=2,p=1$')
  expect(await passwords.verify(hash, 'pässword 😀')).toBe(true)
  expect(await passwords.verify(hash, 'pässword 😀 ')).toBe(false)
  expect(await passwords.verify(hash, '')).toBe(false)
  expect(await passwords.verify(undefined, 'a password that nobody has')).toBe(false)
})

test('equal passwords have different hashes', async () => {
  const passwords = passwordsWith({ concurrency: 2, queueMax: 10 })
  expect(await passwords.hash('the same')).not.toBe(await passwords.hash('the same'))
})

test('at the limit of the queue all are served; one more is refused, alone', async () => {
  const passwords = passwordsWith({ concurrency: 1, queueMax: 3 })
  // One is being hashed, three wait, the fifth is too many.
  const accepted = [1, 2, 3, 4].map(() => outcome(passwords.hash('a password')))
  const refused = await outcome(passwords.hash('a password'))
  expect(refused).toMatchObject({ code: 'overloaded', status: 503, options: { retryAfterS: 1 } })
  expect(await Promise.all(accepted)).toEqual(['done', 'done', 'done', 'done'])
  // The places are free again, all of them.
  const again = [1, 2, 3, 4].map(() => outcome(passwords.hash('a password')))
  expect(await Promise.all(again)).toEqual(['done', 'done', 'done', 'done'])
})

test('a job that fails gives its place back', async () => {
  const passwords = passwordsWith({ concurrency: 1, queueMax: 1 })
  for (let i = 0; i < 3; i++)
    expect(await outcome(passwords.verify('not a hash', 'a password'))).toBeInstanceOf(Error)
  expect(await outcome(passwords.hash('a password'))).toBe('done')
})
