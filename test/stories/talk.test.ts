/** Two people talk: the shortest story there is, over every live transport. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { type Person, type Room, type ServerProcess, signUp } from '../harness.ts'
import { Socket, Stream } from '../live.ts'
import { onEachBackend } from '../services/backends.ts'

await onEachBackend((start) => {
  let server: ServerProcess
  let ada: Person
  let bob: Person

  beforeAll(async () => {
    server = await start()
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
    await direct.reply(0)
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

  test('people meet: one opens a room, others find it by name, all see one talk', async () => {
    const eve = await signUp(server.url)
    const opened = await ada.createRoom('Früh am Morgen')
    const found: Room[] = []
    for (const guest of [bob, eve]) found.push(...(await guest.get<Room[]>('/rooms?name=FRÜH')))
    expect(found.map(({ id }) => id)).toEqual([opened.id, opened.id])
    const place = `/room/${opened.id}`

    // All at once: whatever order it takes is the order for everybody.
    await Promise.all(
      [ada, bob, eve].flatMap((person) =>
        ['Good morning!', 'Coffee?'].map((text) => person.post(place, text)),
      ),
    )

    const histories = await Promise.all([ada, bob, eve].map((person) => person.list(place)))
    expect(histories[0]!.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6])
    expect(histories[1]).toEqual(histories[0]!)
    expect(histories[2]).toEqual(histories[0]!)
    for (const { id } of [ada, bob, eve]) {
      const own = histories[0]!.filter(({ from }) => from.id === id)
      expect(own.map(({ text }) => text).sort()).toEqual(['Coffee?', 'Good morning!'])
    }
    const times = histories[0]!.map(({ at }) => at)
    expect(times).toEqual([...times].sort())
    expect((await eve.get<Room[]>('/rooms')).find(({ id }) => id === opened.id)?.head).toBe(6)
  })
})
