/** What a server uses, looked at now and then, and what a series of looks says. */
import { readdirSync, readFileSync } from 'node:fs'
import { readMemory } from '../../bench/memory.ts'
import { slope } from '../../bench/stats.ts'

/**
 * Resident memory may grow by so much from the second quarter of a run, when all caches have
 * filled, to the last. An hour of this load is more than a million posts: a leak of a dozen bytes
 * for each is more than that.
 */
export const MEMORY_GROWTH_MIB_MAX = 12
/** Open files may differ by so many, for as many connections more may be open at the moment. */
export const FILES_GROWTH_MAX = 40
/** With fewer looks than this, quarters say nothing. */
const SAMPLES_MIN = 16

export interface Sample {
  atS: number
  rssMiB: number
  privateMiB: number
  openFiles: number
  /** Of the event loop, as the server tells. */
  lagMs: number
  connections: number
}

/** Everything of `/metrics` that has a value, by its name with labels. */
export async function readMetrics(url: string): Promise<Map<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const lines = [...text.matchAll(/^([a-z_]+(?:\{[^}]*\})?) (\S+)$/gm)]
  return new Map(lines.map(([, name, value]) => [name!, Number(value)]))
}

/** The sum over all labels. */
export function sumOf(metrics: ReadonlyMap<string, number>, name: string): number {
  let sum = 0
  for (const [key, value] of metrics) if (key === name || key.startsWith(`${name}{`)) sum += value
  return sum
}

export async function takeSample(url: string, pid: number, atS: number): Promise<Sample> {
  const metrics = await readMetrics(url)
  const { rssBytes, privateDirtyBytes } = readMemory(pid)
  return {
    atS,
    rssMiB: rssBytes / 2 ** 20,
    privateMiB: privateDirtyBytes / 2 ** 20,
    openFiles: countOpenFiles(pid),
    lagMs: sumOf(metrics, 'parley_event_loop_lag_seconds') * 1_000,
    connections: sumOf(metrics, 'parley_connections'),
  }
}

export function countOpenFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** Connections to a port of this machine that somebody holds open, as a client that is idle may. */
export function countClients(url: string): number {
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, '0')
  const rows = readFileSync('/proc/net/tcp', 'utf8').split('\n')
  return rows.filter(
    (row) => / [\dA-F]{8}:[\dA-F]{4} [\dA-F]{8}:([\dA-F]{4}) 01 /.exec(row)?.[1] === port,
  ).length
}

export interface Trend {
  /** From the second quarter's median to the last quarter's. */
  memoryGrowthMiB: number
  filesGrowth: number
  /** Of the straight line through all but the first quarter. */
  memoryMiBPerHour: number
  faults: string[]
}

/** What has grown and must not. */
export function trendOf(samples: readonly Sample[]): Trend {
  if (samples.length < SAMPLES_MIN) {
    const faults = [`only ${samples.length} looks at the server; ${SAMPLES_MIN} say something`]
    return { memoryGrowthMiB: 0, filesGrowth: 0, memoryMiBPerHour: 0, faults }
  }
  const grownBy = (of: (sample: Sample) => number) =>
    middle(quarter(samples, 3).map(of)) - middle(quarter(samples, 1).map(of))
  const memoryGrowthMiB = grownBy(({ rssMiB }) => rssMiB)
  const filesGrowth = grownBy(({ openFiles }) => openFiles)
  const settled = samples.slice(Math.ceil(samples.length / 4))
  const faults: string[] = []
  if (memoryGrowthMiB > MEMORY_GROWTH_MIB_MAX)
    faults.push(`memory has grown by ${memoryGrowthMiB.toFixed(1)} MiB`)
  if (filesGrowth > FILES_GROWTH_MAX) faults.push(`${filesGrowth} more files are open`)
  return {
    ...{ memoryGrowthMiB, filesGrowth, faults },
    memoryMiBPerHour: slope(settled.map(({ atS, rssMiB }) => [atS, rssMiB])) * 3_600,
  }
}

function quarter(samples: readonly Sample[], n: 0 | 1 | 2 | 3): readonly Sample[] {
  const at = (part: number) => Math.round((part / 4) * samples.length)
  return samples.slice(at(n), at(n + 1))
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
}
