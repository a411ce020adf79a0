/** The record of a run: what the table, the report and whoever compares runs are made from. */
import type { Machine } from './machine.ts'

export interface RunRecord {
  /** As it was typed. */
  command: string
  /** RFC 3339. */
  startedAt: string
  machine: Machine
  measured: Measured[]
  missing: MissingPeer[]
}

/** A peer that was asked for and is not on this machine. */
export interface MissingPeer {
  peer: string
  /** One line that installs it. */
  install: string
}

/** One server under one load. What a scenario does not measure is left out. */
export interface Measured {
  /** `stadium` */
  scenario: string
  /** `parley`, `bare loop`, or the name of a peer. */
  subject: string
  /** Of a peer. */
  version?: string
  /** For people: `10,000 readers in one room, 1,000 posts/s for 120 s`. */
  load: string
  unit: 'deliveries' | 'posts' | 'connections' | 'sign-ins' | 'pages'
  /** `fsync before the acknowledgement`, `memory only` … */
  durable: string
  /** `gapless numbers`, `none promised` … */
  ordered: string
  offeredPerSecond?: number
  perSecond?: number
  count?: number
  lost?: number
  /** From the planned time. */
  latencyMs?: Percentiles
  /** From the first planned post until the last reader had everything. */
  drainedS?: number
  /** One a second. */
  series?: Second[]
  /** Cores kept busy. The generator's must stay below 1, or it was the one that was measured. */
  serverCores?: number
  generatorCores?: number
  /** Units for each second of server CPU: the figure that compares across machines. */
  perCpuSecond?: number
  /** The largest that was seen, over all processes of the server. */
  rssMiB?: number
  bytesPerConnection?: number
  receivedBytes?: number
  /** Handshakes that the kernel dropped because the listening socket's queue was full. */
  listenOverflows?: number
  /** The share of a core of ours that other processes had: above a few percent, measure again. */
  disturbed?: number
  /** `perSecond` or p99 of each repeated run, where there were several. */
  runs?: number[]
  goals?: Goal[]
  /** Sentences on what the figures mean or lack. */
  notes?: string[]
  /** What went wrong: such a measurement counts for nothing. */
  faults?: string[]
}

export interface Percentiles {
  p50: number
  p99: number
  max: number
}

export interface Second {
  /** Seconds since measuring began, at the end of this one. */
  atS: number
  perSecond: number
  p50: number
  p99: number
}

export interface Goal {
  /** `p99 of a delivery` */
  text: string
  /** `≤ 500 ms` */
  goal: string
  /** `412 ms` */
  value: string
  met: boolean
}
