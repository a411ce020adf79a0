/**
 * *stadium*: everyone is in one room, and all of them talk. Then each posts once within the same
 * second. A small room beside it must not notice. Once more, with readers who all ask for deflated
 * frames.
 */
import type { PeerCrowd } from '../peers/measure.ts'
import type { Goal, Measured } from '../record.ts'
import { measurePeersUnder } from './peers.ts'
import { ratioGoals } from './ratio.ts'
import { amount, atLeast, atMost, type BenchContext, noneOf, type Scenario } from './scenario.ts'
import { combineRuns, measureBareLoop, measureDeflated, measureParley } from './subjects.ts'
import type { Talk, TalkPhase } from './talk.ts'

const READERS = 10_000
/** Peers take their time with ten thousand to come in. */
const PEER_READERS_QUICK = 2_000
const BYSTANDERS = 100
const BYSTANDER_POSTS_PER_S = 10
const TEXT_BYTES = 32
const ROOMS = 2
const TICK_MS = 100
const POSTS_PER_S = { quick: [1_000], full: [167, 333, 1_000] }
const SECONDS = { quick: 10, full: 30, fullest: 120 }
const WARM_UP_S = 3
const DRAIN_S_MAX = 60

const P99_MS_MAX = 500
const DELIVERED_MIN = 0.99
const BYSTANDER_P99_MS_MAX = 50
const BURST_S_MAX = 12
const RSS_MB_MAX = 1_000

export const stadium: Scenario = {
  name: 'stadium',
  async run(context) {
    const own: Measured[][] = []
    const bare: Measured[][] = []
    for (let run = 0; run < context.runs; run++) {
      const talk = talkOf(context, run === 0)
      own.push((await measureParley(talk, ROOMS, context)).flat())
      const steady = { ...talk, phases: talk.phases.filter(({ warmUpS }) => warmUpS > 0) }
      const ticks = steady.phases.map(() => TICK_MS)
      bare.push((await measureBareLoop(steady, ROOMS, ticks, context)).flat())
    }
    const deflated = (await measureDeflated(deflatedTalk(context), ROOMS, context)).flat()
    const peers = await measurePeersUnder(peerCrowd(context), context)
    return [...withGoals(combineRuns(own), combineRuns(bare)), ...deflated, ...peers]
  },
}

function peerCrowd({ quick }: BenchContext): PeerCrowd {
  const connections = quick ? PEER_READERS_QUICK : READERS
  return { scenario: 'stadium', connections, rooms: 1, roomsEach: 1, textBytes: TEXT_BYTES }
}

/** The heaviest step alone: for the bytes that it saves, and the CPU that it takes. */
function deflatedTalk(context: BenchContext): Talk {
  const seconds = context.quick ? SECONDS.quick : SECONDS.full
  return { ...talkOf(context, false), phases: [step(POSTS_PER_S.full.at(-1)!, seconds)] }
}

/** The lighter steps are for the curve only: once is enough. */
function talkOf({ quick }: BenchContext, isFirst: boolean): Talk {
  const steps = quick ? POSTS_PER_S.quick : POSTS_PER_S.full
  const most = steps.at(-1)!
  return {
    scenario: 'stadium',
    textBytes: TEXT_BYTES,
    crowd: [
      { connections: READERS, from: 0, rooms: 1, roomsEach: 1 },
      { connections: BYSTANDERS, from: 1, rooms: 1, roomsEach: 1 },
    ],
    phases: [
      ...steps
        .filter((posts) => isFirst || posts === most)
        .map((posts) => {
          const whole = posts === most ? SECONDS.fullest : SECONDS.full
          return step(posts, quick ? SECONDS.quick : whole)
        }),
      burst,
    ],
  }
}

function step(posts: number, seconds: number): TalkPhase {
  const rate = `${amount(posts)} posts/s for ${seconds} s`
  return {
    name: `${amount(posts)} posts/s`,
    warmUpS: WARM_UP_S,
    seconds,
    drainSMax: DRAIN_S_MAX,
    schedules: [
      { from: 0, rooms: 1, postsPerSecond: posts },
      { from: 1, rooms: 1, postsPerSecond: BYSTANDER_POSTS_PER_S },
    ],
    loads: [
      `${amount(READERS)} readers in one room, ${rate}`,
      `${BYSTANDERS} bystanders in a room at ${BYSTANDER_POSTS_PER_S} posts/s, beside ${rate}`,
    ],
  }
}

const burst: TalkPhase = {
  name: 'burst',
  warmUpS: 0,
  seconds: 1,
  drainSMax: DRAIN_S_MAX,
  schedules: [{ from: 0, rooms: 1, postsPerSecond: READERS }],
  loads: [`all ${amount(READERS)} post within one second`],
}

/** Parley's rows with what is asked of them, then the bare loop's. */
function withGoals(own: readonly Measured[], bare: readonly Measured[]): Measured[] {
  const heaviest = READERS * POSTS_PER_S.full.at(-1)!
  const all = own.map((row): Measured => {
    if (row.load === burst.loads[0]) return burstRow(row)
    if (row.load.includes('bystanders')) return { ...row, goals: bystanderGoals(row) }
    if (row.offeredPerSecond !== heaviest) return row
    return { ...row, goals: [...steadyGoals(row), ...ratioGoals(row, bare)] }
  })
  return [...all, ...bare]
}

function steadyGoals({ perSecond = 0, offeredPerSecond = 0, latencyMs, lost = 0 }: Measured) {
  return [
    atLeast('deliveries a second', DELIVERED_MIN * offeredPerSecond, perSecond, ''),
    atMost('p99 of a delivery', P99_MS_MAX, latencyMs?.p99 ?? Number.POSITIVE_INFINITY, 'ms'),
    noneOf('deliveries lost', lost),
  ]
}

function bystanderGoals({ latencyMs }: Measured): Goal[] {
  const p99 = latencyMs?.p99 ?? Number.POSITIVE_INFINITY
  return [atMost('p99 in the bystander room', BYSTANDER_P99_MS_MAX, p99, 'ms')]
}

/** A rate over the one second of posting would say nothing: most is delivered after it. */
function burstRow(row: Measured): Measured {
  const { drainedS = Number.POSITIVE_INFINITY, rssMiB = 0, lost = 0 } = row
  const { offeredPerSecond, perSecond, perCpuSecond, serverCores, series, ...kept } = row
  return {
    ...kept,
    count: READERS * READERS,
    goals: [
      atMost('time until the burst is drained', BURST_S_MAX, drainedS, 's'),
      atMost('memory at its height', RSS_MB_MAX, (rssMiB * 2 ** 20) / 1e6, 'MB'),
      noneOf('deliveries lost', lost),
    ],
  }
}
