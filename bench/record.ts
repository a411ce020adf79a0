/** The record of a run, as `--json` writes it: what the table and the report are made from. */
import type { Machine } from './machine.ts'

export interface RunRecord {
  command: string
  startedAt: string
  machine: Machine
  measured: Measured[]
  missing: MissingPeer[]
}

export interface MissingPeer {
  peer: string
  install: string
}

/** One subject under one load. What was not measured is left out. */
export interface Measured {
  /** For example `stadium`. */
  scenario: string
  /** For example `parley`, `bare loop`, `socket.io`. */
  subject: string
  /** Of a peer. */
  version?: string
  /** For people: `10,000 readers in one room, 1,000 posts/s for 120 s`. */
  load: string
  unit: 'deliveries' | 'posts' | 'connections' | 'sign-ins' | 'pages'
  /** For example `fsync before the acknowledgement`, `memory only`. */
  durable: string
  /** For example `gapless numbers`, `none promised`. */
  ordered: string
  offeredPerSecond?: number
  perSecond?: number
  count?: number
  lost?: number
  latencyMs?: { p50: number; p99: number; max: number }
  /** One a second. */
  series?: { atS: number; perSecond: number; p50: number; p99: number }[]
  serverCores?: number
  generatorCores?: number
  /** Of the unit, for each second of server CPU: the figure that compares across machines. */
  perCpuSecond?: number
  rssMiB?: number
  bytesPerConnection?: number
  receivedBytes?: number
  listenOverflows?: number
  /** The share of a core of ours that other processes had. */
  disturbed?: number
  /** `perSecond` or p99 of each repeated run, where there were several. */
  runs?: number[]
  goals?: { text: string; goal: string; value: string; met: boolean }[]
  /** Sentences on what the figures mean or lack. */
  notes?: string[]
  /** What went wrong: a run with faults counts for nothing. */
  faults?: string[]
}
