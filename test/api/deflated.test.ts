/** Frames of events that come deflated, for those who ask for it in the handshake. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { inflateRawSync } from 'node:zlib'
import { type Person, ServerProcess, signUp } from '../harness.ts'
import { handshake, OPCODE, type RawFrame, RawWebSocket, rawRequest, text } from '../raw.ts'

let server: ServerProcess
let ada: Person

beforeAll(async () => {
  server = await ServerProcess.start()
  ada = await signUp(server.url)
})

afterAll(() => server.stopAndForget())

const ASKED = { 'Sec-WebSocket-Protocol': 'parley.deflate' }

async function agreedProtocol(offered: string | undefined): Promise<string | undefined> {
  const headers = {
    Host: new URL(server.url).host,
    Authorization: `Bearer ${ada.token}`,
    'Sec-WebSocket-Protocol': offered,
  }
  const { response, connection } = await rawRequest(server.url, handshake('/ws', headers))
  connection.cut()
  return response?.headers.get('sec-websocket-protocol')
}

test('the server agrees to the protocol if it is offered, among others, too', async () => {
  expect(await agreedProtocol('parley.deflate')).toBe('parley.deflate')
  expect(await agreedProtocol('another, parley.deflate')).toBe('parley.deflate')
  expect(await agreedProtocol(undefined)).toBeUndefined()
})

/** The next frame that holds events: how it came, and what it says. */
async function nextEvents(socket: RawWebSocket): Promise<{ opcode: number; says: string }> {
  for (;;) {
    const frame: RawFrame = (await socket.next())!
    const says =
      frame.opcode === OPCODE.binary
        ? inflateRawSync(frame.payload).toString()
        : frame.payload.toString()
    if (frame.opcode <= OPCODE.binary && says.includes('"events"'))
      return { opcode: frame.opcode, says }
  }
}

test('long frames come deflated and say what all others hear; short ones stay text', async () => {
  const room = await ada.createRoom()
  const path = `/room/${room.id}/subscribe`
  const packed = await RawWebSocket.open(server.url, ada.token, path, ASKED)
  const plain = await RawWebSocket.open(server.url, ada.token, path)
  for (const socket of [packed, plain]) await socket.next()
  const opcodes: number[] = []
  for (const one of ['hi', `a long story: ${'and then, '.repeat(60)}äöü 😀`]) {
    await ada.post(`/room/${room.id}`, one)
    const [first, second] = [await nextEvents(packed), await nextEvents(plain)]
    expect(first.says).toBe(second.says)
    expect(JSON.parse(first.says).events[0].text).toBe(one)
    expect(second.opcode).toBe(OPCODE.text)
    opcodes.push(first.opcode)
  }
  expect(opcodes).toEqual([OPCODE.text, OPCODE.binary])
  for (const socket of [packed, plain]) socket.connection.cut()
})

test('on /ws it holds for every subscription, backfill included; replies stay text', async () => {
  const room = await ada.createRoom()
  for (let i = 0; i < 20; i++) await ada.post(`/room/${room.id}`, `number ${i}`)
  const socket = await RawWebSocket.open(server.url, ada.token, '/ws', ASKED)
  socket.send(text(JSON.stringify({ id: 1, op: 'subscribe', room: room.id, after: 0 })))
  const reply = (await socket.next())!
  expect(reply.opcode).toBe(OPCODE.text)
  expect(JSON.parse(reply.payload.toString()).re).toBe(1)
  const { opcode, says } = await nextEvents(socket)
  expect(opcode).toBe(OPCODE.binary)
  expect(JSON.parse(says).events).toHaveLength(20)
  socket.connection.cut()
})
