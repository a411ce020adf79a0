/**
 * The peers of the benchmark: what recognises their deliveries must see every wrong byte, and each
 * one that is installed is really spoken to.
 */
import { describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import type { Dialect, Wire } from '../bench/generator/dialect.ts'
import type { TalkJob, TalkResult } from '../bench/generator/job.ts'
import { textOf } from '../bench/generator/texts.ts'
import { generate } from '../bench/generator-process.ts'
import { bestOf, climb } from '../bench/peers/ladder.ts'
import { peers } from '../bench/peers/list.ts'
import { measurePeers } from '../bench/peers/measure.ts'
import { createDialect as createMosquitto } from '../bench/peers/mosquitto.ts'
import { createDialect as createNats } from '../bench/peers/nats.ts'
import { type Peer, roomName } from '../bench/peers/peer.ts'
import type { PeerProcess } from '../bench/peers/process.ts'
import { Shape } from '../bench/peers/shape.ts'
import { socketIo } from '../bench/peers/socket-io.ts'
import type { Measured } from '../bench/record.ts'

const TEXT_BYTES = 32
const SETUP = { rooms: [roomName(0), roomName(1)], textBytes: TEXT_BYTES, tokens: [], options: {} }

describe('a shape', () => {
  const shape = new Shape(TEXT_BYTES, (room, text) => `to ${room}, ${room}: ${text}.`)
  const message = (room: number, n: number) =>
    Buffer.from(`to ${roomName(room)}, ${roomName(room)}: ${textOf(n, TEXT_BYTES)}.`)

  test('tells the room and the number of what it made', () => {
    const frame = Buffer.from(shape.frame(1)(31_415, 9_265_358))
    const start = frame.length - shape.length
    expect(frame.subarray(start)).toEqual(message(31_415, 9_265_358))
    expect(shape.fits(frame, start, frame.length)).toBe(true)
    expect(shape.room(frame, start)).toBe(31_415)
    expect(shape.number(frame, start)).toBe(9_265_358)
  })

  test('is refused with any byte wrong or missing', () => {
    const right = message(7, 42)
    for (let i = 0; i < right.length; i++) {
      const wrong = Buffer.from(right)
      wrong[i]! ^= 0x80
      const read = () => shape.room(wrong, 0) + shape.number(wrong, 0)
      if (shape.fits(wrong, 0, wrong.length)) expect(read).toThrow('a wrong delivery')
    }
    expect(shape.fits(right, 0, right.length)).toBe(true)
    expect(shape.fits(right, 0, right.length - 1)).toBe(false)
  })
})

/** What a dialect tells of a stream that comes in pieces, as `room:number`. */
function deliveriesOf(dialect: Dialect, stream: Buffer, cuts: readonly number[]): string[] {
  const seen: string[] = []
  const wire = {
    index: 0,
    rooms: [0, 1],
    state: undefined,
    delivered(room: number, first: number, last: number) {
      for (let n = first; n <= last; n++) seen.push(`${room}:${n}`)
    },
  } as unknown as Wire
  const ends = cuts.map((cut) => cut % stream.length).toSorted((a, b) => a - b)
  let at = 0
  for (const end of [...ends, stream.length]) {
    if (end > at) dialect.received(wire, 2, stream, at, end)
    at = Math.max(at, end)
  }
  return seen
}

const posts = fc.array(fc.tuple(fc.nat({ max: 1 }), fc.nat({ max: 99 })), { minLength: 1 })
const cuts = fc.array(fc.nat(), { maxLength: 20 })

test.each([
  [
    'NATS',
    createNats,
    (room: number, n: number) =>
      `MSG ${roomName(room)} ${roomName(room)} 32
${textOf(n, TEXT_BYTES)}
`.replaceAll('\n', '\r\n'),
  ],
  [
    'MQTT',
    createMosquitto,
    (room: number, n: number) => `0(\0\x06${roomName(room)}${textOf(n, TEXT_BYTES)}`,
  ],
] as const)('%s may be cut anywhere', (_, createDialect, encode) => {
  fc.assert(
    fc.property(posts, cuts, (posts, cuts) => {
      const stream = Buffer.from(posts.map(([room, n]) => encode(room, n)).join(''), 'latin1')
      const seen = deliveriesOf(createDialect(SETUP), stream, cuts)
      expect(seen).toEqual(posts.map(([room, n]) => `${room}:${n}`))
    }),
  )
})

describe('the ladder', () => {
  const carries = (most: number) => async (offered: number) => ({
    carried: offered <= most,
    result: undefined,
  })
  const triedWith = async (most: number) =>
    (await climb([1, 2, 3, 4], 2, carries(most))).map(({ offered }) => offered)

  test('goes up to the first load that is not carried', async () => {
    expect(await triedWith(3)).toEqual([2, 3, 4])
    expect(await triedWith(2)).toEqual([2, 3])
    expect(await triedWith(9)).toEqual([2, 3, 4])
    expect(bestOf(await climb([1, 2, 3, 4], 2, carries(3))).offered).toBe(3)
  })

  test('goes down if the first is too much', async () => {
    expect(await triedWith(1)).toEqual([2, 1])
    expect(bestOf(await climb([1, 2, 3, 4], 2, carries(1))).offered).toBe(1)
    expect(bestOf(await climb([1, 2, 3, 4], 2, carries(0)))).toMatchObject({
      offered: 1,
      carried: false,
    })
  })
})

describe('what a peer carried', () => {
  const crowd = { scenario: 'town', connections: 100, rooms: 10, roomsEach: 2, textBytes: 32 }
  const p99 = (ms: number) => ({ latencyMs: { p50: 1, p99: ms, max: ms } })

  /** A peer that is said to do this at a number of posts a second; and how it was ended. */
  async function measured(
    result: (postsPerSecond: number) => Partial<Measured>,
    startFails = false,
  ) {
    let running = 0
    const peer = {
      title: 'a peer',
      roomName,
      start: async () => {
        if (startFails) throw new Error('no such library')
        running += 1
        return { stop: async () => void (running -= 1) }
      },
    } as unknown as Peer
    const [row] = await measurePeers(crowd, [{ peer, version: '1.2' }], {
      cores: undefined,
      loads: [10_000, 20_000, 50_000, 100_000],
      from: 20_000,
      run: async ({ postsPerSecond }) =>
        ({ load: `${postsPerSecond}`, lost: 0, ...result(postsPerSecond) }) as Measured,
    })
    expect(running).toBe(0)
    return row!
  }

  test('is the highest load that came whole and in time; the others are told', async () => {
    const row = await measured((posts) => p99(posts > 2_500 ? 1_001 : 1_000))
    // Twenty readers a room: 50,000 deliveries are 2,500 posts.
    expect(row).toMatchObject({ load: '2500', version: '1.2' })
    expect(row.notes).toEqual([
      '20,000 deliveries/s carried: whole, p99 1,000 ms',
      '50,000 deliveries/s carried: whole, p99 1,000 ms',
      '100,000 deliveries/s not carried: whole, p99 1,001 ms',
    ])
  })

  test('is not what it lost, nor what it failed under', async () => {
    const lossy = await measured((posts) => ({ ...p99(1), lost: posts > 1_000 ? 3 : 0 }))
    expect(lossy).toMatchObject({ load: '1000', lost: 0 })
    expect(lossy.notes!.at(-1)).toBe('50,000 deliveries/s not carried: 3 not delivered')
    const broken = await measured(() => {
      throw new Error('out of memory')
    })
    expect(broken).toMatchObject({ subject: 'a peer', offeredPerSecond: 10_000 })
    expect(broken.faults).toEqual(['it broke down: out of memory'])
    const absent = await measured(() => ({}), true)
    expect(absent.faults).toEqual(['it broke down: no such library'])
  })
})

const READERS = 20
const ROOMS = 2
const POSTS = 200
/** For what comes, if the machine lets it; and for what never comes. */
const DRAIN_S = 10
const DRAIN_S_IN_VAIN = 3

/** Every peer that is here is started, joined, posted to, listened to, and ended. */
describe('is spoken to, every delivery checked:', () => {
  for (const peer of peers) {
    const version = peer.find()
    if (version === undefined) test.skip(`${peer.title} (missing: ${peer.install})`, () => {})
    else test(`${peer.title} ${version}`, () => speakTo(peer))
  }
})

test('a delivery that a peer loses is missed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-lossy-'))
  const dialect = join(folder, 'lossy.ts')
  // The third reader never sees its tenth frame: those before it are of the handshake or in order.
  writeFileSync(
    dialect,
    `import { createDialect as create } from '${socketIo.dialect}'
    export function createDialect(setup) {
      const whole = create(setup)
      let frames = 0
      const received = (wire, ...frame) => {
        if (wire.index === 2) frames += 1
        if (wire.index !== 2 || frames !== 10) whole.received(wire, ...frame)
      }
      return { ...whole, received }
    }`,
  )
  const server = await socketIo.start({ core: undefined, connections: READERS })
  const job = { ...jobFor(socketIo, server, DRAIN_S_IN_VAIN), dialect, gapless: false }
  const result = await generate<TalkResult>(job, { core: undefined }).finally(async () => {
    rmSync(folder, { recursive: true })
    await server.stop()
  })
  expect(result).toMatchObject({ posted: POSTS, lost: 1, twice: 0 })
})

