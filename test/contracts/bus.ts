/**
 * The contract of `src/live/bus.ts` as a test suite that every backend runs. A bus may lose, repeat
 * and reorder, so the tests ring until they are heard, and hold only what the contract holds.
 */
import { afterEach, describe, expect, test } from 'bun:test'
import type { Bus, LiveEvent } from '../../src/live/bus.ts'
import type { Id } from '../../src/types.ts'
import { until } from '../harness.ts'
import { expectSoon, msOf } from '../soon.ts'

/** Nodes that are joined by one bus. */
export interface BusHome {
  /** How many nodes it can join. */
  nodesMax: number
  join(): Promise<Bus>
  remove(): Promise<void>
}

/** A revoked session is known on every node within this time. */
const REVOKED_MS_MAX = 1_000

class Node {
  readonly bus: Bus
  readonly heard: LiveEvent[] = []
  readonly revoked: Id[] = []

  constructor(bus: Bus) {
    this.bus = bus
    bus.listen({
      events: (events) => void this.heard.push(...events),
      revoked: (sessions) => void this.revoked.push(...sessions),
      joined: () => {},
    })
  }

  seqs(timeline: string): number[] {
    return this.heard.filter((event) => event.timeline === timeline).map((event) => event.seq)
  }
}

const event = (timeline: string, seq: number): LiveEvent => ({
  timeline,
  seq,
  json: `{"seq":${seq},"type":"message","text":"grüße 🦜 \\"quoted\\" \\u2028"}`,
})

export function busContract(backend: string, makeHome: () => Promise<BusHome>): void {
  describe(`${backend} keeps the contract of a bus`, () => {
    let home: BusHome
    let nodes: Node[] = []
    const joined = async (count: number): Promise<Node[]> => {
      home = await makeHome()
      for (let i = 0; i < Math.min(count, home.nodesMax); i++)
        nodes.push(new Node(await home.join()))
      return nodes
    }

    afterEach(async () => {
      await Promise.all(nodes.map((node) => node.bus.stop()))
      await home.remove()
      nodes = []
    })

    test('who listens to a timeline hears its events, from every node, its own among them', () =>
      hearsAll(joined))
    test('events are not changed on their way', () => unchanged(joined))
    test('who opens a timeline again hears it again', () => hearsAgain(joined))
    test('a revoked session is known on every node within a second', () => revokes(joined))
    test('publishing neither waits nor fails, heard or unheard', () => neverFails(joined))
  })
}

type Join = (count: number) => Promise<Node[]>

/** Publishes one event after the other until the node hears one; resolves with its seq. */
async function ringUntilHeard(from: Node, to: Node, timeline: string): Promise<number> {
  let seq = Math.max(0, ...to.seqs(timeline))
  const before = seq
  return until(() => {
    seq += 1
    from.bus.publish([event(timeline, seq)])
    return to.seqs(timeline).find((heard) => heard > before)
  }, `${timeline} is heard`)
}

async function hearsAll(join: Join): Promise<void> {
  const nodes = await join(3)
  for (const node of nodes) node.bus.open('room')
  for (const from of nodes) for (const to of nodes) await ringUntilHeard(from, to, 'room')
  // Where nothing is lost, a commit's events come in order.
  const [first] = nodes
  const last = Math.max(...first!.seqs('room'))
  first!.bus.publish([event('room', last + 1), event('other', 1), event('room', last + 2)])
  await until(() => first!.seqs('room').includes(last + 2), 'a batch is heard')
  expect(first!.seqs('room').slice(-2)).toEqual([last + 1, last + 2])
}

async function unchanged(join: Join): Promise<void> {
  const nodes = await join(2)
  for (const node of nodes) node.bus.open('room')
  for (const node of nodes) {
    const seq = await ringUntilHeard(nodes[0]!, node, 'room')
    expect(node.heard.find((one) => one.seq === seq)).toEqual(event('room', seq))
  }
}

async function hearsAgain(join: Join): Promise<void> {
  const nodes = await join(2)
  const [from, to] = [nodes[0]!, nodes.at(-1)!]
  for (let round = 0; round < 3; round++) {
    to.bus.open('room')
    await ringUntilHeard(from, to, 'room')
    to.bus.close('room')
    from.bus.publish([event('room', Math.max(...to.seqs('room')) + 1)])
  }
}

async function revokes(join: Join): Promise<void> {
  const nodes = await join(3)
  const revoked: string[] = []
  const revoking = () =>
    msOf(async () => {
      revoked.push(`s${revoked.length}`, `t${revoked.length}`)
      nodes[0]!.bus.revoke(revoked.slice(-2))
      const known = () => nodes.every((node) => node.revoked.length >= revoked.length)
      await until(known, 'every node knows')
    })
  await expectSoon(REVOKED_MS_MAX, 'it is revoked', revoking)
  for (const node of nodes) expect(new Set(node.revoked)).toEqual(new Set(revoked))
}

async function neverFails(join: Join): Promise<void> {
  const [node] = await join(1)
  const { bus } = node!
  expect(bus.publish([])).toBeUndefined()
  expect(bus.publish([event('nobody listens', 1)])).toBeUndefined()
  bus.close('never opened')
  bus.open('room')
  await bus.stop()
  expect(bus.publish([event('room', 1)])).toBeUndefined()
  expect(bus.revoke(['s1'])).toBeUndefined()
  expect(node!.seqs('room')).toEqual([])
  expect(node!.revoked).toEqual([])
}
