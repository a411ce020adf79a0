/**
 * A session's end ends everything that was held open with it, within a second, and nothing else.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Message, type Person, ServerProcess, signIn, signUp, within } from '../harness.ts'
import { Socket, Stream } from '../live.ts'
import { expectSoon, msOf } from '../soon.ts'
import { refusal } from './codes.ts'

/** One of each transport, all following one room. */
class Following {
  readonly sockets: Socket[]
  readonly streams: Stream[]
  readonly polled: Promise<Response>

  private constructor(sockets: Socket[], streams: Stream[], polled: Promise<Response>) {
    this.sockets = sockets
    this.streams = streams
    this.polled = polled
  }

  static async open(person: Person, place: string): Promise<Following> {
    const room = place.split('/')[2]
    const byHeader = await Socket.of(person)
    await byHeader.ask('subscribe', { room })
    const byFrame = await Socket.open(person.url)
    await byFrame.ask('auth', { token: person.token })
    await byFrame.ask('subscribe', { room })
    const onPath = await Socket.of(person, `${place}/subscribe`)
    await onPath.frames.find((frame) => frame.caughtUp !== undefined)
    const streams = [
      await Stream.sse(person, `${place}/subscribe`),
      await Stream.open(person, `${place}/subscribe`),
    ]
    const polled = person.fetch(`${place}/messages?after=0&wait=60`)
    return new Following([byHeader, byFrame, onPath], streams, polled)
  }

  /** Resolves when all of them have ended, each in its own way. */
  async ended(): Promise<void> {
    const closes = await within(
      Promise.all(this.sockets.map((socket) => socket.closed)),
      'the sockets are closed',
    )
    expect(closes).toEqual(Array(3).fill({ code: 4401, reason: 'signed out' }))
    for (const stream of this.streams) await within(stream.ended, 'the stream ends')
    expect(await refusal(this.polled)).toBe('401 not_signed_in')
  }

  /** All of them are given this message. */
  async gets(posted: Message): Promise<void> {
    for (const socket of this.sockets)
      expect((await socket.events.next()).event.seq).toBe(posted.seq)
    for (const stream of this.streams) expect(await stream.events.next()).toEqual(posted)
    expect(await (await this.polled).json()).toEqual([posted])
    for (const one of [...this.sockets, ...this.streams]) one.close()
  }
}

describe('signing out', () => {
  let server: ServerProcess
  let ada: Person
  let place: string

  beforeAll(async () => {
    server = await ServerProcess.start()
    ada = await signUp(server.url)
    place = `/room/${(await ada.createRoom()).id}`
  })

  afterAll(() => server.stopAndForget())

  const ways: [string, (ending: Person, other: Person) => Promise<void>][] = [
    ['DELETE /session', (ending) => ending.signOut()],
    [
      'DELETE /sessions/{id} from another one',
      async (_, other) => {
        const sessions = await other.get<{ id: string; current: boolean }[]>('/sessions')
        const { id } = sessions.find(({ current }) => !current)!
        expect((await other.fetch(`/sessions/${id}`, { method: 'DELETE' })).status).toBe(204)
      },
    ],
  ]

  test.each(ways)('%s ends its connections, not those of the other session', async (_, end) => {
    const ending = async (): Promise<number> => {
      const laptop = await signUp(server.url)
      const phone = await signIn(server.url, laptop.name)
      const room = `/room/${(await ada.createRoom()).id}`
      const onLaptop = await Following.open(laptop, room)
      const onPhone = await Following.open(phone, room)
      const tookMs = await msOf(async () => {
        await end(laptop, phone)
        await onLaptop.ended()
      })
      expect(await refusal(laptop.fetch('/me'))).toBe('401 not_signed_in')
      await onPhone.gets(await ada.post(room, 'are you still there?'))
      return tookMs
    }
    await expectSoon(1_000, 'its connections end', ending)
  })

  test('nothing reaches a session that has ended, however busy the room', async () => {
    const eve = await signUp(server.url)
    const socket = await Socket.of(eve)
    await socket.ask('subscribe', { room: place.split('/')[2] })
    let posting = true
    const busy = (async () => {
      while (posting) await ada.post(place, 'noise')
    })()
    await socket.events.count(5)
    await eve.signOut()
    const seen = socket.events.all.length
    await within(socket.closed, 'the socket is closed')
    const last = socket.events.all.at(-1)!.event.seq
    await ada.post(place, 'after the end')
    posting = false
    await busy
    expect(socket.events.all.at(-1)!.event.seq).toBe(last)
    // At most what was on its way when the session ended.
    expect(socket.events.all.length - seen).toBeLessThan(5)
  })

  test('a token that was signed out opens nothing any more', async () => {
    const eve = await signUp(server.url)
    await eve.signOut()
    expect(await refusal(eve.fetch(`${place}/subscribe`))).toBe('401 not_signed_in')
    expect(await Socket.of(eve).catch(() => 'refused')).toBe('refused')
    const socket = await Socket.open(server.url)
    const reply = await socket.ask('auth', { token: eve.token })
    expect(reply.error).toMatchObject({ status: 401, code: 'not_signed_in' })
    expect((await within(socket.closed, 'it is closed')).code).toBe(4401)
  })
})

describe('a session that goes unused', () => {
  const TTL_MS = 2_000
  let server: ServerProcess

  beforeAll(async () => {
    server = await ServerProcess.start({ sessionTtlMs: TTL_MS })
  })

  afterAll(() => server.stopAndForget())

  test('ends with all of its connections, within a second of its time', async () => {
    const ending = async (): Promise<number> => {
      const eve = await signUp(server.url)
      const place = `/room/${(await eve.createRoom()).id}`
      // The last use is after this moment, and before the connections are open.
      const usedAt = performance.now()
      const following = await Following.open(eve, place)
      const tookMs = await msOf(() => following.ended())
      // Its time is told in whole milliseconds, and of another clock.
      expect(performance.now() - usedAt).toBeGreaterThan(TTL_MS - 10)
      expect(await refusal(eve.fetch('/me'))).toBe('401 not_signed_in')
      const again = await signIn(server.url, eve.name)
      expect(await again.get<unknown[]>('/sessions')).toHaveLength(1)
      return tookMs
    }
    const enoughMs = TTL_MS + 1_000
    await expectSoon(enoughMs, 'its connections end', ending)
  })

  test('goes on for as long as it is used, over HTTP or by frames', async () => {
    const eve = await signUp(server.url)
    const dan = await signUp(server.url)
    const socket = await Socket.of(dan)
    const startedAt = performance.now()
    const expiries: number[] = []
    while (performance.now() - startedAt < 1.5 * TTL_MS) {
      const [session] = await eve.get<{ expiresAt: string }[]>('/sessions')
      expiries.push(Date.parse(session!.expiresAt))
      expect((await socket.ask('ping')).ok).toEqual({})
      // What passes here is the time that the test is about.
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
    expect(expiries.at(-1)! - expiries[0]!).toBeGreaterThan(TTL_MS)
    expect(expiries).toEqual([...expiries].sort((a, b) => a - b))
    expect((await dan.fetch('/me')).status).toBe(200)
    socket.close()
  })
})
