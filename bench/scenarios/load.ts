/** How a load of one generator on one server is measured, where it is not a talk. */

import type { TallyResult } from '../generator/tally.ts'
import { generate } from '../generator-process.ts'
import type { Measured } from '../record.ts'
import { readRssBytes, startUsage, type Used } from '../usage.ts'
import type { BenchContext } from './scenario.ts'

export interface LoadResult extends TallyResult {
  receivedBytes: number
  faults: string[]
  faultCount: number
}

/** What the load's own scenario says of it. */
export type LoadNames = Pick<Measured, 'scenario' | 'load' | 'unit' | 'durable' | 'ordered'>

/** Generates it, and reads the CPU and memory of the servers, by their pids, meanwhile. */
export async function measureLoad<Result extends LoadResult>(
  names: LoadNames,
  job: { kind: string },
  servers: readonly number[],
  { cores, progress, profileFolder }: BenchContext,
): Promise<{ measured: Measured; result: Result }> {
  let rssBytes = 0
  let usage: (() => Used) | undefined
  let used: Used | undefined
  progress.begin(`${names.scenario}, ${names.load}`)
  const result = await generate<Result>(job, {
    core: cores?.generator,
    profileFolder,
    mark(mark, generator) {
      if (mark === 'measuring') usage = startUsage({ servers, generators: [generator], cores })
      if (mark === 'measured') used = usage?.()
    },
    progress(told) {
      rssBytes = Math.max(rssBytes, readRssBytes(servers))
      progress.tell(told, names.unit)
    },
  }).finally(() => progress.end())
  const measured = { ...names, subject: 'parley', ...record(result, used), ...memory(rssBytes) }
  return { measured, result }
}

function record(result: LoadResult, used: Used | undefined) {
  const { count, seconds, latencyMs, series, receivedBytes, faults, faultCount } = result
  const more = faultCount - faults.length
  return {
    count,
    perSecond: seconds > 0 ? count / seconds : 0,
    latencyMs,
    series,
    receivedBytes,
    faults: more > 0 ? [...faults, `and ${more} more faults`] : faults,
    ...(used !== undefined && costOf(count, used)),
  }
}

function memory(rssBytes: number): Partial<Measured> {
  return rssBytes > 0 ? { rssMiB: rssBytes / 2 ** 20 } : {}
}

function costOf(count: number, used: Used) {
  return {
    serverCores: used.serverCpuS / used.seconds,
    generatorCores: used.generatorCpuS / used.seconds,
    ...(count > 0 && { perCpuSecond: count / used.serverCpuS }),
    disturbed: used.disturbed,
  }
}
