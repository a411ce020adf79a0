/** How near Parley must come to the bare loop, under the same load in the same run. */
import type { Goal, Measured } from '../record.ts'
import { atLeast, atMost } from './scenario.ts'

/** Of its deliveries for each second of the server's CPU. */
const PER_CPU_SECOND_MIN = 0.7
/** Of its p99. */
const P99_MAX = 1.5

/** None if the bare loop did not have this load, or failed under it. */
export function ratioGoals(own: Measured, rows: readonly Measured[]): Goal[] {
  const bare = rows.find(({ load, faults = [] }) => load === own.load && faults.length === 0)
  if (!bare?.perCpuSecond || !bare.latencyMs || !own.perCpuSecond || !own.latencyMs) return []
  const thrift = own.perCpuSecond / bare.perCpuSecond
  const delay = own.latencyMs.p99 / bare.latencyMs.p99
  return [
    atLeast(
      'deliveries for a second of CPU, beside the bare loop’s',
      PER_CPU_SECOND_MIN,
      thrift,
      '×',
    ),
    atMost('its p99, beside the bare loop’s', P99_MAX, delay, '×'),
  ]
}
