/**
 * A record to try the report on. Its values are made up: nothing in it was measured, and its
 * command says so wherever it is shown.
 */
import type { Measured, RunRecord } from '../bench/record.ts'

const DURABLE = { durable: 'fsync before the acknowledgement', ordered: 'gapless numbers' }
const BARE = { subject: 'bare loop', durable: 'stores nothing', ordered: 'gapless numbers' }
const MEMORY_ONLY = { durable: 'memory only', ordered: 'none promised' }

/** Seconds that waver, the same each time: a sum of two waves and a spike. */
function seconds(length: number, perSecond: number, p50: number, p99: number) {
  return Array.from({ length }, (_, i) => {
    const wave = 1 + 0.08 * Math.sin(i / 3) + 0.05 * Math.sin(i * 2.3)
    const spike = i % 41 === 29 ? 1.35 : 1
    const rate = Math.round(perSecond * (1 + 0.01 * Math.sin(i * 1.7)))
    return { atS: i, perSecond: rate, p50: p50 * wave, p99: p99 * wave * spike }
  })
}

function goal(text: string, asked: string, value: string, met = true) {
  return { text, goal: asked, value, met }
}

const STADIUM_LOAD = '10,000 readers in one room, 1,000 posts/s for 120 s'

const stadium: Measured[] = [
  {
    ...{ scenario: 'stadium', subject: 'parley', load: STADIUM_LOAD, unit: 'deliveries' },
    ...DURABLE,
    ...{ offeredPerSecond: 10_000_000, perSecond: 9_998_204, count: 1_199_784_480, lost: 0 },
    latencyMs: { p50: 231.4, p99: 412.7, max: 688.1 },
    series: seconds(120, 9_998_204, 231, 385),
    ...{ serverCores: 0.93, generatorCores: 0.71, perCpuSecond: 10_750_000, rssMiB: 412 },
    ...{ receivedBytes: 2.4e11, listenOverflows: 0, disturbed: 0.02 },
    runs: [398.2, 412.7, 431.9],
    goals: [
      goal('deliveries a second', '10 million', '10 million'),
      goal('p99 of a delivery', '≤ 500 ms', '413 ms'),
      goal('lost', 'none', 'none'),
      goal('deliveries for a second of CPU, of the bare loop’s', '≥ 0.7', '0.82'),
    ],
    faults: [],
  },
  {
    ...{ scenario: 'stadium', subject: 'parley', unit: 'deliveries', ...DURABLE },
    load: 'all 10,000 post within one second',
    ...{ count: 100_000_000, lost: 0, latencyMs: { p50: 4_100, p99: 9_640, max: 9_910 } },
    rssMiB: 871,
    goals: [
      goal('time until the burst is drained', '≤ 12 s', '9.91 s'),
      goal('memory at its height', '≤ 1 GB', '913 MB'),
    ],
    faults: [],
  },
  {
    ...{ scenario: 'stadium', subject: 'parley', unit: 'deliveries', ...DURABLE },
    load: 'a bystander room of 100 at 10 posts/s, beside the big one',
    ...{ offeredPerSecond: 1_000, perSecond: 1_000, lost: 0 },
    latencyMs: { p50: 9.2, p99: 63.4, max: 118 },
    goals: [goal('p99 in the bystander room', '≤ 50 ms', '63.4 ms', false)],
    notes: ['The bystanders wait for the slice of the big room that is being written.'],
    faults: [],
  },
  {
    ...{ scenario: 'stadium', ...BARE, load: STADIUM_LOAD, unit: 'deliveries' },
    ...{ offeredPerSecond: 10_000_000, perSecond: 10_001_377, lost: 0 },
    latencyMs: { p50: 254, p99: 351, max: 602 },
    series: seconds(120, 10_000_000, 200, 330),
    ...{ serverCores: 0.76, generatorCores: 0.69, perCpuSecond: 13_100_000, rssMiB: 288 },
    faults: [],
  },
  ...peers('stadium', '5,000 readers in one room'),
]

function peers(scenario: string, load: string): Measured[] {
  const common = { scenario, unit: 'deliveries', ...MEMORY_ONLY } as const
  return [
    {
      ...{ ...common, subject: 'nats', version: '2.12.1', load: `${load}, 200 posts/s` },
      ...{ perSecond: 1_000_000, count: 30_000_000, lost: 0, perCpuSecond: 1_240_000 },
      ...{ latencyMs: { p50: 41, p99: 220, max: 480 }, ordered: 'for each publisher', faults: [] },
    },
    {
      ...{ ...common, subject: 'mosquitto', version: '2.0.22', load: `${load}, 40 posts/s` },
      ...{ perSecond: 198_000, count: 5_940_000, lost: 61_200, perCpuSecond: 214_000 },
      ...{ latencyMs: { p50: 310, p99: 890, max: 1_900 }, faults: [] },
    },
    {
      ...{ ...common, subject: 'node-ws', version: '8.23.0', load: `${load}, 20 posts/s` },
      ...{ perSecond: 100_000, lost: 0, perCpuSecond: 71_300 },
      ...{ latencyMs: { p50: 650, p99: 900, max: 2_100 }, faults: [] },
    },
    {
      ...{ ...common, subject: 'socket.io', version: '4.8.1', load: `${load}, 10 posts/s` },
      ...{ perSecond: 50_000, lost: 0, perCpuSecond: 36_900 },
      ...{ latencyMs: { p50: 420, p99: 970, max: 1_400 }, faults: [] },
    },
    {
      ...{ ...common, subject: 'ejabberd', version: '26.4', load: `${load}, 10 posts/s` },
      ...{ perSecond: 31_000, perCpuSecond: 29_000, durable: 'archived, not synced' },
      faults: ['reader 17 got number 41 twice'],
    },
  ]
}

