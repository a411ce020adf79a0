/** When the store is asked for what the bus may not have said. */
import { afterEach, expect, test } from 'bun:test'
import { type Check, Recheck } from '../../src/chat/recheck.ts'
import { type Deferred, deferred } from '../../src/clock.ts'
import { createLocalBus } from '../../src/live/bus-local.ts'
import { createLog } from '../../src/log.ts'
import { until } from '../harness.ts'

const made: Recheck[] = []

afterEach(() => Promise.all(made.splice(0).map((recheck) => recheck.stop())))

/** With a check that notes what it was asked, and ends when the test says so. */
function recheckOf(everyMs: number) {
  const asked: boolean[] = []
  const open: Deferred<void>[] = []
  const state = { connected: true, holds: false }
  const check: Check = (all) => {
    asked.push(all)
    const answer = deferred<void>()
    if (state.holds) open.push(answer)
    else answer.resolve()
    return answer.promise
  }
  const bus = Object.defineProperty(createLocalBus(), 'connected', { get: () => state.connected })
  const recheck = new Recheck({ everyMs, checks: [check], bus, log: createLog('silent') })
  made.push(recheck)
  recheck.start()
  return { recheck, asked, open, state }
}

test('it asks at an interval: of everything only while the bus is away', async () => {
  const { asked, state } = recheckOf(10)
  await until(() => asked.length >= 3, 'it has asked')
  expect(asked.every((all) => !all)).toBe(true)
  state.connected = false
  const before = asked.length
  await until(() => asked.length >= before + 3, 'it goes on')
  expect(asked.slice(before).every((all) => all)).toBe(true)
})

test('when the bus is back it asks at once, of everything', () => {
  const { recheck, asked } = recheckOf(60_000)
  expect(asked).toEqual([])
  recheck.now()
  expect(asked).toEqual([true])
})

test('one round at a time; whatever is wanted meanwhile is one more', async () => {
  const { recheck, asked, open, state } = recheckOf(60_000)
  state.holds = true
  for (let i = 0; i < 5; i++) recheck.now()
  expect(asked).toEqual([true])
  open[0]!.resolve()
  await until(() => asked.length === 2, 'the second round begins')
  open[1]!.resolve()
  await recheck.stop()
  expect(asked).toEqual([true, true])
})

test('a round that fails is followed by others', async () => {
  const { recheck, asked, open, state } = recheckOf(10)
  state.holds = true
  await until(() => asked.length === 1, 'it asks')
  state.holds = false
  open[0]!.reject(new Error('the store is away'))
  await until(() => asked.length >= 3, 'it goes on')
  await recheck.stop()
  const { length } = asked
  recheck.now()
  expect(asked).toHaveLength(length)
})

test('a node that is alone asks nothing', () => {
  const { recheck, asked } = recheckOf(0)
  recheck.now()
  expect(asked).toEqual([])
})
