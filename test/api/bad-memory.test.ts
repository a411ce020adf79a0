/**
 * Bad input costs no memory that does not come back. Each kind is sent by the thousand, round after
 * round: the runtime makes some things once, and keeps the room it took for large bodies, so the
 * first rounds may end higher than they began. But soon one must settle within 5 MB of where the
 * one before had settled. A server that keeps five kilobytes of each never does.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { until } from '../harness.ts'
import {
  encodeFrame,
  handshake,
  OPCODE,
  RawConnection,
  type RawFrame,
  RawWebSocket,
  rawRequest,
  text,
} from '../raw.ts'
import { Target } from './unharmed.ts'

const TIMES_FIRST = 500
const TIMES = 1_000
const ROUNDS_MAX = 4
const AT_ONCE = 20
const GROWTH_BYTES_MAX = 5_000_000

let target: Target

beforeAll(async () => {
  target = await Target.start({ connectsPerSecondMax: 100_000, connectsBurstMax: 100_000 })
})

afterAll(() => target.stop())

/** Sends these in turn, so many in all; each waits for its answer. */
async function send(inputs: (() => Promise<void>)[], times: number): Promise<void> {
  let left = times
  const sender = async () => {
    while (left > 0) {
      left -= 1
      await inputs[left % inputs.length]!()
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, sender))
}

/** The least it was, once it has not become less for half a second. */
async function settledBytes(): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  let leastAt = 0
  return until(async () => {
    const bytes = await target.residentBytes()
    if (bytes < least) {
      least = bytes
      leastAt = performance.now()
    }
    return performance.now() - leastAt > 500 && least
  }, 'memory settles')
}

const request = (bytes: () => string | Buffer) => async () => {
  const { connection } = await rawRequest(target.url, bytes())
  connection.cut()
}
const post = (headers: string, body: string) =>
  request(() => `${target.postHead}${headers}\r\n${body}`)
const postWhole = (body: string) => post(`Content-Length: ${Buffer.byteLength(body)}\r\n`, body)

/** Sends what promises more, and goes away. */
const breakOff = (bytes: () => string) => async () => {
  const connection = await RawConnection.open(target.url)
  connection.write(bytes())
  await new Promise((resolve) => setImmediate(resolve))
  connection.cut()
}

const frames =
  (...sent: RawFrame[]) =>
  async () => {
    const socket = await RawWebSocket.open(target.url, target.ada.token)
    socket.send(...sent)
    await socket.closeCode()
    socket.connection.cut()
  }

/** Frames that promise more, and nobody is there any more. */
const breakOffFrames = (bytes: Buffer) => async () => {
  const socket = await RawWebSocket.open(target.url, target.ada.token)
  socket.connection.write(bytes)
  await new Promise((resolve) => setImmediate(resolve))
  socket.connection.cut()
}

const badHandshake = (headers: Record<string, string | undefined>) =>
  request(() => handshake('/ws', { Host: new URL(target.url).host, ...headers }))

const fragment: RawFrame = { opcode: OPCODE.continuation, payload: Buffer.from('x'), fin: false }
const beginning: RawFrame = { ...fragment, opcode: OPCODE.text }
const unfinished = Buffer.concat(
  [beginning, ...Array.from({ length: 2_000 }, () => fragment)].map(encodeFrame),
)
const ping = '{"id":1,"op":"ping"}'

const GROUPS: Record<string, (() => Promise<void>)[]> = {
  'requests that are no HTTP': [
    post('Content-Length: 2\r\nTransfer-Encoding: chunked\r\n', '2\r\n{}\r\n0\r\n\r\n'),
    post('Content-Length: 2\r\nContent-Length: 3\r\n', '{}'),
    request(() => `GET /me HTTP/1.1\r\n${target.headers}X-A : b\r\n\r\n`),
    request(() => `GET /me HTTP/1.1\r\n${target.headers}X-A: b\0\r\n\r\n`),
    request(() => `GET /me HTTP/1.1\r\n${target.headers}Host: b\r\n\r\n`),
    request(() => `GET /%ff%00/../ HTTP/1.1\r\n${target.headers}\r\n`),
  ],
  'too much of it': [
    request(() => `GET /me HTTP/1.1\r\n${target.headers}X-A: ${'a'.repeat(20_000)}\r\n\r\n`),
    request(() => `GET /me HTTP/1.1\r\n${target.headers}${'X-A: b\r\n'.repeat(300)}\r\n`),
    postWhole(' '.repeat(65_537)),
    postWhole(JSON.stringify({ text: 'x'.repeat(16_385) })),
    postWhole(`{"text":${'['.repeat(10_000)}${']'.repeat(10_000)}}`),
  ],
  'bodies that are no requests': [
    ...['', '{', '{"text":NaN}', '[]', '{"text":1}', '{"text":"a","text":"b"}'].map(postWhole),
    ...['{"text":"\\ud800"}', '{"__proto__":{}}', '\ufeff{}', '{"text":" "}'].map(postWhole),
    postWhole(JSON.stringify({ text: 'a', [`${'x'.repeat(60_000)}`]: 1 })),
  ],
  'tokens and places that nobody has': [
    request(() => {
      const token = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64url')
      return `GET /me HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer ${token}\r\n\r\n`
    }),
    request(() => {
      const id = crypto.randomUUID().slice(0, 16)
      return `GET /room/r${id}/messages HTTP/1.1\r\n${target.headers}\r\n`
    }),
  ],
  'requests that are broken off': [
    breakOff(() => `${target.postHead}Content-Length: 60000\r\n\r\n{"text":"${'x'.repeat(30_000)}`),
    breakOff(() => `${target.postHead}Transfer-Encoding: chunked\r\n\r\nffff\r\n{"text":"`),
    breakOff(() => `GET /me HTTP/1.1\r\n${target.headers}X-A: `),
    breakOff(() => `GET ${target.place}/subscribe HTTP/1.1\r\n${target.headers}\r\n`),
    breakOff(() => `GET /messages?after=0&wait=60 HTTP/1.1\r\n${target.headers}\r\n`),
  ],
  'handshakes and frames against the rules': [
    badHandshake({ 'Sec-WebSocket-Key': 'c2hvcnQ=' }),
    badHandshake({ 'Sec-WebSocket-Version': '8' }),
    badHandshake({ Authorization: 'Bearer nonsense' }),
    frames({ ...text(ping), masked: false }),
    frames({ ...text(ping), rsv: 0x40 }),
    frames({ opcode: OPCODE.text, payload: Buffer.from([0xff]) }),
    frames(text('x'.repeat(70_000))),
    frames(text('hello')),
    frames(text(`{"id":1,"op":"ping","x":${'['.repeat(10_000)}`)),
    breakOffFrames(unfinished),
    breakOffFrames(encodeFrame(text(ping.padEnd(60_000))).subarray(0, 40_000)),
  ],
}

test.each(Object.keys(GROUPS))(
  '%s',
  async (name) => {
    const inputs = GROUPS[name]!
    await send(inputs, TIMES_FIRST)
    let before = await settledBytes()
    let grownBytes = 0
    for (let round = 0; round < ROUNDS_MAX; round++) {
      await send(inputs, TIMES)
      await target.isUnharmed()
      const after = await settledBytes()
      grownBytes = after - before
      if (grownBytes < GROWTH_BYTES_MAX) break
      before = after
    }
    expect(grownBytes).toBeLessThan(GROWTH_BYTES_MAX)
  },
  60_000,
)
