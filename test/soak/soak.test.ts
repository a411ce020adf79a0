import { expect, test } from 'bun:test'
import { plotOf } from './plot.ts'
import { FILES_GROWTH_MAX, MEMORY_GROWTH_MIB_MAX, type Sample, trendOf } from './samples.ts'
import { soak } from './soak.ts'

/** As many looks, with what `change` makes of each. */
function looks(count: number, change: (share: number) => Partial<Sample>): Sample[] {
  const even = { rssMiB: 100, privateMiB: 80, openFiles: 50, lagMs: 1, connections: 20 }
  return Array.from({ length: count }, (_, i) => ({ ...even, atS: i, ...change(i / count) }))
}

const noise = () => (Math.random() - 0.5) * 10

test('a server that fills its caches, breathes, and then stays, has not grown', () => {
  const samples = looks(200, (share) => ({ rssMiB: 100 + Math.min(share, 0.24) * 400 + noise() }))
  const { faults, memoryGrowthMiB } = trendOf(samples)
  expect(faults).toEqual([])
  expect(Math.abs(memoryGrowthMiB)).toBeLessThan(MEMORY_GROWTH_MIB_MAX / 2)
})

test('memory that grows by more than is allowed is told, and by a little less is not', () => {
  const grown = (mib: number) => trendOf(looks(200, (share) => ({ rssMiB: share * 2 * mib })))
  expect(grown(MEMORY_GROWTH_MIB_MAX * 1.05).faults).toHaveLength(1)
  expect(grown(MEMORY_GROWTH_MIB_MAX * 0.95).faults).toEqual([])
})

test('files that stay open are told', () => {
  const grown = (files: number) =>
    trendOf(looks(200, (share) => ({ openFiles: share * 2 * files })))
  expect(grown(FILES_GROWTH_MAX * 1.05).faults).toHaveLength(1)
  expect(grown(FILES_GROWTH_MAX * 0.95).faults).toEqual([])
})

test('a handful of looks is no trend', () => {
  expect(trendOf(looks(15, () => ({}))).faults).toHaveLength(1)
  expect(trendOf(looks(16, () => ({}))).faults).toEqual([])
})

test('the plot holds each curve from 0', () => {
  const svg = plotOf(
    looks(20, () => ({})),
    'a soak',
  )
  expect(svg.match(/<polyline/g)).toHaveLength(3)
  expect(svg).not.toContain('NaN')
})

test('a short one ends with everybody gone, and nothing wrong', async () => {
  const told: number[] = []
  const { faults, rounds, tally, acknowledged, samples, trend } = await soak({
    // Whoever is gone without a word is noticed by the heartbeat.
    ...{ seconds: 5, roundSeconds: 2, settings: { heartbeatMs: 3_000 } },
    tell: ({ atS }) => told.push(atS),
  })
  // So short a trend says nothing of a leak, for who comes and goes is more; what is left does.
  expect(faults.filter((fault) => !trend.faults.includes(fault))).toEqual([])
  expect(rounds).toBeGreaterThanOrEqual(1)
  expect(acknowledged).toBeGreaterThan(50)
  for (const count of Object.values({ ...tally, deaf: 1 })) expect(count).toBeGreaterThan(0)
  expect(samples.length).toBe(told.length)
})
