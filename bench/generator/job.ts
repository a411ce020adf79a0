/**
 * What bench and the generator's process say to each other: a job in, lines of JSON out. Each kind
 * of job has a file in `jobs/` with its own shapes; here is what all have in common, and *talk*,
 * the one that most scenarios are made of.
 */
import type { Percentiles, Second } from '../record.ts'
import type { DialectSetup } from './dialect.ts'

/** A line of the generator's on its standard output. */
export type Line =
  /** At most one a second. */
  | { progress: Progress }
  /** Something begins or ends now: bench reads the server's CPU. */
  | { mark: string }
  /** The last line. */
  | { result: unknown }

export interface Progress {
  /** `1,000 posts/s` */
  phase: string
  /** Seconds that have passed, of how many; `ofS` is 0 where nobody knows. */
  atS: number
  ofS: number
  /** Of what the phase counts. */
  perSecond: number
}

/** Connections alike: each has joined `roomsEach` of the rooms `from` to `from + rooms`. */
export interface CrowdShape {
  connections: number
  from: number
  rooms: number
  roomsEach: number
  /** Where they connect to, if it is not where the rest of the crowd does. */
  port?: number
}

export interface CrowdJob {
  port: number
  /** Path of the module with `createDialect`. */
  dialect: string
  setup: DialectSetup
  crowd: CrowdShape[]
  /**
   * Whether the server promises that nothing is missing: then a hole is a fault. Otherwise it is
   * counted as lost.
   */
  gapless: boolean
  /** Who posts in a room: its members in turn, or always the same one, where order hangs on it. */
  senders: 'in turn' | 'one a room'
}

/** An open loop: posts go out when they are planned, whether or not the server keeps up. */
export interface Schedule {
  /** Rooms `from` to `from + rooms` get posts in turn. */
  from: number
  rooms: number
  postsPerSecond: number
}

export interface Phase {
  name: string
  /** Posts are sent for so long before anything is measured. */
  warmUpS: number
  seconds: number
  /** One for each group that is told apart in the result; the first is the scenario's own. */
  schedules: Schedule[]
  /** How long the last deliveries may take. */
  drainSMax: number
}

/** A crowd comes together and talks, phase after phase. */
export interface TalkJob extends CrowdJob {
  kind: 'talk'
  phases: Phase[]
}

/** Marks of a phase, in this order; phases are numbered from 0. */
export const markOf = {
  beginning: (phase: number): string => `beginning ${phase}`,
  measuring: (phase: number): string => `measuring ${phase}`,
  measured: (phase: number): string => `measured ${phase}`,
  drained: (phase: number): string => `drained ${phase}`,
}

export interface TalkResult {
  opening: { connections: number; seconds: number }
  phases: PhaseResult[]
  /** By the server, of posts, and of all that were sent. */
  acknowledged: number
  posted: number
  /** Deliveries that never came, and those that came again. */
  lost: number
  twice: number
  /** The first few in words. */
  faults: string[]
  faultCount: number
}

export interface PhaseResult {
  name: string
  /** One for each schedule. */
  groups: GroupResult[]
  /** From the phase's first planned post until its last reader had everything. */
  drainedS: number
  /** Deliveries that never came, or that others came before; and those that came again. */
  lost: number
  twice: number
  receivedBytes: number
}

export interface GroupResult {
  /** Of each of its rooms, on average. */
  readers: number
  /** Posts that were planned within the measured time, warm-up left out. */
  posts: number
  /** Deliveries that came within it. */
  deliveries: number
  /** Of the posts that were planned within it, whenever they came. */
  latencyMs: Percentiles
  series: Second[]
}