const town: Measured[] = [1_000, 2_500, 5_000, 10_000].flatMap((posts, i): Measured[] => {
  const [p50, p99] = [
    [6.1, 38],
    [14, 61],
    [52, 140],
    [190, 346],
  ][i]! as [number, number]
  const load = `1,000 rooms × 100 readers, ${posts.toLocaleString('en')} posts/s for 30 s`
  const common = { scenario: 'town', load, unit: 'deliveries' } as const
  const rate = posts * 100
  const goals =
    posts === 1_000
      ? [goal('p50', '≤ 10 ms', '6.1 ms'), goal('p99', '≤ 50 ms', '38 ms')]
      : posts === 10_000
        ? [goal('p99', '≤ 400 ms', '346 ms'), goal('memory', '≤ 400 MB', '341 MB')]
        : []
  return [
    {
      ...{ ...common, subject: 'parley', ...DURABLE, offeredPerSecond: rate, perSecond: rate - 41 },
      ...{ lost: 0, latencyMs: { p50, p99, max: p99 * 2.1 }, goals, faults: [] },
      series: seconds(30, rate, p50, p99 * 0.9),
      ...{ serverCores: 0.4 + i * 0.18, generatorCores: 0.3 + i * 0.15, rssMiB: 240 + i * 28 },
      ...{ perCpuSecond: rate / (0.4 + i * 0.18), disturbed: i === 2 ? 0.11 : 0.01 },
    },
    {
      ...{ ...common, ...BARE, offeredPerSecond: rate, perSecond: rate, lost: 0 },
      ...{ latencyMs: { p50: p50 * 0.9, p99: p99 * 0.92, max: p99 * 1.8 }, faults: [] },
      ...{ series: seconds(30, rate, p50 * 0.9, p99 * 0.8), serverCores: 0.3 + i * 0.15 },
      perCpuSecond: rate / (0.3 + i * 0.15),
    },
  ]
})

const night: Measured[] = [
  {
    ...{ scenario: 'night', subject: 'parley', unit: 'connections', ...DURABLE },
    load: '18,000 signed in, ten subscriptions each, idle for 30 min',
    ...{ count: 18_000, perSecond: 11_400, lost: 0, serverCores: 0.031, rssMiB: 214 },
    ...{ bytesPerConnection: 2_140, latencyMs: { p50: 96, p99: 241, max: 262 } },
    goals: [
      goal('memory for a connection', '≤ 2.5 KB', '2.14 KB'),
      goal('cores while idle', '≤ 0.05', '0.031'),
      goal('the last of all hears one message', '≤ 300 ms', '262 ms'),
    ],
    faults: [],
  },
  {
    ...{ scenario: 'night', ...BARE, unit: 'connections' },
    load: '18,000 connected, idle for 30 min',
    ...{ count: 18_000, bytesPerConnection: 1_320, serverCores: 0.002, faults: [] },
  },
]

const ledger: Measured[] = (
  [
    ['10,000 sockets × 1 in flight', 52_310, 188, '≥ 50,000'],
    ['100 sockets × 64 in flight', 108_400, 61, '≥ 100,000'],
    ['open loop', 20_000, 17.2, '20,000'],
  ] as const
).map(([load, perSecond, p99, asked]) => ({
  ...{ scenario: 'ledger', subject: 'parley', load, unit: 'posts', ...DURABLE, perSecond },
  ...{ lost: 0, latencyMs: { p50: p99 * 0.6, p99, max: p99 * 1.4 }, serverCores: 0.99 },
  ...{ perCpuSecond: perSecond, generatorCores: 0.97, faults: [] },
  goals: [goal('posts a second', asked, perSecond.toLocaleString('en'))],
}))

const blackout: Measured[] = ['warm', 'after kill -9'].map((how, i) => ({
  ...{ scenario: 'blackout', subject: 'parley', unit: 'connections', ...DURABLE },
  load: `10,000 connections return within one second, ${how}`,
  ...{ count: 10_000, lost: 0, latencyMs: { p50: 610, p99: 1_320 + i * 2_100, max: 3_610 } },
  listenOverflows: i * 412,
  goals: [
    goal('all resumed', i === 0 ? '≤ 1.5 s' : '≤ 3 s', i === 0 ? '1.32 s' : '3.61 s', i === 0),
    goal('lost or twice', 'none', 'none'),
  ],
  faults: [],
}))

const monday: Measured[] = [
  {
    ...{ scenario: 'monday', subject: 'parley', unit: 'sign-ins', ...DURABLE },
    ...{ load: '10,000 sign-ins while town runs at half rate', count: 9_871, perSecond: 96.2 },
    goals: [goal('failures', 'none', '129', false)],
    faults: ['129 sign-ins were answered 503 without Retry-After'],
  },
]

export const SAMPLE: RunRecord = {
  command: 'npm run bench (a sample: these values are made up, nothing was measured)',
  startedAt: '2026-11-24T16:05:00.000Z',
  machine: {
    ...{ cpu: 'Sample CPU at 2.5 GHz', cores: 2, memoryGiB: 7.8, kernel: 'Linux 6.1.0' },
    ...{ bun: '1.4.5', date: '2026-11-24T16:05:00.000Z', openFilesMax: 20_000 },
    pinning: 'server on core 0, load generator on core 1',
    ...{ fdatasyncMs: 0.052, dataFolder: '/tmp' },
  },
  measured: [...town, ...stadium, ...night, ...ledger, ...blackout, ...monday],
  missing: [{ peer: 'nchan', install: 'apt-get install nginx libnginx-mod-nchan' }],
}
