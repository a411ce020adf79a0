/** What holds wherever events are read: they come in steps of one. */
import type { Seq, TimelineId } from '../types.ts'
import type { Fault } from './history.ts'

/** From one seq to the next there is exactly one step. */
export function checkStep(
  timeline: TimelineId,
  last: Seq,
  seq: Seq,
  where: string,
  faults: Fault[],
): void {
  const what = `${where}: ${seq} after ${last}`
  if (seq > last + 1) faults.push({ kind: 'gap', timeline, what })
  if (seq <= last) faults.push({ kind: 'nonmonotonic', timeline, what })
}
