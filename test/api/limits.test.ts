/** Rates, on a clock that stands still until it is told to move. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { Budget, Limits, Rate } from '../../src/api/limits.ts'
import type { Clock } from '../../src/clock.ts'
import { type Config, defaultConfig } from '../../src/config.ts'
import { problem } from '../../src/errors.ts'
import { createMetrics } from '../../src/metrics.ts'
import { codeOf, thrownBy } from './codes.ts'

class FakeClock implements Clock {
  ms = 1_000_000
  now = () => this.ms
  monotonicMs = () => this.ms
}

/** Ten at once, one more every second. */
function tenAtOnce(clock: Clock, entriesMax = 1_000): Rate {
  return new Rate(clock, { name: 'tries', perMinute: 60, burst: 10, entriesMax })
}

function takeAll(rate: Rate, key: string): number {
  let taken = 0
  while (codeOf(() => rate.take(key)) === undefined) taken += 1
  return taken
}

describe('one rate', () => {
  test('the tenth of a burst of ten passes, the eleventh does not', () => {
    const rate = tenAtOnce(new FakeClock())
    for (let left = 9; left >= 0; left--) expect(rate.take('ada').remaining).toBe(left)
    const refused = thrownBy(() => rate.take('ada'))
    expect(refused).toMatchObject({ code: 'rate_limited', status: 429 })
    expect(refused?.options.retryAfterS).toBe(1)
    expect(refused?.options.headers).toEqual({
      'RateLimit-Policy': '"tries";q=10;w=10',
      RateLimit: '"tries";r=0',
    })
  })

  test('one key does not spend for another', () => {
    const rate = tenAtOnce(new FakeClock())
    expect(takeAll(rate, 'ada')).toBe(10)
    expect(takeAll(rate, 'bob')).toBe(10)
  })

  test('it refills evenly, just in time and not a moment before', () => {
    const clock = new FakeClock()
    const rate = tenAtOnce(clock)
    takeAll(rate, 'ada')
    clock.ms += 999
    expect(codeOf(() => rate.take('ada'))).toBe('rate_limited')
    clock.ms += 1
    expect(rate.take('ada').remaining).toBe(0)
    clock.ms += 3_000
    expect(takeAll(rate, 'ada')).toBe(3)
  })

  test('however long it rests, a burst stays a burst', () => {
    const clock = new FakeClock()
    const rate = tenAtOnce(clock)
    takeAll(rate, 'ada')
    clock.ms += 3_600_000
    expect(takeAll(rate, 'ada')).toBe(10)
  })

  test('it says when the whole burst is there again', () => {
    const clock = new FakeClock()
    const rate = tenAtOnce(clock)
    expect(rate.take('ada').fullAfterS).toBe(1)
    expect(rate.take('ada').fullAfterS).toBe(2)
    clock.ms += 500
    expect(rate.take('ada').fullAfterS).toBe(3)
  })

  test('a refused attempt costs nothing', () => {
    const clock = new FakeClock()
    const rate = tenAtOnce(clock)
    takeAll(rate, 'ada')
    for (let i = 0; i < 100; i++) codeOf(() => rate.take('ada'))
    clock.ms += 1_000
    expect(takeAll(rate, 'ada')).toBe(1)
  })

  test('what is refunded can be spent again, once', () => {
    const rate = tenAtOnce(new FakeClock())
    takeAll(rate, 'ada')
    rate.refund('ada')
    expect(takeAll(rate, 'ada')).toBe(1)
    rate.refund('nobody')
    expect(takeAll(rate, 'nobody')).toBe(10)
  })

  test('no stretch of time ever lets through more than the burst and what it refills', () => {
    const steps = fc.array(fc.integer({ min: 0, max: 2_000 }), { maxLength: 200 })
    fc.assert(
      fc.property(steps, (waitsMs) => {
        const clock = new FakeClock()
        const rate = tenAtOnce(clock)
        const takenAt: number[] = []
        for (const waitMs of waitsMs) {
          clock.ms += waitMs
          if (codeOf(() => rate.take('ada')) === undefined) takenAt.push(clock.ms)
        }
        for (let first = 0; first < takenAt.length; first++)
          for (let last = first; last < takenAt.length; last++) {
            const ms = takenAt[last]! - takenAt[first]!
            expect(last - first + 1).toBeLessThanOrEqual(10 + ms / 1_000)
          }
      }),
    )
  })
})

describe('what is remembered is bounded', () => {
  test('keys that are full again make room before those that are not', () => {
    const clock = new FakeClock()
    const rate = tenAtOnce(clock, 3)
    rate.take('idle')
    clock.ms += 1_000
    for (const key of ['ada', 'bob']) takeAll(rate, key)
    takeAll(rate, 'eve')
    // Nobody who is still held to a limit was forgotten.
    for (const key of ['ada', 'bob', 'eve']) expect(takeAll(rate, key)).toBe(0)
  })

  test('if all are in use the oldest goes, and only that one', () => {
    const rate = tenAtOnce(new FakeClock(), 3)
    for (const key of ['ada', 'bob', 'eve', 'dan']) takeAll(rate, key)
    for (const key of ['bob', 'eve', 'dan']) expect(takeAll(rate, key)).toBe(0)
    expect(takeAll(rate, 'ada')).toBe(10)
  })
})

