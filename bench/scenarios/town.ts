/** *town*: many rooms, and everyone sits in ten of them; post after post in room after room. */
import type { PeerCrowd } from '../peers/measure.ts'
import type { Goal, Measured } from '../record.ts'
import { measurePeersUnder } from './peers.ts'
import { ratioGoals } from './ratio.ts'
import { amount, atLeast, atMost, type BenchContext, noneOf, type Scenario } from './scenario.ts'
import { combineRuns, measureBareLoop, measureParley } from './subjects.ts'
import type { Talk, TalkPhase } from './talk.ts'

const CONNECTIONS = 10_000
const ROOMS = 1_000
const ROOMS_EACH = 10
const READERS = (CONNECTIONS * ROOMS_EACH) / ROOMS
/** Peers take their time with all who come in. */
const PEER_ROOMS_QUICK = 100
const TEXT_BYTES = 128
const WARM_UP_S = 3
const DRAIN_S_MAX = 30
const SECONDS = { quick: 6, full: 30 }

/** Posts a second, with the tick that suits the bare loop best. */
const STEPS = [
  { posts: 1_000, tickMs: 5, isQuick: true },
  { posts: 2_500, tickMs: 75, isQuick: false },
  { posts: 5_000, tickMs: 100, isQuick: false },
  { posts: 10_000, tickMs: 150, isQuick: true },
] as const

const LIGHT = { posts: 1_000, p50MsMax: 10, p99MsMax: 50 }
const HEAVY = { posts: 10_000, deliveredMin: 0.99, p99MsMax: 400, rssMbMax: 400 }

export const town: Scenario = {
  name: 'town',
  async run(context) {
    const steps = STEPS.filter(({ isQuick }) => isQuick || !context.quick)
    const talk = townTalk(
      'town',
      steps.map(({ posts }) => step(posts, secondsOf(context))),
    )
    const own: Measured[][] = []
    const bare: Measured[][] = []
    for (let run = 0; run < context.runs; run++) {
      own.push((await measureParley(talk, ROOMS, context)).flat())
      const ticks = steps.map(({ tickMs }) => tickMs)
      bare.push((await measureBareLoop(talk, ROOMS, ticks, context)).flat())
    }
    const limit = combineRuns(bare)
    const rows = combineRuns(own).map((row) => ({ ...row, goals: goalsOf(row, limit) }))
    return [...rows, ...limit, ...(await measurePeersUnder(peerCrowd(context), context))]
  },
}

/** As many readers in each room, whatever the number of rooms. */
function peerCrowd({ quick }: BenchContext): PeerCrowd {
  const rooms = quick ? PEER_ROOMS_QUICK : ROOMS
  const connections = (rooms * READERS) / ROOMS_EACH
  return { scenario: 'town', connections, rooms, roomsEach: ROOMS_EACH, textBytes: TEXT_BYTES }
}

export const townRooms = ROOMS

/** The crowd of *town*, for whoever needs one; `setup` of rooms and tokens is the caller's. */
export function townTalk(scenario: string, phases: TalkPhase[]): Talk {
  const shape = { connections: CONNECTIONS, from: 0, rooms: ROOMS, roomsEach: ROOMS_EACH }
  return { scenario, textBytes: TEXT_BYTES, crowd: [shape], phases }
}

export function step(posts: number, seconds: number): TalkPhase {
  const rate = `${amount(posts)} posts/s`
  return {
    name: rate,
    warmUpS: WARM_UP_S,
    seconds,
    drainSMax: DRAIN_S_MAX,
    schedules: [{ from: 0, rooms: ROOMS, postsPerSecond: posts }],
    loads: [`${amount(ROOMS)} rooms × ${READERS} readers, ${rate} for ${seconds} s`],
  }
}

function secondsOf({ quick }: BenchContext): number {
  return quick ? SECONDS.quick : SECONDS.full
}

function goalsOf(row: Measured, limit: readonly Measured[]): Goal[] {
  const { offeredPerSecond = 0, perSecond = 0, latencyMs, lost = 0, rssMiB = 0 } = row
  const { p50, p99 } = latencyMs!
  const isLoad = (posts: number) => offeredPerSecond === posts * READERS
  const whole = noneOf('deliveries lost', lost)
  const ratios = ratioGoals(row, limit)
  if (isLoad(LIGHT.posts))
    return [
      atMost('p50 of a delivery', LIGHT.p50MsMax, p50, 'ms'),
      atMost('p99 of a delivery', LIGHT.p99MsMax, p99, 'ms'),
      whole,
      ...ratios,
    ]
  if (!isLoad(HEAVY.posts)) return [whole]
  return [
    atLeast('deliveries a second', HEAVY.deliveredMin * offeredPerSecond, perSecond, ''),
    atMost('p99 of a delivery', HEAVY.p99MsMax, p99, 'ms'),
    whole,
    atMost('memory', HEAVY.rssMbMax, (rssMiB * 2 ** 20) / 1e6, 'MB'),
    ...ratios,
  ]
}
