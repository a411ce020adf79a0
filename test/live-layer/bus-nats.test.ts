/** NATS keeps the contract of a bus; and what it does while NATS is away, slow or hostile. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { connect } from '@nats-io/transport-node'
import type { LiveEvent } from '../../src/live/bus.ts'
import { createNatsBus } from '../../src/live/bus-nats.ts'
import { WAITING_BYTES_MAX } from '../../src/live/nats-outflow.ts'
import { createLog } from '../../src/log.ts'
import { createMetrics } from '../../src/metrics.ts'
import { busContract } from '../contracts/bus.ts'
import { until, within, workedMs } from '../harness.ts'
import { findNatsServer, NatsServer } from '../services/nats.ts'
import { expectSoon, msOf, TRIES } from '../soon.ts'
import { NatsNode } from './nats-node.ts'

const program = await findNatsServer()

const ROOM = 'rAAAAAAAAAAAAAAAA'
const event = (seq: number, timeline = ROOM, text = ''): LiveEvent => ({
  timeline,
  seq,
  json: `{"seq":${seq},"type":"message","text":"${text}"}`,
})

describe.skipIf(program === undefined)('NATS', () => {
  let nats: NatsServer
  const nodes: NatsNode[] = []

  beforeAll(async () => {
    nats = await NatsServer.start(program!)
  })

  afterAll(async () => {
    await Promise.all(nodes.map(({ bus }) => bus.stop()))
    await nats.remove()
  })

  const join = async (cluster?: string, url = nats.url): Promise<NatsNode> => {
    const node = await NatsNode.joined(url, cluster)
    nodes.push(node)
    return node
  }

  let homes = 0
  busContract('NATS', async () => {
    homes += 1
    const cluster = `home${homes}`
    return {
      nodesMax: 3,
      join: async () => (await join(cluster)).bus,
      remove: async () => {},
    }
  })

  test('once opening a timeline has resolved, nothing of it is missed', async () => {
    const [from, to] = [await join(), await join()]
    for (let seq = 1; seq <= 200; seq++) {
      const room = `r${seq}`
      await to.open(room)
      from.bus.publish([event(seq, room)])
    }
    await until(() => to.seqs.length >= 200, 'all are heard')
    expect(to.seqs).toEqual(Array.from({ length: 200 }, (_, i) => i + 1))
  })

  test('a node hears its own events once, at once, and only what it has opened', async () => {
    const [from, to] = [await join('own'), await join('own')]
    await from.open(ROOM)
    await to.open(ROOM)
    from.bus.publish([event(1), event(2, 'rBBBBBBBBBBBBBBBB')])
    expect(from.seqs).toEqual([1, 2])
    to.bus.publish([event(3)])
    await until(() => from.seqs.includes(3) && to.seqs.includes(1), 'both have heard')
    expect(from.seqs).toEqual([1, 2, 3])
    expect(to.seqs.sort()).toEqual([1, 3])
    expect(await from.count('busSent')).toBe(2)
    expect(await to.count('busReceived')).toBe(1)
    to.bus.close(ROOM)
    await to.open('another')
    from.bus.publish([event(4), event(5, 'another')])
    await until(() => to.seqs.includes(5), 'the other one is heard')
    expect(to.seqs).not.toContain(4)
  })

  test('the events of a commit are one message for each timeline, in order', async () => {
    const [from, to] = [await join('batch'), await join('batch')]
    const rooms = ['r1', 'r2', 'r3']
    for (const room of rooms) await to.open(room)
    from.bus.publish(Array.from({ length: 300 }, (_, i) => event(i + 1, rooms[i % 3])))
    await until(() => to.seqs.length === 300, 'all are heard')
    expect(await from.count('busSent')).toBe(3)
    for (const remainder of [0, 1, 2]) {
      const ofRoom = to.seqs.filter((seq) => seq % 3 === remainder)
      expect(ofRoom).toEqual(ofRoom.toSorted((a, b) => a - b))
    }
  })

  test('a batch of several megabytes is split; one event that NATS does not take is dropped', async () => {
    const [from, to] = [await join('large'), await join('large')]
    await to.open(ROOM)
    const text = '€'.repeat(100_000)
    from.bus.publish([1, 2, 3, 4, 5, 6, 7].map((seq) => event(seq, ROOM, text)))
    await until(() => to.seqs.length === 7, 'all are heard')
    expect(to.seqs).toEqual([1, 2, 3, 4, 5, 6, 7])
    const frame = event(8, ROOM, 'x'.repeat(1 << 20))
    from.bus.publish([frame, event(9)])
    await until(() => to.seqs.includes(9), 'what comes after it is heard')
    expect(to.seqs).not.toContain(8)
    expect(await from.count('busDropped')).toBe(1)
  })

  test('two clusters on one NATS do not hear each other', async () => {
    const [here, there] = [await join('one'), await join('two')]
    await here.open(ROOM)
    await there.open(ROOM)
    here.bus.publish([event(1)])
    here.bus.revoke(['s1'])
    there.bus.publish([event(2)])
    const witness = await join('one')
    await witness.open(ROOM)
    witness.bus.publish([event(3)])
    await until(() => here.seqs.includes(3), 'its own cluster is heard')
    expect(here.seqs).toEqual([1, 3])
    expect(there.seqs).toEqual([2])
    expect(there.revoked).toEqual([])
  })

  test('what no node would write is ignored and counted', async () => {
    const node = await join('hostile')
    await node.open(ROOM)
    const enemy = await connect({ servers: [nats.address] })
    const lies = [
      ...['', 'hello', '{', 'null', '[]', '{}', '\0', '{"seq":1}', '{"seq":"1","type":"m"}'],
      ...['{"seq":0,"type":"m"}', '{"seq":-1,"type":"m"}', '{"seq":1.5,"type":"m"}'],
      ...['{"seq":1e3,"type":"m"}', '{"seq":9007199254740993,"type":"m"}', '{"type":"m","seq":1}'],
      ...[' {"seq":1,"type":"m"}', '{"seq":1,"type":"m"}\n', '{"seq":1,"type":"m"} {}'],
      '{"seq":1,"type":"m"}\n{"seq":2',
    ]
    for (const lie of lies) enemy.publish(`parley.hostile.t.${ROOM}`, lie)
    enemy.publish(`parley.hostile.t.${ROOM}`, new Uint8Array([0xff, 0xfe, 0]))
    const revocations = ['', '{}', '"s1"', '[1]', '["a b"]', `["${'s'.repeat(65)}"]`, '[["s1"]]']
    for (const lie of revocations) enemy.publish('parley.hostile.s', lie)
    enemy.publish('parley.hostile.s', JSON.stringify(Array(1_001).fill('s1')))
    enemy.publish(`parley.hostile.t.${ROOM}`, event(7).json)
    await enemy.flush()
    await until(() => node.seqs.length > 0, 'what is right is heard')
    expect(node.seqs).toEqual([7])
    expect(node.revoked).toEqual([])
    expect(await node.count('busIgnored')).toBe(lies.length + 1 + revocations.length + 1)
    await enemy.close()
  })

  test('ids that cannot be a part of a subject go nowhere', async () => {
    const [node, other] = [await join('ids'), await join('ids')]
    for (const id of ['>', '*', 'a.b', 'a b', '', 'ä', 'x'.repeat(65), 'a\r\nPUB b 0']) {
      expect(node.bus.open(id)).toBeUndefined()
      node.bus.publish([event(1, id)])
      node.bus.close(id)
    }
    await node.open(ROOM)
    other.bus.publish([event(2)])
    await until(() => node.seqs.includes(2), 'the bus lives')
    expect(await node.count('busSent')).toBe(0)
    expect(() => new NatsNode(nats.url, 'a.b')).toThrow('cannot be a part of a subject')
  })

  test('ten thousand timelines are opened and closed within a second or two', async () => {
    const [from, to] = [await join('many'), await join('many')]
    const rooms = Array.from({ length: 10_000 }, (_, i) => `r${i}`)
    const startedAtMs = workedMs()
    await Promise.all(rooms.map((room) => to.bus.open(room)))
    await to.open('last')
    from.bus.publish(rooms.map((room, i) => event(i + 1, room)))
    await until(() => to.seqs.length === rooms.length, 'each is heard')
    expect(workedMs() - startedAtMs).toBeLessThan(2_000)
    for (const room of rooms) to.bus.close(room)
    await to.open(ROOM)
    from.bus.publish([event(1, rooms[77]), event(20_000)])
    await until(() => to.seqs.includes(20_000), 'what is open is heard')
    expect(to.seqs).toHaveLength(rooms.length + 1)
  })

  describe('away', () => {
    test('killed and restarted: it says so, and both ways of talking come back by themselves', async () => {
      const mine = await NatsServer.start(program!)
      const [from, to] = [await join('kill', mine.url), await join('kill', mine.url)]
      await to.open(ROOM)
      await mine.kill()
      await until(() => !from.bus.connected && !to.bus.connected, 'both notice')
      const startedAtMs = workedMs()
      for (let seq = 1; seq <= 1_000; seq++) from.bus.publish([event(seq)])
      from.bus.revoke(['s1'])
      expect(to.bus.open('meanwhile')).toBeUndefined()
      expect(workedMs() - startedAtMs).toBeLessThan(1_000)
      expect(from.seqs).toHaveLength(1_000)
      expect(await from.count('busDropped')).toBe(1_001)

      await mine.restart()
      await until(() => from.joins.length === 2 && to.joins.length === 2, 'both are back')
      from.bus.publish([event(2_000), event(2_001, 'meanwhile')])
      from.bus.revoke(['s2'])
      await until(() => to.seqs.includes(2_001) && to.revoked.length > 0, 'all is heard')
      // What was said meanwhile is not said again.
      expect(to.seqs).toEqual([2_000, 2_001])
      expect(to.revoked).toEqual(['s2'])
      await mine.remove()
    })

    test('at the start: the node waits for it without holding anything up', async () => {
      const mine = await NatsServer.start(program!)
      await mine.kill()
      const node = new NatsNode(mine.url, 'late')
      nodes.push(node)
      expect(node.bus.open(ROOM)).toBeUndefined()
      node.bus.publish([event(1)])
      expect(node.bus.connected).toBe(false)
      await mine.restart()
      await until(() => node.joins.length === 1, 'it is reached')
      const other = await join('late', mine.url)
      other.bus.publish([event(2)])
      await until(() => node.seqs.includes(2), 'what was opened before is heard')
      await mine.remove()
    })

    test('while it cannot be reached, the bus stops at once', async () => {
      const mine = await NatsServer.start(program!)
      const joining = Array.from({ length: TRIES }, () => NatsNode.joined(mine.url))
      const lost = await Promise.all(joining)
      await mine.kill()
      const stop = ({ bus }: NatsNode) => msOf(() => within(bus.stop(), 'it stops'))
      await expectSoon(2_000, 'it stops', () => stop(lost.pop()!))
      const never = new NatsNode(mine.url)
      await expectSoon(2_000, 'it stops', () => stop(new NatsNode(mine.url)))
      await stop(never)
      expect(never.bus.connected).toBe(false)
      await Promise.all(lost.map(stop))
      await mine.remove()
    })

    test('held still: what waits has a limit, opening does not hang, and it goes on', async () => {
      const mine = await NatsServer.start(program!)
      const [from, to] = [await join('still', mine.url), await join('still', mine.url)]
      await to.open(ROOM)
      mine.signal('SIGSTOP')
      const text = 'x'.repeat(200_000)
      const count = Math.ceil((2 * WAITING_BYTES_MAX) / text.length)
      for (let seq = 1; seq <= count; seq++) from.bus.publish([event(seq, ROOM, text)])
      const dropped = await from.count('busDropped')
      expect(dropped).toBeGreaterThan(count / 2 - 2)
      expect(dropped).toBeLessThan(count / 2 + 2)
      const others = Array.from({ length: TRIES }, (_, i) => `r${i}`)
      const opening = () => msOf(() => within(to.bus.open(others.pop()!)!, 'opening goes on'))
      await expectSoon(1_000, 'opening goes on', opening)
      mine.signal('SIGCONT')
      await until(() => to.seqs.length >= count - dropped, 'what was kept is heard')
      // As much again, one after the other: there is room for each.
      for (let seq = 1_000; seq < 1_000 + count; seq++) {
        from.bus.publish([event(seq, ROOM, text)])
        await until(() => to.seqs.at(-1) === seq, 'it is heard')
      }
      expect(await from.count('busDropped')).toBe(dropped)
      await mine.remove()
    })

    test('held still for longer: it is noticed, and mended when it goes on', async () => {
      const mine = await NatsServer.start(program!)
      const node = await join('frozen', mine.url)
      mine.signal('SIGSTOP')
      // By questions without an answer, which takes some six seconds.
      await until(() => !node.bus.connected, 'it is noticed', 20_000)
      mine.signal('SIGCONT')
      await until(() => node.joins.length === 2, 'it is back')
      await mine.remove()
    })
  })

  describe('credentials', () => {
    test.each([
      ['a user and a password', ['--user', 'ada', '--pass', 'p@ss/w:rd'], 'ada:p%40ss%2Fw%3Ard'],
      ['a token', ['--auth', 't0ken'], 't0ken'],
    ])('%s, from the address', async (_, options, credentials) => {
      const mine = await NatsServer.start(program!, options)
      const node = await join('auth', `nats://${credentials}@${mine.address}`)
      expect(node.bus.connected).toBe(true)
      await mine.remove()
    })

    test('wrong ones are tried again and again, and never logged', async () => {
      const mine = await NatsServer.start(program!, ['--auth', 'right'])
      const lines: string[] = []
      const note = (fields: object, text: string) => lines.push(JSON.stringify([fields, text]))
      const log = { info: note, warn: note } as never
      const url = `nats://s3cret@${mine.address},nats://${mine.address}`
      const bus = createNatsBus({ url, cluster: 'auth', log, metrics: createMetrics() })
      await until(() => lines.length > 0, 'it complains')
      await mine.kill()
      await bus.stop()
      expect(lines).toHaveLength(1)
      expect(lines[0]).toContain(mine.address)
      expect(lines.join()).not.toContain('s3cret')
      await mine.remove()
    })
  })
})

describe('the address', () => {
  const open = (url: string) => () =>
    createNatsBus({ url, cluster: 'c', log: createLog('silent'), metrics: createMetrics() })

  test.each([
    'http://host',
    'host:4222',
    'nats://',
    'nats://host/path',
    'nats://host?a',
    'nats://host#a',
    'nats://s3cret%zz@host',
    'nats://host,tls://other',
    'nats://host,',
    'nats://host:99999',
  ])('%s is refused in a sentence that does not repeat it', (url) => {
    expect(open(url)).toThrow('NATS_URL is not an address such as nats://user:password@host:4222.')
  })
})
