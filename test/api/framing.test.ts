/** Frames without end that never become a message; and odd framing that is nobody's fault. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import {
  FRAMING_BYTES_FORGIVEN,
  FRAMING_BYTES_MAX,
  type Framed,
  Framing,
  frameBytesOf,
} from '../../src/api/framing.ts'
import { type SocketFiles, socketFiles } from '../../src/api/socket-files.ts'
import { until, within } from '../harness.ts'
import { encodeFrame, handshake, OPCODE, RawConnection, RawWebSocket } from '../raw.ts'
import { expectSoon, msOf } from '../soon.ts'
import { Target } from './unharmed.ts'

/** Sockets are looked at four times in it. */
const HEARTBEAT_MS = 3_000
/** As 15 s are to the default. */
const CUT_MS = 0.75 * HEARTBEAT_MS
/** The most that a frame may have. */
const FRAME_BYTES_MAX = 1_000
const WASTE_BYTES_MAX = FRAME_BYTES_MAX + FRAMING_BYTES_MAX

const unfinished = (opcode: number, text: string) =>
  encodeFrame({ opcode, payload: Buffer.from(text), fin: false })
const repeat = (bytes: Uint8Array, times: number) =>
  Buffer.concat(Array.from({ length: times }, () => bytes))

describe('a server', () => {
  let target: Target

  beforeAll(async () => {
    target = await Target.start({ host: '::', heartbeatMs: HEARTBEAT_MS })
  })
  afterAll(() => target.stop())
  afterEach(() => target.isUnharmed())

  const open = (host = '127.0.0.1') =>
    RawWebSocket.open(`http://${host}:${new URL(target.url).port}`, target.ada.token)

  const pong = (socket: RawWebSocket) =>
    socket.send({ opcode: OPCODE.pong, payload: Buffer.from('') })

  /** Four looks lie between two pings. */
  async function twoPings(socket: RawWebSocket): Promise<void> {
    for (let pings = 0; pings < 2; ) {
      const frame = await socket.next(2 * HEARTBEAT_MS)
      if (frame?.opcode !== OPCODE.ping) throw new Error(`closed, or told ${frame?.payload}`)
      pings += 1
      pong(socket)
    }
  }

  /** Sends a message that never ends, and resolves with the code that it is closed with. */
  async function sendEndlessly(host?: string): Promise<number | undefined> {
    const { connection } = await open(host)
    connection.write(unfinished(OPCODE.text, '{'))
    connection.write(repeat(unfinished(OPCODE.continuation, 'x'), 60_000))
    const code = await RawWebSocket.over(connection).closeCode()
    connection.cut()
    return code
  }

  test.concurrent.each(['127.0.0.1', '[::1]'])(
    'cuts 60,000 fragments of one byte that never end, from %s, within 15 s',
    async (host) => {
      const before = await target.residentBytes()
      const cutting = async () => expect(await sendEndlessly(host)).toBe(1008)
      await expectSoon(CUT_MS, 'it is cut', () => msOf(cutting))
      expect((await target.residentBytes()) - before).toBeLessThan(32 << 20)
    },
  )

  test('cuts who has the file of somebody that has left', async () => {
    const before = await Promise.all(Array.from({ length: 20 }, () => open()))
    for (const socket of before) {
      socket.send({ opcode: OPCODE.close, payload: Buffer.from([0x03, 0xe8]) })
      expect(await socket.closeCode()).toBe(1000)
      await within(socket.connection.closed, 'it has left')
    }
    expect(await sendEndlessly()).toBe(1008)
  })

  test.concurrent('cuts empty fragments without end, though every ping is answered', async () => {
    const socket = await open()
    socket.connection.write(unfinished(OPCODE.text, ''))
    const many = repeat(unfinished(OPCODE.continuation, ''), 1_000)
    const sending = setInterval(() => socket.connection.write(many), 20)
    try {
      let frame = await socket.next()
      for (; frame?.opcode === OPCODE.ping; frame = await socket.next()) pong(socket)
      expect(frame?.payload.readUInt16BE(0)).toBe(1008)
    } finally {
      clearInterval(sending)
      socket.connection.cut()
    }
  })

  test.concurrent('keeps who used the connection for 500 kB of requests before', async () => {
    const connection = await RawConnection.open(`http://127.0.0.1:${new URL(target.url).port}`)
    const headers = { Host: 'x', Authorization: `Bearer ${target.ada.token}` }
    const request = `GET /healthz HTTP/1.1\r\nHost: x\r\nX-Filler: ${'x'.repeat(5_000)}\r\n\r\n`
    for (let n = 0; n < 100; n++) {
      connection.write(request)
      expect((await connection.response())?.status).toBe(200)
    }
    connection.write(handshake('/ws', headers))
    expect((await connection.response())?.status).toBe(101)
    await twoPings(RawWebSocket.over(connection))
    connection.cut()
  }, 30_000)

  test.concurrent('keeps who sends long messages, of whatever letters, in fragments', async () => {
    const socket = await open()
    for (const letter of ['x', 'ß', '語', '😀'])
      for (let n = 0; n < 10; n++) {
        socket.connection.write(unfinished(OPCODE.text, '{"id":1,"op":"'))
        socket.connection.write(unfinished(OPCODE.continuation, letter.repeat(15_000)))
        for (let part = 0; part < 20; part++)
          socket.connection.write(unfinished(OPCODE.continuation, letter.repeat(10)))
        socket.send({ opcode: OPCODE.continuation, payload: Buffer.from('"}') })
      }
    for (let replies = 0; replies < 40; ) {
      const frame = await socket.next()
      if (frame?.opcode === OPCODE.ping) pong(socket)
      else {
        expect(frame?.payload.toString()).toContain('unknown_op')
        replies += 1
      }
    }
    await twoPings(socket)
    socket.connection.cut()
  }, 30_000)
})