describe('all rates together', () => {
  function limitsWith(overrides: Partial<Config>): Limits {
    return new Limits(defaultConfig(overrides), new FakeClock(), createMetrics())
  }

  test('what is left is told in headers', () => {
    const limits = limitsWith({ postsBurstMax: 2, postsPerMinuteMax: 60 })
    const told = { 'RateLimit-Policy': '"posts";q=2;w=2', RateLimit: '"posts";r=1;t=1' }
    expect(limits.take('posts', 'ada')).toEqual(told)
    expect(limits.take('posts', 'ada').RateLimit).toBe('"posts";r=0;t=2')
    expect(codeOf(() => limits.take('posts', 'ada'))).toBe('rate_limited')
    expect(limits.take('requests', 'ada').RateLimit).toStartWith('"requests";r=1999')
  })

  test('off means that nothing is counted', () => {
    const limits = limitsWith({ rateLimits: 'off', postsBurstMax: 1 })
    for (let i = 0; i < 10; i++) expect(limits.take('posts', 'ada')).toEqual({})
    for (let i = 0; i < 10_000; i++) expect(limits.frames.take(0)).toBe(0)
  })

  const wrong = () => Promise.reject(problem('wrong_credentials'))
  const guardCode = (limits: Limits, name: string, address: string, attempt = wrong) =>
    limits.guard(name, address, attempt).then(
      () => undefined,
      (error) => error.code,
    )

  test('wrong passwords count against the name, whatever address they come from', async () => {
    const limits = limitsWith({ failuresPerNameMax: 3 })
    for (let i = 0; i < 3; i++)
      expect(await guardCode(limits, 'ada', `10.0.0.${i}`)).toBe('wrong_credentials')
    expect(await guardCode(limits, 'ada', '10.0.0.9')).toBe('rate_limited')
    expect(await guardCode(limits, 'bob', '10.0.0.9')).toBe('wrong_credentials')
  })

  test('and against the address, whatever name they try', async () => {
    const limits = limitsWith({ failuresPerAddressMax: 3 })
    for (let i = 0; i < 3; i++)
      expect(await guardCode(limits, `name-${i}`, '10.0.0.1')).toBe('wrong_credentials')
    expect(await guardCode(limits, 'ada', '10.0.0.1')).toBe('rate_limited')
    expect(await guardCode(limits, 'ada', '10.0.0.2')).toBe('wrong_credentials')
  })

  test('a success counts for nothing, nor does a failure of ours', async () => {
    const limits = limitsWith({ failuresPerNameMax: 1, failuresPerAddressMax: 1 })
    for (let i = 0; i < 5; i++) await limits.guard('ada', '10.0.0.1', async () => {})
    const ours = () => Promise.reject(problem('overloaded'))
    for (let i = 0; i < 5; i++)
      expect(await guardCode(limits, 'ada', '10.0.0.1', ours)).toBe('overloaded')
    expect(await guardCode(limits, 'ada', '10.0.0.1')).toBe('wrong_credentials')
    expect(await guardCode(limits, 'ada', '10.0.0.1')).toBe('rate_limited')
  })

  test('many at once get no further than one after the other', async () => {
    const limits = limitsWith({ failuresPerNameMax: 3 })
    const many = Array.from({ length: 20 }, () => guardCode(limits, 'ada', '10.0.0.1'))
    const codes = await Promise.all(many)
    expect(codes.filter((code) => code === 'wrong_credentials')).toHaveLength(3)
    expect(codes.filter((code) => code === 'rate_limited')).toHaveLength(17)
  })

  test('a name that is refused does not use up its address', async () => {
    const limits = limitsWith({ failuresPerNameMax: 1, failuresPerAddressMax: 2 })
    await guardCode(limits, 'ada', '10.0.0.1')
    for (let i = 0; i < 9; i++)
      expect(await guardCode(limits, 'ada', '10.0.0.1')).toBe('rate_limited')
    expect(await guardCode(limits, 'bob', '10.0.0.1')).toBe('wrong_credentials')
  })
})

test('frames: the burst passes, one more does not, until it has refilled', () => {
  const clock = new FakeClock()
  const budget = new Budget(5, 60, clock)
  let fullAt = 0
  const take = () => {
    const next = budget.take(fullAt)
    fullAt = next ?? fullAt
    return next !== undefined
  }
  for (let i = 0; i < 5; i++) expect(take()).toBe(true)
  expect(take()).toBe(false)
  clock.ms += 999
  expect(take()).toBe(false)
  clock.ms += 1
  expect(take()).toBe(true)
  expect(take()).toBe(false)
  // Another socket has a budget of its own.
  expect(budget.take(0)).toBeDefined()
})
