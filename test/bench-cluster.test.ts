/** What the benchmark does with several nodes: small, and with the real programs. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Backend, Nodes } from '../bench/cluster.ts'
import { Progress } from '../bench/progress.ts'
import { runAcross } from '../bench/scenarios/cluster.ts'
import { measureFullNight } from '../bench/scenarios/full-night.ts'
import { postTo } from '../bench/scenarios/posts.ts'
import type { BenchContext } from '../bench/scenarios/scenario.ts'
import { findClusterPrograms } from './cluster/cluster.ts'

const isMissing = (await findClusterPrograms()) === undefined || process.platform !== 'linux'
const context: BenchContext = {
  ...{ quick: true, runs: 1, cores: undefined, progress: new Progress(), peers: [] },
}

describe.skipIf(isMissing)('on two nodes', () => {
  let backend: Backend

  beforeAll(async () => {
    backend = await Backend.start(undefined)
  }, 60_000)

  afterAll(() => backend?.remove())

  /** A machine that pauses is no fault of theirs: PostgreSQL is waited for. */
  function startNodes(): Promise<Nodes> {
    const env = { DATABASE_TIMEOUT_MS: '20000' }
    return Nodes.start(backend, { count: 2, core: undefined, env })
  }

  test('posts at both are numbered together, and counted', async () => {
    const nodes = await startNodes()
    const load = { rooms: 3, connections: 12, inFlightMax: 4 }
    const names = { scenario: 'cluster', load: 'posts' }
    const { faults, perSecond } = await postTo(nodes.servers, nodes.pids, load, names, context)
    expect(faults).toEqual([])
    expect(perSecond).toBeGreaterThan(50)
    const accepted = await Promise.all(nodes.servers.map(({ url }) => readAccepted(url)))
    for (const count of accepted) expect(count).toBeGreaterThan(50)
    await nodes.stop()
  })

  test('what is posted at one is delivered at the other', async () => {
    const nodes = await startNodes()
    const load = { rooms: 4, readersEach: 5, postsPerSecond: 40, warmUpS: 1, seconds: 2 }
    const [row] = await runAcross(nodes, load, context)
    expect(row).toMatchObject({ faults: [], lost: 0, offeredPerSecond: 40 * 6 })
    expect(row!.count).toBeGreaterThan(40 * 6)
    expect(row!.latencyMs!.max).toBeGreaterThan(0)
    await nodes.stop()
  })
})

test.skipIf(isMissing)('a night on two nodes: all come, and all are told', async () => {
  const size = { nodes: 2, connections: 41, groups: 2, settleMs: 100, restMs: 1_000 }
  const { count, lost, faults, latencyMs, bytesPerConnection } = await measureFullNight(
    size,
    context,
  )
  expect({ count, lost, faults }).toEqual({ count: 41, lost: 0, faults: [] })
  expect(latencyMs!.max).toBeLessThan(5_000)
  expect(Number.isFinite(bytesPerConnection)).toBe(true)
})

async function readAccepted(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(/^parley_posts_total\{outcome="accepted"\} (\d+)$/m.exec(text)?.[1])
}