describe('what went into frames', () => {
  const peer = { address: '127.0.0.1', port: 40_000 }

  class Kernel {
    looks = 0
    received = 5_000
    unread = 0
    /** Of the files that are sockets, by their number, the port at the other end. */
    readonly ports = new Map<number, number>([[7, peer.port]])
    asked = 0
    readonly files = {
      receivedBytes: () => {
        this.looks += 1
        return this.received
      },
      unreadBytes: () => this.unread,
      hasPeer: (file: number, { port }: { port: number }) => {
        this.asked += 1
        return this.ports.get(file) === port
      },
    } as Partial<SocketFiles> as SocketFiles

    async looked(times: number): Promise<void> {
      const enough = this.looks + times
      await until(() => this.looks >= enough, `${times} looks`)
    }
  }

  class Peer implements Framed {
    framedBytes = 0
    ended = false
    overframed(): void {
      this.ended = true
    }
  }

  const made: Framing<Peer>[] = []
  afterEach(() => {
    for (const framing of made.splice(0)) framing.stop()
  })

  function watch(kernel: Kernel) {
    const framing = new Framing<Peer>({
      ...{ frameBytesMax: FRAME_BYTES_MAX, heartbeatMs: 80, files: kernel.files },
    })
    made.push(framing)
    const socket = new Peer()
    return { framing, socket, file: framing.add(socket, peer) }
  }

  test('as much as is tolerated is; a byte more is not', async () => {
    for (const [more, ended] of [
      [0, false],
      [1, true],
    ] as const) {
      const kernel = new Kernel()
      const { socket } = watch(kernel)
      kernel.received += WASTE_BYTES_MAX + more
      await kernel.looked(3)
      expect(socket.ended).toBe(ended)
    }
  })

  test('what the kernel still holds is no waste', async () => {
    const kernel = new Kernel()
    const { socket } = watch(kernel)
    kernel.received += WASTE_BYTES_MAX + 1
    kernel.unread = 1
    await kernel.looked(3)
    expect(socket.ended).toBe(false)
  })

  test('a little is forgiven with each look; more adds up', async () => {
    for (const [each, ended] of [
      [FRAMING_BYTES_FORGIVEN, false],
      [2 * FRAMING_BYTES_FORGIVEN, true],
    ] as const) {
      const kernel = new Kernel()
      const { socket } = watch(kernel)
      kernel.files.receivedBytes = () => {
        kernel.looks += 1
        kernel.received += each
        return kernel.received
      }
      await kernel.looked(20)
      expect(socket.ended).toBe(ended)
    }
  })

  test('messages that were counted for too much are no credit', async () => {
    const kernel = new Kernel()
    const { socket } = watch(kernel)
    socket.framedBytes += frameBytesOf('x'.repeat(1_000_000))
    kernel.received += 1_000_020
    await kernel.looked(2)
    kernel.received += WASTE_BYTES_MAX + 1
    await kernel.looked(2)
    expect(socket.ended).toBe(true)
  })

  test('who has left is not looked at, nor whoever has the number after', async () => {
    const kernel = new Kernel()
    const { framing, socket, file } = watch(kernel)
    expect(file).toBe(7)
    framing.remove(file!)
    const other = new Peer()
    expect(framing.add(other, peer)).toBe(7)
    kernel.received += WASTE_BYTES_MAX + 1
    await kernel.looked(2)
    expect({ socket: socket.ended, other: other.ended }).toEqual({ socket: false, other: true })
  })

  test('a file is found above those of others, and below those of ours', () => {
    const kernel = new Kernel()
    const { framing } = watch(kernel)
    for (let port = 1; port <= 3_000; port++) {
      kernel.ports.set(100 + port, port)
      expect(framing.add(new Peer(), { ...peer, port })).toBe(100 + port)
    }
    // Mostly it is the next one.
    expect(kernel.asked).toBeLessThan(3_200)
    kernel.ports.set(5, 9_999)
    expect(framing.add(new Peer(), { ...peer, port: 9_999 })).toBe(5)
    kernel.asked = 0
    expect(framing.add(new Peer(), { ...peer, port: 9_998 })).toBe(undefined)
    expect(kernel.asked).toBe(1_024)
  })
})

test('Linux knows the sockets of this process', () => {
  expect(socketFiles() === undefined).toBe(process.platform !== 'linux')
})
