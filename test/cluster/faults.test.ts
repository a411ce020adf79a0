/** NATS away or slow, nodes killed and restarted: late at the worst, and never wrong. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { type Person, signIn, signUp, until, within } from '../harness.ts'
import { Load } from '../promises/load.ts'
import { follow, Run, roomSpot, VIAS } from '../promises/run.ts'
import { expectSoon, msOf } from '../soon.ts'
import { at, Cluster, epochOf, findClusterPrograms, readinessOf, readMetric } from './cluster.ts'

const programs = await findClusterPrograms()
const HEAD_CHECK_MS = 2_000
/** What NATS tells is there sooner than a look at the heads. */
const LIVE_MS = 1_000

const everyNode = async (cluster: Cluster, holds: (one: Cluster['nodes'][0]) => Promise<boolean>) =>
  (await Promise.all(cluster.nodes.map(holds))).every((yes) => yes)

const isReached = async (node: Cluster['nodes'][0]) =>
  (await readMetric(node, 'bus_connected')) === 1

describe.skipIf(programs === undefined)('two nodes, and NATS in trouble', () => {
  let cluster: Cluster
  let ada: Person
  let adaThere: Person
  let epoch: string

  beforeAll(async () => {
    cluster = await Cluster.start(programs!, 2, { headCheckMs: HEAD_CHECK_MS })
    ada = await signUp(cluster.nodes[0]!.url)
    adaThere = at(cluster.nodes[1]!, ada)
    epoch = await epochOf(ada)
  })

  afterAll(() => cluster.remove())

  const reached = () => until(() => everyNode(cluster, isReached), 'both nodes reach NATS')

  test('while it is away readers have everything within 3 s, and sign-outs too; then it is live again', async () => {
    await reached()
    const spot = roomSpot((await ada.createRoom()).id)
    const reader = await follow(adaThere, spot, 'socket', 0, epoch)
    const idle = await signIn(ada.url, ada.name)
    const idleThere = at(cluster.nodes[1]!, idle)
    expect((await idleThere.fetch('/me')).status).toBe(200)

    await cluster.nats.kill()
    await until(async () => !(await everyNode(cluster, isReached)), 'it is noticed')
    await until(async () => (await readinessOf(cluster.nodes[1]!)) === '200 degraded', 'it is said')
    await idle.signOut()
    const heardMs = async (text: string) => {
      const { seq } = await ada.post(spot.path, text)
      return msOf(() => until(() => reader.last() === seq, 'it is heard'))
    }
    await expectSoon(3_000, 'it is heard all the same', () => heardMs('can you hear me?'))
    // One head check may have been under way, and one more finds it.
    await expectSoon(2 * HEAD_CHECK_MS, 'a sign-out is heard of', async () => {
      const leaving = await signIn(ada.url, ada.name)
      const left = await follow(at(cluster.nodes[1]!, leaving), spot, 'sse', 0, epoch)
      await leaving.signOut()
      return msOf(() => within(left.ended, 'the sign-out is heard of'))
    })
    // Nobody holds a connection of this one; it is asked for when it is used again.
    await until(async () => (await idleThere.fetch('/me')).status === 401, 'so is the other one')

    await cluster.nats.restart()
    await reached()
    await expectSoon(LIVE_MS, 'it is live again', () => heardMs('and now?'))
    for (const node of cluster.nodes) expect(await readinessOf(node)).toBe('200 ready')
    reader.close()
  })

  /** Posts through both nodes and follows at both while `trouble` is made, then has it judged. */
  async function underLoad(trouble: (run: Run) => Promise<void>): Promise<void> {
    await reached()
    const run = new Run(cluster)
    const spots = [roomSpot((await ada.createRoom()).id), roomSpot((await ada.createRoom()).id)]
    const authors = await Promise.all([1, 2, 3].map(() => signUp(cluster.url)))
    const held = cluster.nodes.flatMap((node) =>
      spots.flatMap((spot) =>
        VIAS.map(async (via) => ({
          ...{ spot, via, node },
          following: await follow(at(node, ada), spot, via, 0, epoch),
        })),
      ),
    )
    const readers = await Promise.all(held)
    const work = spots.flatMap((spot) =>
      authors.map((author) => run.postHttp(author, spot)).concat(run.postSocket(ada, spot, 2)),
    )
    await trouble(run)
    run.stopping = true
    await Promise.all(work)
    for (const { spot, via, following } of readers) {
      const head = (await ada.get<{ head: number }>(spot.path)).head
      await until(() => following.last() === head, `${via} has all`)
      const common = { reader: ada.name, via, timeline: spot.timeline, after: 0 }
      run.readings.push({ ...common, events: following.seen(), toTheEnd: true })
      following.close()
    }
    expect(await run.faults(ada, spots)).toEqual([])
    expect(run.attempts.every(({ outcome }) => outcome === 'ok')).toBe(true)
  }

  /** Resolves when some posts more are acknowledged. */
  async function goesOn(run: Run): Promise<void> {
    const before = run.acknowledged
    await until(() => run.acknowledged >= before + 80, 'posts go on')
  }

  test('killed and restarted under load, three times', async () => {
    await underLoad(async (run) => {
      for (let i = 0; i < 3; i++) {
        await goesOn(run)
        await moment()
        await cluster.nats.kill()
        await goesOn(run)
        await moment()
        await cluster.nats.restart()
        await reached()
      }
    })
  })

  test('held still for five seconds under load', async () => {
    await underLoad(async (run) => {
      await goesOn(run)
      cluster.nats.signal('SIGSTOP')
      await new Promise((resolve) => setTimeout(resolve, 5_000))
      await goesOn(run)
      cluster.nats.signal('SIGCONT')
      await goesOn(run)
    })
  })
})

