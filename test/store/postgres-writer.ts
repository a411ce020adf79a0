/**
 * A node that only writes, for `postgres-writers.test.ts`: `bun postgres-writer.ts URL NAME ORDER`.
 * It appends batches that touch the same timelines as those of other writers, in the order given
 * or in the opposite one, and prints what became of its events as one line of JSON.
 */
import { openPostgres } from '../../src/store/postgres.ts'
import type { NewEvent } from '../../src/types.ts'
import { message } from '../contracts/store-home.ts'

export const BATCHES = 60
/** Each batch has one event of each, and several of the hot one. */
export const TIMELINES = ['a', 'b', 'c', 'd', 'e', 'f']
export const HOT = 'hot'
export const HOT_PER_BATCH = 4

export interface Written {
  outcome: string
  timeline: string
  key: string
  seq: number | undefined
}

async function write(url: string, name: string, isReversed: boolean): Promise<Written[]> {
  const limits = { connectionsMax: 2, timeoutMs: 20_000, queueMax: 100, startMs: 10_000 }
  const store = await openPostgres({ url, ...limits })
  const written: Written[] = []
  for (let n = 0; n < BATCHES; n++) {
    const batch = batchOf(name, n)
    if (isReversed) batch.reverse()
    for (const [index, answer] of (await store.append(batch)).entries()) {
      const { timeline, key } = batch[index]!
      const seq = answer.outcome === 'key_reused' ? undefined : answer.event.seq
      written.push({ outcome: answer.outcome, timeline, key: key!, seq })
    }
  }
  await store.close()
  return written
}

/** The clocks of nodes differ: so do the times that they give. */
function batchOf(name: string, n: number): NewEvent[] {
  const at = 1_000 * n + name.charCodeAt(0)
  const own = (timeline: string, i: number) =>
    message(timeline, `${name} ${n} ${i}`, { at, key: `${name} ${n} ${i}`, inbox: `i-${timeline}` })
  return [
    ...TIMELINES.map(own),
    ...Array.from({ length: HOT_PER_BATCH }, (_, i) => own(HOT, TIMELINES.length + i)),
    // Every writer has this one.
    message(HOT, `shared ${n}`, { at, key: `shared ${n}` }),
  ]
}

if (import.meta.main) {
  const [url, name, order] = process.argv.slice(2)
  console.log(JSON.stringify(await write(url!, name!, order === 'reversed')))
}
