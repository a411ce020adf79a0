/** WebSockets gone wrong: handshakes and frames that break the rules, made by hand. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { until } from '../harness.ts'
import {
  encodeFrame,
  handshake,
  OPCODE,
  type RawFrame,
  RawWebSocket,
  rawRequest,
  text,
} from '../raw.ts'
import { expectHarmless, Target } from './unharmed.ts'

let target: Target

beforeAll(async () => {
  target = await Target.start()
})

afterAll(() => target.stop())
afterEach(() => target.isUnharmed())

describe('handshakes', () => {
  const paths: [string, () => string][] = [
    ['/ws', () => '/ws'],
    ['/room/{roomId}/subscribe', () => `${target.place}/subscribe`],
    ['/user/{userId}/subscribe', () => `/user/${target.ada.id}/subscribe`],
    ['/subscribe', () => '/subscribe'],
  ]

  async function shake(
    path: string,
    headers: Record<string, string | undefined>,
    method?: string,
  ): Promise<number | undefined> {
    const { host } = new URL(target.url)
    const authorization = `Bearer ${target.ada.token}`
    const all = { Host: host, Authorization: authorization, ...headers }
    const { response, connection } = await rawRequest(target.url, handshake(path, all, method))
    connection.cut()
    expectHarmless(response!.body)
    return response?.status
  }

  test.each(paths)('%s', async (_, pathOf) => {
    const path = pathOf()
    expect(await shake(path, {})).toBe(101)
    expect(await shake(path, { 'Sec-WebSocket-Key': undefined })).toBe(400)
    expect(await shake(path, { 'Sec-WebSocket-Key': '' })).toBe(400)
    expect(await shake(path, { 'Sec-WebSocket-Key': 'c2hvcnQ=' })).toBe(400)
    expect(await shake(path, { 'Sec-WebSocket-Key': '!'.repeat(24) })).toBe(400)
    expect(await shake(path, { 'Sec-WebSocket-Version': '8' })).toBe(426)
    expect(await shake(path, {}, 'POST')).toBe(405)
    expect(await shake(path, { Authorization: 'Bearer nonsense' })).toBe(401)
  })

  test('426 names the version that is spoken, as a problem', async () => {
    const { host } = new URL(target.url)
    for (const version of ['8', '', '13, 8', undefined]) {
      const authorization = `Bearer ${target.ada.token}`
      const headers = { Host: host, Authorization: authorization, 'Sec-WebSocket-Version': version }
      for (const path of ['/ws', `${target.place}/subscribe`]) {
        const { response, connection } = await rawRequest(target.url, handshake(path, headers))
        connection.cut()
        expect(response?.status).toBe(426)
        expect(response?.headers.get('sec-websocket-version')).toBe('13')
        expect(JSON.parse(response!.body).code).toBe('upgrade_required')
      }
    }
  })

  test('/ws without an upgrade: 426; elsewhere: 404', async () => {
    expect((await target.ada.fetch('/ws')).status).toBe(426)
    expect(await shake('/nowhere', {})).toBe(404)
    expect(await shake(`/room/r${'x'.repeat(16)}/subscribe`, {})).toBe(404)
  })
})

const frame = (opcode: number, payload: string | number[] = '', more = {}): RawFrame => ({
  opcode,
  payload: Buffer.from(payload as string),
  ...more,
})
const PING = '{"id":1,"op":"ping"}'
const unfinished = { fin: false }

describe.each<[number, [string, () => RawFrame[]][]]>([
  [
    1002,
    [
      ['an unmasked frame', () => [frame(OPCODE.text, PING, { masked: false })]],
      ['RSV1', () => [frame(OPCODE.text, PING, { rsv: 0x40 })]],
      ['RSV2', () => [frame(OPCODE.text, PING, { rsv: 0x20 })]],
      ['RSV3', () => [frame(OPCODE.text, PING, { rsv: 0x10 })]],
      ['opcode 3', () => [frame(3, PING)]],
      ['opcode 7', () => [frame(7, PING)]],
      ['opcode 11', () => [frame(11)]],
      ['opcode 15', () => [frame(15)]],
      ['a continuation first', () => [frame(OPCODE.continuation, PING)]],
      ['a text within a text', () => [frame(OPCODE.text, '{', unfinished), text(PING)]],
      ['a ping of 126 bytes', () => [frame(OPCODE.ping, 'x'.repeat(126))]],
      ['a fragmented ping', () => [frame(OPCODE.ping, 'x', unfinished)]],
      ['a fragmented close', () => [frame(OPCODE.close, '', unfinished)]],
      ['a close of one byte', () => [frame(OPCODE.close, [3])]],
      ['a close with code 1005', () => [frame(OPCODE.close, [3, 0xed])]],
      ['a close with code 999', () => [frame(OPCODE.close, [3, 0xe7])]],
    ],
  ],
  [
    1007,
    [
      ['invalid UTF-8 in text', () => [frame(OPCODE.text, [0x7b, 0xff, 0x7d])]],
      ['an overlong encoding', () => [frame(OPCODE.text, [0xc0, 0xaf])]],
      ['an encoded surrogate', () => [frame(OPCODE.text, [0xed, 0xa0, 0x80])]],
      [
        'broken across two fragments',
        () => [frame(OPCODE.text, [0xc3], unfinished), frame(OPCODE.continuation, [0x28])],
      ],
      ['invalid UTF-8 in a close reason', () => [frame(OPCODE.close, [3, 0xe8, 0xff, 0xfe])]],
    ],
  ],
  [
    1009,
    [
      ['70 kB', () => [text('x'.repeat(70_000))]],
      ['65,537 bytes', () => [text(PING.padEnd(65_537))]],
      [
        'two fragments of 40 kB',
        () => [
          frame(OPCODE.text, 'x'.repeat(40_000), unfinished),
          frame(OPCODE.continuation, 'x'.repeat(40_000)),
        ],
      ],
    ],
  ],
  [
    4400,
    [
      ['a binary frame', () => [frame(OPCODE.binary, PING)]],
      ['no JSON', () => [text('hello')]],
      ['cut off', () => [text(PING.slice(0, -1))]],
      ['nothing', () => [text('')]],
      ['an array', () => [text(`[${PING}]`)]],
      ['no id', () => [text('{"op":"ping"}')]],
      ['an id that is text', () => [text('{"id":"1","op":"ping"}')]],
      ['an id below 0', () => [text('{"id":-1,"op":"ping"}')]],
      ['no op', () => [text('{"id":1}')]],
      ['a key twice', () => [text('{"id":1,"op":"ping","id":2}')]],
      ['a byte order mark', () => [text(`\ufeff${PING}`)]],
      ['half a surrogate pair', () => [text('{"id":1,"op":"ping","x":"\\udead"}')]],
      ['ten thousand levels', () => [text(`{"id":1,"op":"ping","x":${'['.repeat(10_000)}`)]],
      ['__proto__ as its own id', () => [text('{"__proto__":{"id":1,"op":"ping"}}')]],
    ],
  ],
])('closed with %i', (code, cases) => {
  test.each(cases)('%s', async (_, frames) => {
    const socket = await RawWebSocket.open(target.url, target.ada.token)
    socket.send(...frames())
    expect(await socket.closeCode()).toBe(code)
    socket.connection.cut()
  })
})

describe('at the edge, all is well', () => {
  async function replyTo(...frames: RawFrame[]): Promise<string> {
    const socket = await RawWebSocket.open(target.url, target.ada.token)
    socket.send(...frames)
    const reply = await socket.next()
    socket.connection.cut()
    return reply!.payload.toString()
  }

  test('a frame of 65,536 bytes', async () => {
    expect(await replyTo(text(PING.padEnd(65_536)))).toBe('{"re":1,"ok":{}}')
  })

  test('a length told in more bits than it takes', async () => {
    for (const lengthBits of [16, 64] as const)
      expect(await replyTo({ ...text(PING), lengthBits })).toBe('{"re":1,"ok":{}}')
  })

  test('a ping of 125 bytes is answered with the same', async () => {
    expect(await replyTo(frame(OPCODE.ping, 'x'.repeat(125)))).toBe('x'.repeat(125))
  })

  test('a message in many fragments, with a ping between them', async () => {
    const bytes = [...Buffer.from('{"id":1,"op":"ping"}')]
    const [first, ...rest] = bytes.map((byte) => [byte])
    const fragments = rest.map((one, i) =>
      frame(OPCODE.continuation, one, { fin: i === rest.length - 1 }),
    )
    const socket = await RawWebSocket.open(target.url, target.ada.token)
    const ping = frame(OPCODE.ping, 'between')
    socket.send(frame(OPCODE.text, first, unfinished), ping, ...fragments)
    expect(await socket.next()).toMatchObject({ opcode: OPCODE.pong })
    expect((await socket.next())!.payload.toString()).toBe('{"re":1,"ok":{}}')
    socket.connection.cut()
  })

  test('a close is answered with a close', async () => {
    const socket = await RawWebSocket.open(target.url, target.ada.token)
    socket.send(frame(OPCODE.close, [3, 0xe8]))
    expect(await socket.closeCode()).toBe(1000)
    socket.connection.cut()
  })

  test('cut in the middle of a frame: nobody is left waiting', async () => {
    const socket = await RawWebSocket.open(target.url, target.ada.token)
    socket.connection.write(encodeFrame(text(PING.padEnd(1_000))).subarray(0, 500))
    socket.connection.cut()
    await until(async () => {
      const metrics = await (await fetch(`${target.url}/metrics`)).text()
      return metrics.includes('parley_connections{transport="websocket"} 0')
    }, 'the connection is forgotten')
  })
})

test.each(['0000000000010001', '0000000100000000', '7fffffffffffffff', 'ffffffffffffffff'])(
  'a length of 0x%s is refused before a byte of it: 1009',
  async (length) => {
    const socket = await RawWebSocket.open(target.url, target.ada.token)
    socket.connection.write(Buffer.from(`81ff${length}00000000`, 'hex'))
    expect(await socket.closeCode()).toBe(1009)
    socket.connection.cut()
  },
)

test('60,000 fragments that never end are held within the size of a frame', async () => {
  const before = await target.residentBytes()
  const socket = await RawWebSocket.open(target.url, target.ada.token)
  const one = encodeFrame(frame(OPCODE.continuation, 'x', unfinished))
  socket.send(frame(OPCODE.text, '{', unfinished))
  socket.connection.write(Buffer.concat(Array.from({ length: 60_000 }, () => one)))
  // They are read to the end: what comes after them is refused for being too much in all.
  socket.connection.write(Buffer.concat(Array.from({ length: 5_536 }, () => one)))
  expect(await socket.closeCode()).toBe(1009)
  socket.connection.cut()
  expect((await target.residentBytes()) - before).toBeLessThan(32 << 20)
})

test('a message that never ends is no sign of life: whoever answers no ping meanwhile is cut', async () => {
  const heartbeatMs = 300
  const hasty = await Target.start({ heartbeatMs })
  try {
    const { connection } = await RawWebSocket.open(hasty.url, hasty.ada.token)
    connection.write(encodeFrame(frame(OPCODE.text, '{', unfinished)))
    const one = encodeFrame(frame(OPCODE.continuation, ' ', unfinished))
    // For ever, if each were a sign of life.
    await until(() => {
      connection.write(one)
      return connection.isClosed
    }, 'it is cut')
  } finally {
    await hasty.stop()
  }
})
