/** Two people talk: the shortest story there is, over every live transport. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { type Person, ServerProcess, signUp } from '../harness.ts'
import { Socket, Stream } from '../live.ts'

let server: ServerProcess
let ada: Person
let bob: Person

beforeAll(async () => {
  server = await ServerProcess.start()
  ada = await signUp(server.url)
  bob = await signUp(server.url)
})

afterAll(() => server.stopAndForget())

test('whoever follows a room sees what others post, without joining', async () => {
  const room = await ada.createRoom()
  const place = `/room/${room.id}`
  const socket = await Socket.of(bob)
  const told = await socket.ask('subscribe', { room: room.id })
  expect(told.ok).toMatchObject({ timeline: room.id, head: 0, recovered: true })
  const direct = await Socket.of(bob, `${place}/subscribe`)
  const lines = await Stream.open(bob, `${place}/subscribe`)
  const sse = await Stream.sse(bob, `${place}/subscribe`)
  expect(lines.response.status).toBe(202)
  expect(sse.response.status).toBe(200)
  const polled = bob.list(place, '?after=0&wait=25')

  const posted = await ada.post(place, 'hello')

  const { room: _, ...shared } = posted
  expect(await socket.events.next()).toEqual({ timeline: room.id, event: shared as never })
  expect((await direct.events.next()).event).toEqual(shared as never)
  expect(await lines.events.next()).toEqual(posted)
  expect(await sse.events.next()).toEqual(posted)
  expect(await polled).toEqual([posted])
  for (const each of [socket, direct, lines, sse]) each.close()
})
