/**
 * A bus that loses, repeats and reorders: every reader is given exactly what was posted, in order,
 * and everything. The long form is `npm run trials -- --long F8`.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { findNatsServer } from '../services/nats.ts'
import type { Losses } from './lossy-bus.ts'
import { LossyCluster } from './lossy-nodes.ts'

const program = await findNatsServer()
const POSTS_PER_NODE = 400

describe.skipIf(program === undefined)('a bus that loses, repeats and reorders', () => {
  let cluster: LossyCluster

  beforeAll(async () => {
    cluster = await LossyCluster.start(program!)
  })

  afterAll(() => cluster.remove())

  test.each<Losses>([
    { dropped: 0.3, doubled: 0.1, late: 0.2 },
    { dropped: 0, doubled: 0.3, late: 0.7 },
    { dropped: 1, doubled: 0, late: 0 },
  ])('%o: readers of every node are given everything, once, in order', async (losses) => {
    const { faults, failures, counts } = await cluster.judge(losses, POSTS_PER_NODE)
    expect(faults).toEqual([])
    expect(failures).toEqual([])
    for (const { dropped, late } of counts) {
      if (losses.dropped > 0) expect(dropped).toBeGreaterThan(20)
      if (losses.late > 0) expect(late).toBeGreaterThan(20)
    }
  })
})
