/** The network that can be cut: a story about losing it must not be about a proxy that loses. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'bun:test'
import { type Person, ServerProcess, signUp, until, within } from '../harness.ts'
import { Socket } from '../live.ts'
import { Network } from './proxy.ts'

let server: ServerProcess
let ada: Person
let network: Network

beforeAll(async () => {
  server = await ServerProcess.start()
  ada = await signUp(server.url)
})
afterAll(() => server.stopAndForget())
beforeEach(async () => {
  network = await Network.to(server.url)
})
afterEach(() => network.close())

const connect = () => Socket.open(network.url, '/ws', { authorization: `Bearer ${ada.token}` })

test('what goes through is what was sent, however much it is', async () => {
  const room = await ada.createRoom()
  const text = 'x'.repeat(16_384)
  const socket = await connect()
  const { ok } = await socket.ask('subscribe', { room: room.id })
  expect(ok.head).toBe(0)
  const posts = Array.from({ length: 200 }, () => socket.ask('post', { room: room.id, text }))
  await Promise.all(posts)
  const events = await socket.events.count(200)
  expect(events.map(({ event }) => [event.seq, event.text === text])).toEqual(
    Array.from({ length: 200 }, (_, i) => [i + 1, true]),
  )
  const listed = await fetch(`${network.url}/room/${room.id}/messages?limit=200`, {
    headers: { authorization: `Bearer ${ada.token}` },
  })
  expect(await listed.json()).toBeArrayOfSize(200)
})

test('a cut breaks what is open and refuses what is new, until it is restored', async () => {
  const socket = await connect()
  network.cut()
  await within(socket.closed, 'the socket notices')
  await expect(fetch(`${network.url}/healthz`)).rejects.toThrow()
  network.restore()
  expect((await fetch(`${network.url}/healthz`)).status).toBe(200)
  expect((await (await connect()).ask('ping')).ok).toEqual({})
})

test('in a stall nothing breaks and nothing gets through, in either direction', async () => {
  const socket = await connect()
  expect((await socket.ask('ping')).ok).toEqual({})
  const room = await ada.createRoom()
  await socket.ask('subscribe', { room: room.id })
  network.stall()
  const pong = socket.ask('ping')
  await ada.post(`/room/${room.id}`, 'unheard')
  const late = connect()
  await expect(within(Promise.race([pong, late]), 'something gets through', 200)).rejects.toThrow()
  expect(socket.events.all).toEqual([])
  network.restore()
  expect((await pong).ok).toEqual({})
  expect((await socket.events.next()).event.text).toBe('unheard')
  expect((await (await late).ask('ping')).ok).toEqual({})
})

test('it leads to a server that came back on another port', async () => {
  const other = await ServerProcess.start()
  try {
    network.lead(other.url)
    const socket = Socket.open(network.url, '/ws', { authorization: `Bearer ${ada.token}` })
    await expect(socket).rejects.toThrow()
    network.lead(server.url)
    await until(async () => (await (await connect()).ask('ping')).ok, 'the first one answers')
  } finally {
    await other.stopAndForget()
  }
})
