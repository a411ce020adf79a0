/** People lose their connection, or the server goes away, and nobody misses anything. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { type Message, Person, type ServerProcess, signUp, within } from '../harness.ts'
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

  async function say(place: string, ...texts: string[]): Promise<Message[]> {
    const said: Message[] = []
    for (const text of texts) said.push(await ada.post(place, text))
    return said
  }

  const seqs = (events: { seq: number }[]) => events.map(({ seq }) => seq)

  /** The ways to come back with a cursor; each gives the seqs it is served, `count` of them. */
  const ways: Record<string, (room: string, after: number, count: number) => Promise<number[]>> = {
    history: async (room, after) => seqs(await bob.list(`/room/${room}`, `?after=${after}`)),
    'a long-poll': async (room, after) => {
      return seqs(await bob.list(`/room/${room}`, `?after=${after}&wait=60`))
    },
    'a WebSocket': async (room, after, count) => {
      const socket = await Socket.of(bob)
      await socket.ask('subscribe', { room, after })
      await socket.events.count(count)
      await socket.frames.find((frame) => frame.caughtUp !== undefined)
      socket.close()
      return seqs(socket.events.all.map(({ event }) => event))
    },
    'an event stream': async (room, after, count) => {
      const stream = await Stream.sse(bob, `/room/${room}/subscribe?after=${after}`)
      const events = await stream.events.count(count)
      stream.close()
      return seqs(events)
    },
    'a stream of lines': async (room, after, count) => {
      const stream = await Stream.open(bob, `/room/${room}/subscribe?after=${after}`)
      const events = await stream.events.count(count)
      stream.close()
      return seqs(events)
    },
  }

  test('whoever is connected on a subscribe path is given what is said from then on', async () => {
    const archive = `/room/${(await ada.createRoom()).id}`
    const long = Array.from({ length: 600 }, () => ada.post(archive, 'x'.repeat(8_000)))
    await Promise.all(long)
    const { id } = await ada.createRoom()
    // Older than what is kept in memory, so that whoever reads from the store has to wait.
    const reads = Array.from({ length: 30 }, () => bob.list(archive, '?after=0&limit=200'))
    const socket = await Socket.of(bob, `/room/${id}/subscribe`)
    await say(`/room/${id}`, 'the first')
    const [first] = await socket.events.count(1)
    expect(first?.event).toMatchObject({ seq: 1, text: 'the first' })
    socket.close()
    // Some may have been sent away: the machine has other things to do.
    await Promise.allSettled(reads)
  })

  test.each(Object.keys(ways))('coming back by %s gives exactly what was missed', async (way) => {
    const { id } = await ada.createRoom()
    const online = await Socket.of(bob, `/room/${id}/subscribe`)
    await online.reply(0)
    await say(`/room/${id}`, 'one', 'two')
    await online.events.count(2)
    const cursor = online.events.all.at(-1)!.event.seq
    online.close()
    await within(online.closed, 'bob has gone')

    await say(`/room/${id}`, 'three', 'four', 'five')

    expect(await ways[way]!(id, cursor, 3)).toEqual([3, 4, 5])
  })

  test('the server restarts: told to come back, and nothing is missed or seen twice', async () => {
    const { id } = await ada.createRoom()
    const place = `/room/${id}`
    const online = await Socket.of(bob)
    const { ok } = await online.ask('subscribe', { room: id })
    await say(place, 'before')
    await online.events.count(1)

    const leaving = server.stop('SIGTERM')
    const { code, reason } = await within(online.closed, 'the socket is closed')
    expect(code).toBe(1012)
    expect(JSON.parse(reason).retryMs).toBeGreaterThan(0)
    expect(await leaving).toBe(0)
    await server.restart()
    // The same people at the address of the new process: their sessions have outlived it.
    ada = new Person(server.url, ada.id, ada.name, ada.token)
    bob = new Person(server.url, bob.id, bob.name, bob.token)

    await say(place, 'while bob was away')
    const again = await Socket.of(bob)
    const cursor = { after: 1, epoch: ok.epoch }
    const told = await again.ask('subscribe', { room: id, ...cursor })
    expect(told.ok).toEqual({ timeline: id, epoch: ok.epoch, head: 2, recovered: true })
    await say(place, 'and now')
    await again.events.count(2)
    const texts = again.events.all.map(({ event }) => event.text)
    expect(texts).toEqual(['while bob was away', 'and now'])
    again.close()
  })

  test('an answer lost on the way: the same key posts once, also after a crash', async () => {
    const { id } = await ada.createRoom()
    const place = `/room/${id}`
    const first = await ada.post(place, 'did this arrive?', 'k1')
    await server.stop('SIGKILL')
    await server.restart()
    ada = new Person(server.url, ada.id, ada.name, ada.token)
    bob = new Person(server.url, bob.id, bob.name, bob.token)
    expect(await ada.post(place, 'did this arrive?', 'k1')).toEqual(first)
    expect(await bob.list(place)).toEqual([first])
  })
})
