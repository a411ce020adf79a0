/** What two people write to each other nobody else ever sees, wherever they listen. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { chmodSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { refusal } from '../api/codes.ts'
import { type InboxEntry, type Person, ServerProcess, scratchFolder, signUp } from '../harness.ts'
import { Socket, Stream } from '../live.ts'

const SECRET = 'the key is under the mat'

let server: ServerProcess
let ada: Person
let bob: Person
let eve: Person
let room: string

beforeAll(async () => {
  server = await ServerProcess.start({ logLevel: 'trace', heartbeatMs: 1_000 })
  ada = await signUp(server.url)
  bob = await signUp(server.url)
  eve = await signUp(server.url)
  room = (await ada.createRoom()).id
})

afterAll(() => server.stopAndForget())

/** Every place that eve can follow, as a path. */
const places = () => [`/room/${room}`, `/user/${ada.id}`, `/user/${bob.id}`, `/user/${eve.id}`, '']

test('no transport brings it to a third person', async () => {
  const everywhere = await Socket.of(eve)
  for (const place of [
    { room },
    { user: ada.id },
    { user: bob.id },
    { user: eve.id },
    { inbox: true },
  ])
    expect((await everywhere.ask('subscribe', { ...place, after: 0 })).ok).toBeDefined()
  const sockets = [everywhere]
  const streams: Stream[] = []
  for (const place of places()) {
    sockets.push(await Socket.of(eve, `${place}/subscribe?after=0`))
    streams.push(await Stream.sse(eve, `${place}/subscribe?after=0`))
    streams.push(await Stream.open(eve, `${place}/subscribe?after=0`))
  }
  const polls = places().map((place) => eve.get(`${place}/messages?after=0&wait=60`))

  const sent = await ada.post(`/user/${bob.id}`, SECRET, 'k1')
  await bob.post(`/user/${ada.id}`, `${SECRET}, still`)
  // It did arrive where it was meant to: otherwise its absence elsewhere would mean nothing.
  const [entry] = (await bob.get<InboxEntry[]>('/messages')) as [InboxEntry]
  expect(entry.message).toEqual({ ...sent, user: ada.id })

  // Then something for eve at each place; when it has come, anything before it would have, too.
  await ada.post(`/room/${room}`, 'marker')
  for (const person of [ada, bob, eve]) await person.post(`/user/${eve.id}`, 'marker')
  await everywhere.events.count(1 + 3 + 3)
  for (const socket of sockets.slice(1)) await socket.events.count(1)
  for (const stream of streams) await stream.events.count(1)
  await everywhere.frames.find((frame) => frame.heads?.[room] === 1, 'heads are told')
  const heard = JSON.stringify([
    sockets.map((socket) => socket.frames.all),
    streams.map((stream) => stream.raw),
    await Promise.all(polls),
  ])
  expect(heard.split('marker').length).toBeGreaterThan(20)
  expect(heard).not.toContain(SECRET)
  for (const one of [...sockets, ...streams]) one.close()
})

test('no list shows it to a third person', async () => {
  const sent = await ada.post(`/user/${bob.id}`, SECRET, 'k2')
  const paths = places().flatMap((place) => [
    `${place}/messages`,
    `${place}/messages?after=0`,
    `${place}/messages?around=${sent.seq}`,
    `${place}/messages?before=1000&limit=1000`,
  ])
  const lists = ['/rooms', '/users', '/me', '/sessions', `/user/${ada.id}`, `/user/${bob.id}`]
  const seen: string[] = []
  for (const path of [...paths, ...lists]) {
    const response = await eve.fetch(path)
    expect(response.status).toBe(200)
    seen.push(await response.text())
  }
  expect(seen.join('\n')).not.toContain(SECRET)
  // Nor does anything tell how much the two have talked.
  const one = eve.fetch(`/user/${ada.id}/messages/${sent.seq}`)
  expect(await refusal(one)).toBe('404 no_such_message')
})

test('a conversation’s own id opens nothing, even to whoever has guessed it', async () => {
  const bobs = await Socket.of(bob)
  const { timeline } = (await bobs.ask('subscribe', { user: ada.id })).ok
  const inbox = (await bobs.ask('subscribe', { inbox: true })).ok.timeline
  bobs.close()
  const socket = await Socket.of(eve)
  for (const id of [timeline, inbox]) {
    for (const path of [
      `/room/${id}`,
      `/room/${id}/messages`,
      `/room/${id}/messages/1`,
      `/room/${id}/subscribe`,
    ])
      expect(await refusal(eve.fetch(path))).toBe('404 no_such_room')
    expect(await refusal(eve.fetch(`/user/${id}/messages`))).toBe('404 no_such_user')
    const json = { text: 'from an intruder' }
    const posted = eve.fetch(`/room/${id}/messages`, { method: 'POST', json })
    expect(await refusal(posted)).toBe('404 no_such_room')
    for (const [op, fields] of [
      ['subscribe', { room: id, after: 0 }],
      ['subscribe', { user: id, after: 0 }],
      ['post', { room: id, text: 'from an intruder' }],
      ['unsubscribe', { timeline: id }],
    ] as const)
      expect((await socket.ask(op, fields)).error.status).toBe(404)
  }
  const texts = (await bob.list(`/user/${ada.id}`)).map(({ text }) => text)
  expect(texts).not.toContain('from an intruder')
  expect(socket.events.all).toEqual([])
  socket.close()
})

test('somebody else’s idempotency key replays nothing to a third person', async () => {
  const sent = await ada.post(`/user/${bob.id}`, SECRET, 'k3')
  const own = await eve.post(`/user/${bob.id}`, SECRET.toUpperCase(), 'k3')
  expect(own.from.id).toBe(eve.id)
  expect(own).not.toMatchObject({ seq: sent.seq, text: SECRET })
})

test('nobody else on the machine can read the files, whatever the folder allows', async () => {
  const { path, remove } = scratchFolder()
  chmodSync(path, 0o755)
  const open = await ServerProcess.start({}, path)
  const one = await signUp(open.url)
  await one.post(`/user/${one.id}`, SECRET)
  const files = readdirSync(path)
  expect(files).toContain('parley.db-wal')
  for (const file of files)
    expect([file, statSync(join(path, file)).mode & 0o077]).toEqual([file, 0])
  await open.stopAndForget()
  remove()
})

test('the server itself keeps it to itself, in logs and metrics', async () => {
  await ada.post(`/user/${bob.id}`, SECRET)
  const metrics = await (await fetch(`${server.url}/metrics`)).text()
  expect(metrics).not.toContain(SECRET)
  expect(await server.stop()).toBe(0)
  expect(server.errors).toContain('stopping')
  expect(server.errors).not.toContain(SECRET)
})
