/** What a scenario makes of its runs: the goals, the ratios, the run that counts. */
import { expect, test } from 'bun:test'
import { roomsOf } from '../bench/generator/crowd.ts'
import { Meter } from '../bench/generator/meter.ts'
import { progressText } from '../bench/progress.ts'
import type { Measured } from '../bench/record.ts'
import { findScenarios } from '../bench/scenarios/list.ts'
import { ratioGoals } from '../bench/scenarios/ratio.ts'
import { amount, atLeast, atMost, noneOf } from '../bench/scenarios/scenario.ts'
import { combineRuns } from '../bench/scenarios/subjects.ts'
import { parseListenOverflows } from '../bench/usage.ts'

function run(load: string, p99: number, more: Partial<Measured> = {}): Measured {
  return {
    ...{ scenario: 'town', subject: 'parley', load, unit: 'deliveries' },
    ...{ durable: '', ordered: '', latencyMs: { p50: 1, p99, max: 2 * p99 } },
    ...more,
  }
}

test('a goal is met on its limit and missed beyond it', () => {
  const met = (goals: { met: boolean }[]) => goals.map((goal) => goal.met)
  expect(met([atMost('a', 500, 500, 'ms'), atMost('a', 500, 500.1, 'ms')])).toEqual([true, false])
  expect(met([atLeast('a', 0.7, 0.7, '×'), atLeast('a', 0.7, 0.699, '×')])).toEqual([true, false])
  expect(met([noneOf('a', 0), noneOf('a', 1)])).toEqual([true, false])
  expect(atMost('a', 1, Number.NaN, '').met).toBe(false)
  expect(atMost('p99', 400, 1_234.5, 'ms')).toMatchObject({ goal: '≤ 400 ms', value: '1,235 ms' })
  expect([amount(0.736), amount(12.34), amount(9_999_999)]).toEqual(['0.74', '12.3', '9,999,999'])
})

test('the ratios need a bare loop that had the same load and passed', () => {
  const own = run('1,000 posts/s', 300, { perCpuSecond: 80 })
  const bare = run('1,000 posts/s', 200, { perCpuSecond: 100 })
  expect(ratioGoals(own, [bare]).map(({ value, met }) => [value, met])).toEqual([
    ['0.8 ×', true],
    ['1.5 ×', true],
  ])
  expect(ratioGoals({ ...own, perCpuSecond: 69 }, [bare])[0]!.met).toBe(false)
  expect(ratioGoals(own, [{ ...bare, load: 'less' }])).toEqual([])
  expect(ratioGoals(own, [{ ...bare, faults: ['lost'] }])).toEqual([])
})

test('of several runs the one with the median p99 counts, but every fault does', () => {
  const load = (p99: number, more?: Partial<Measured>) => run('heavy', p99, { lost: 0, ...more })
  const [heavy, light] = combineRuns([
    [load(400, { rssMiB: 90 }), run('light', 5)],
    [load(900, { lost: 3, faults: ['3 deliveries never came'] })],
    [load(500, { rssMiB: 80 })],
  ])
  expect(heavy).toMatchObject({ latencyMs: { p99: 500 }, runs: [400, 900, 500], rssMiB: 90 })
  expect(heavy).toMatchObject({ lost: 3, faults: ['3 deliveries never came'] })
  expect(light!.runs).toBeUndefined()
})

test('every room has as many members, and hardly two connections share all rooms', () => {
  const crowd = roomsOf({ connections: 10_000, from: 5, rooms: 1_000, roomsEach: 10 })
  const members = new Map<number, number>()
  for (const rooms of crowd) {
    expect(new Set(rooms).size).toBe(10)
    for (const room of rooms) members.set(room, (members.get(room) ?? 0) + 1)
  }
  expect(members.size).toBe(1_000)
  expect(new Set(members.values())).toEqual(new Set([100]))
  expect([Math.min(...members.keys()), Math.max(...members.keys())]).toEqual([5, 1_004])
  const sets = new Set(crowd.map((rooms) => rooms.toSorted((a, b) => a - b).join()))
  expect(sets.size).toBe(1_000)
})

test('latency counts from the planned time, of what was planned while it was measured', () => {
  const meter = new Meter(2)
  const now = performance.now()
  meter.prepare(
    [
      { from: 0, rooms: 1 },
      { from: 1, rooms: 1 },
    ],
    now - 150_000,
    now + 60_000,
  )
  meter.plan(0, 0, now - 200_000)
  meter.plan(0, 1, now - 100_000)
  meter.plan(1, 0, now - 500)
  meter.start()
  meter.count(0, 0, 1)
  meter.count(1, 7, 7, Int32Array.of(0))
  meter.turn()
  meter.stop()
  meter.count(0, 1, 1)
  const [first, second] = meter.results()
  // The one from before is a delivery of the measured time, but not one of its latencies.
  expect(first).toMatchObject({ posts: 1, deliveries: 2 })
  expect(first!.latencyMs.p50).toBeGreaterThanOrEqual(100_000)
  expect(first!.latencyMs.max).toBeLessThan(190_000)
  expect(first!.series).toHaveLength(1)
  expect(second).toMatchObject({ posts: 1, deliveries: 1 })
  expect(second!.latencyMs.p50).toBeGreaterThanOrEqual(500)
})

test('what the system and the command line say is read by name', () => {
  const netstat =
    'TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 9 42 43\nIpExt: A\nIpExt: 1\n'
  expect(parseListenOverflows(netstat)).toBe(42)
  expect(findScenarios(['stadium']).map(({ name }) => name)).toEqual(['stadium'])
  expect(findScenarios([]).map(({ name }) => name)).toContain('town')
  expect(() => findScenarios(['village'])).toThrow('The scenarios are town, stadium')
})

test('progress says how far it is', () => {
  const told = { phase: '1,000 posts/s', atS: 12, ofS: 120, perSecond: 9_998_012.4 }
  expect(progressText(told, 'deliveries')).toBe(
    '1,000 posts/s, 12 of 120 s: 9,998,012 deliveries a second',
  )
  expect(progressText({ ...told, ofS: 0 }, 'deliveries')).toStartWith('1,000 posts/s, 12 s:')
})