/** Not for anything to happen, but so that trouble comes at any moment. */
function moment(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 100 + Math.random() * 200))
}

describe.skipIf(programs === undefined)('nodes that come and go', () => {
  let cluster: Cluster | undefined

  afterEach(async () => {
    await cluster?.remove()
    cluster = undefined
  })

  async function begin(size: number) {
    cluster = await Cluster.start(programs!, size)
    return { cluster, load: await Load.start(cluster, { inFlight: 2 }) }
  }

  async function expectWell(load: Load): Promise<void> {
    expect(await load.faults()).toEqual([])
    // Some readers had to change over.
    expect(load.run.readings.length).toBeGreaterThan(load.followers.length)
  }

  test('a node is killed: its readers go on at the other, without a hole or a repetition', async () => {
    const { cluster, load } = await begin(2)
    const [node] = cluster.nodes
    await load.goesOn(300)
    await node!.stop('SIGKILL')
    cluster.leave(node!)
    await load.goesOn(300)
    await node!.restart()
    cluster.join(node!)
    await load.goesOn(300)
    await expectWell(load)
  })

  test('a node that starts while NATS is away says so, serves, and joins the others later', async () => {
    cluster = await Cluster.start(programs!, 1)
    await cluster.nats.kill()
    const natsUrl = `nats://me:s3cret@${cluster.nats.address}`
    const node = await cluster.startNode({ natsUrl, logLevel: 'info' })
    expect(await readinessOf(node)).toBe('200 degraded')
    await until(() => node.errors.includes('NATS cannot be reached'), 'it is logged')
    expect(node.errors).toContain(cluster.nats.address)
    const ada = await signUp(node.url)
    const spot = roomSpot((await ada.createRoom()).id)
    const reader = await follow(ada, spot, 'socket', 0, await epochOf(ada))
    await ada.post(spot.path, 'alone')
    await until(() => reader.last() === 1, 'it serves')
    await cluster.nats.restart()
    await until(() => node.errors.includes('NATS is reached'), 'this is logged, too')
    await until(() => everyNode(cluster!, isReached), 'the other is back')
    await expectSoon(LIVE_MS, 'the other node is heard', async () => {
      const { seq } = await at(cluster!.nodes[0]!, ada).post(spot.path, 'together')
      return msOf(() => until(() => reader.last() === seq, 'the other node is heard'))
    })
    expect(node.errors.split('NATS cannot be reached')).toHaveLength(2)
    expect(node.errors).not.toContain('s3cret')
    reader.close()
    expect(await node.stop('SIGTERM')).toBe(0)
  })

  test('two nodes that nobody has joined are slow to hear of each other, and not deaf', async () => {
    const headCheckMs = 200
    cluster = await Cluster.start(programs!, 2, { natsUrl: '', headCheckMs })
    const [here, there] = cluster.nodes
    const ada = await signUp(here!.url)
    const spot = roomSpot((await ada.createRoom()).id)
    const reader = await follow(at(there!, ada), spot, 'socket', 0, await epochOf(ada))
    for (let i = 0; i < 3; i++)
      await expectSoon(5 * headCheckMs, 'it is heard', async () => {
        const { seq } = await ada.post(spot.path, 'post')
        return msOf(() => until(() => reader.last() === seq, 'it is heard'))
      })
    await expectSoon(5 * headCheckMs, 'so is a sign-out', async () => {
      const leaving = await signIn(here!.url, ada.name)
      const held = await follow(at(there!, leaving), spot, 'ndjson', 0, await epochOf(ada))
      await leaving.signOut()
      return msOf(() => within(held.ended, 'so is a sign-out'))
    })
    reader.close()
  })

  test('three nodes are restarted one after the other under load', async () => {
    const { cluster, load } = await begin(3)
    for (const node of cluster.nodes) {
      await load.goesOn(150)
      cluster.leave(node)
      expect(await node.stop('SIGTERM')).toBe(0)
      await node.restart()
      cluster.join(node)
    }
    await expectWell(load)
  })
})