async function speakTo(peer: Peer): Promise<void> {
  const server = await peer.start({ core: undefined, connections: READERS })
  const { pids, folder } = server
  try {
    const result = await generate<TalkResult>(jobFor(peer, server), { core: undefined })
    expect(result).toMatchObject({ posted: POSTS, lost: 0, twice: 0, faults: [], faultCount: 0 })
    expect(result.phases[0]!.groups[0]!.posts).toBe(POSTS)
  } finally {
    await server.stop()
  }
  expect(pids.filter(isRunning)).toEqual([])
  expect(existsSync(folder)).toBe(false)
}

function jobFor(peer: Peer, { port }: PeerProcess, drainSMax = DRAIN_S): TalkJob {
  return {
    kind: 'talk',
    port,
    dialect: peer.dialect,
    setup: { ...SETUP, rooms: [peer.roomName(0), peer.roomName(1)] },
    crowd: [{ connections: READERS, from: 0, rooms: ROOMS, roomsEach: 1 }],
    gapless: true,
    senders: 'one a room',
    phases: [
      {
        name: 'all',
        warmUpS: 0,
        seconds: 1,
        schedules: [{ from: 0, rooms: ROOMS, postsPerSecond: POSTS }],
        drainSMax,
      },
    ],
  }
}

/** What has ended may still stand in the table of processes until its parent asks for it. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
