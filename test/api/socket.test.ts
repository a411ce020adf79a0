/**
 * The WebSocket's protocol: signing in, operations and their order, errors, and what comes unasked.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { newName, type Person, ServerProcess, signUp, within } from '../harness.ts'
import { Socket } from '../live.ts'

let server: ServerProcess
let ada: Person
let bob: Person

beforeAll(async () => {
  server = await ServerProcess.start()
  ada = await signUp(server.url)
  bob = await signUp(server.url)
})

afterAll(() => server.stopAndForget())

async function newRoom(texts: string[] = []): Promise<string> {
  const { id } = await ada.createRoom()
  for (const text of texts) await ada.post(`/room/${id}`, text)
  return id
}

describe('signing in', () => {
  test('by a frame: who one is, and then everything', async () => {
    const socket = await Socket.open(server.url)
    const user = await ada.get<object>('/me')
    expect(await socket.ask('auth', { token: ada.token })).toEqual({ re: 1, ok: { user } })
    expect(await socket.ask('ping')).toEqual({ re: 2, ok: {} })
    const again = await socket.ask('auth', { token: bob.token })
    expect(again.error).toMatchObject({ status: 409, code: 'already_signed_in' })
    socket.close()
  })

  test('frames sent right behind it wait for it', async () => {
    const room = await newRoom()
    const socket = await Socket.open(server.url)
    const auth = socket.ask('auth', { token: ada.token })
    const posted = socket.ask('post', { room, text: 'quick' })
    expect((await auth).ok).toBeDefined()
    expect((await posted).ok.seq).toBe(1)
    socket.close()
  })

  test('a token that is none: an error reply, then 4401', async () => {
    const socket = await Socket.open(server.url)
    const reply = await socket.ask('auth', { token: 'A'.repeat(43) })
    expect(reply.error).toMatchObject({ status: 401, code: 'not_signed_in' })
    expect(await within(socket.closed, 'it is closed')).toEqual({
      code: 4401,
      reason: 'not signed in',
    })
  })

  test.each(['ping', 'subscribe', 'unsubscribe', 'post', 'nonsense'])(
    '%s before it: 4401, and nothing is done',
    async (op) => {
      const room = await newRoom()
      const socket = await Socket.open(server.url)
      socket.send({ id: 1, op, room, text: 'unsigned', timeline: room })
      expect((await within(socket.closed, 'it is closed')).code).toBe(4401)
      expect(await ada.list(`/room/${room}`)).toEqual([])
    },
  )

  test('a frame that is no auth frame is told so, and may be tried again', async () => {
    const socket = await Socket.open(server.url)
    const reply = await socket.ask('auth', { token: ada.token, admin: true })
    expect(reply.error).toMatchObject({ status: 400, code: 'unknown_field', field: 'admin' })
    expect((await socket.ask('auth', {})).error.code).toBe('token_missing')
    expect((await socket.ask('auth', { token: ada.token })).ok).toBeDefined()
    socket.close()
  })
})

describe('posting', () => {
  test('the reply says where the message stands; a replay says so', async () => {
    const room = await newRoom(['first'])
    const socket = await Socket.of(ada)
    const key = newName('key')
    const { re, ok } = await socket.ask('post', { room, text: 'second', key })
    expect(re).toBe(1)
    const [, message] = await ada.list(`/room/${room}`)
    expect(ok).toEqual({ timeline: room, seq: 2, at: message!.at })
    const again = await socket.ask('post', { room, text: 'second', key })
    expect(again.ok).toEqual({ ...ok, replayed: true })
    const other = await socket.ask('post', { room, text: 'third', key })
    expect(other.error).toMatchObject({ status: 422, code: 'key_reused' })
    // A key is one whichever way it comes.
    expect(await ada.post(`/room/${room}`, 'second', key)).toEqual(message!)
    expect(await ada.list(`/room/${room}`)).toHaveLength(2)
    socket.close()
  })

  test('to a person: the timeline is that of the two', async () => {
    const [adas, bobs] = [await Socket.of(ada), await Socket.of(bob)]
    const { ok } = await adas.ask('post', { user: bob.id, text: 'for you' })
    const told = await bobs.ask('subscribe', { user: ada.id, after: ok.seq - 1 })
    expect(told.ok.timeline).toBe(ok.timeline)
    const { event } = await bobs.events.next()
    expect(event).toMatchObject({ seq: ok.seq, text: 'for you', from: { id: ada.id } })
    for (const one of [adas, bobs]) one.close()
  })
})

describe('errors are replies, and the connection goes on', () => {
  test.each<[string, object, number, string]>([
    ['nonsense', {}, 400, 'unknown_op'],
    ['ping', { room: 'r' }, 400, 'unknown_field'],
    ['subscribe', {}, 400, 'target_unclear'],
    ['subscribe', { room: 'r', user: 'u' }, 400, 'target_unclear'],
    ['subscribe', { room: 'r', inbox: true }, 400, 'target_unclear'],
    ['subscribe', { room: 1 }, 400, 'room_wrong_type'],
    ['subscribe', { room: `r${'x'.repeat(16)}` }, 404, 'no_such_room'],
    ['subscribe', { user: 'nobody' }, 404, 'no_such_user'],
    ['subscribe', { inbox: true, after: -1 }, 400, 'after_out_of_range'],
    ['unsubscribe', { timeline: 'nothing' }, 404, 'not_subscribed'],
    ['unsubscribe', {}, 400, 'timeline_missing'],
    ['post', { text: 'a' }, 400, 'target_unclear'],
    ['post', { room: 'r', user: 'u', text: 'a' }, 400, 'target_unclear'],
    ['post', { inbox: true, text: 'a' }, 400, 'unknown_field'],
    ['post', { room: 'nowhere', text: 'a' }, 404, 'no_such_room'],
    ['post', { room: 'nowhere' }, 400, 'text_missing'],
  ])('%s %o: %i %s', async (op, fields, status, code) => {
    const socket = await Socket.of(ada)
    const { re, error } = await socket.ask(op, fields)
    expect(re).toBe(1)
    expect(error).toMatchObject({ status, code })
    expect(error.title).toBeString()
    expect((await socket.ask('ping')).ok).toEqual({})
    socket.close()
  })

  test.each([
    ['blank', ' \u200b', 422, 'text_blank'],
    ['too long', 'a'.repeat(16_385), 413, 'text_too_long'],
    ['with NUL', 'a\0', 400, 'text_invalid'],
  ])('a text that is %s', async (_, text, status, code) => {
    const room = await newRoom()
    const socket = await Socket.of(ada)
    expect((await socket.ask('post', { room, text })).error).toMatchObject({ status, code })
    expect((await socket.ask('post', { room, text: 'a'.repeat(16_384) })).ok.seq).toBe(1)
    socket.close()
  })

  test('subscribing twice to one timeline', async () => {
    const room = await newRoom()
    const socket = await Socket.of(ada)
    expect((await socket.ask('subscribe', { room })).ok).toBeDefined()
    const again = await socket.ask('subscribe', { room, after: 0 })
    expect(again.error).toMatchObject({ status: 409, code: 'already_subscribed' })
    await ada.post(`/room/${room}`, 'once')
    await socket.events.next()
    expect((await socket.ask('ping')).ok).toEqual({})
    expect(socket.events.all).toHaveLength(1)
    socket.close()
  })
})

describe('order', () => {
  test('operations sent at once take effect in the order sent', async () => {
    const room = await newRoom()
    const socket = await Socket.of(ada)
    const expected: [string, object][] = [
      ['post', { room, text: 'before' }],
      ['subscribe', { room }],
      ['post', { room, text: 'during' }],
      ['subscribe', { room }],
      ['unsubscribe', { timeline: room }],
      ['unsubscribe', { timeline: room }],
      ['post', { room, text: 'after' }],
      ['subscribe', { room, after: 2 }],
    ]
    const replies = await Promise.all(expected.map(([op, fields]) => socket.ask(op, fields)))
    expect(replies.map(({ ok, error }) => error?.code ?? ok.seq ?? ok.head ?? 'ok')).toEqual([
      1,
      1,
      2,
      'already_subscribed',
      'ok',
      'not_subscribed',
      3,
      3,
    ])
    const answered = socket.frames.all.flatMap(({ re }) => (re === undefined ? [] : [re]))
    expect(answered).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect((await socket.events.find(({ event }) => event.seq === 3)).event.text).toBe('after')
    expect(socket.events.all.map(({ event }) => event.text)).not.toContain('before')
    socket.close()
  })

  test('a thousand posts in flight stand in the order sent, in rooms not in memory', async () => {
    const rooms = await Promise.all([1, 2, 3, 4].map(() => newRoom()))
    // A fresh process has none of the rooms in memory, so their look-ups take a while.
    await server.stop()
    await server.restart()
    const { token } = ada
    const socket = await Socket.open(server.url)
    void socket.ask('auth', { token })
    const posts = Array.from({ length: 1_000 }, (_, i) =>
      socket.ask('post', { room: rooms[i % rooms.length], text: `message ${i}` }),
    )
    const replies = await Promise.all(posts)
    expect(replies.filter(({ ok }) => ok === undefined)).toEqual([])
    for (const [r, room] of rooms.entries()) {
      const headers = { authorization: `Bearer ${token}` }
      const path = `${server.url}/room/${room}/messages?limit=1000`
      const listed = (await (await fetch(path, { headers })).json()) as { text: string }[]
      const numbers = Array.from({ length: 250 }, (_, i) => `message ${i * rooms.length + r}`)
      expect(listed.map(({ text }) => text)).toEqual(numbers)
    }
    socket.close()
    ada = new (ada.constructor as typeof Person)(server.url, ada.id, ada.name, token)
    bob = new (bob.constructor as typeof Person)(server.url, bob.id, bob.name, bob.token)
  })
})

describe('following', () => {
  test('the backfill, once the word that it is over, then what is new', async () => {
    const room = await newRoom(['one', 'two', 'three'])
    const socket = await Socket.of(bob)
    const { ok } = await socket.ask('subscribe', { room, after: 1 })
    expect(ok).toEqual({ timeline: room, epoch: expect.any(String), head: 3, recovered: true })
    const first = await socket.frames.find((frame) => frame.events !== undefined)
    expect(first.timeline).toBe(room)
    expect(Object.keys(first)).toEqual(['timeline', 'events'])
    const caughtUp = await socket.frames.find((frame) => frame.caughtUp !== undefined)
    expect(caughtUp).toEqual({ timeline: room, caughtUp: 3 })
    for (const text of ['four', 'five']) await ada.post(`/room/${room}`, text)
    await socket.events.count(4)
    const texts = socket.events.all.map(({ event }) => event.text)
    expect(texts).toEqual(['two', 'three', 'four', 'five'])
    await socket.ask('ping')
    const ends = socket.frames.all.filter((frame) => frame.caughtUp !== undefined)
    expect(ends).toEqual([caughtUp])
    socket.close()
  })

  test('without a cursor it starts at the head', async () => {
    const room = await newRoom(['one', 'two'])
    const socket = await Socket.of(bob)
    expect((await socket.ask('subscribe', { room })).ok).toMatchObject({ head: 2, recovered: true })
    expect(await socket.frames.find((frame) => 'caughtUp' in frame)).toMatchObject({ caughtUp: 2 })
    const posted = await ada.post(`/room/${room}`, 'three')
    expect((await socket.events.next()).event.seq).toBe(posted.seq)
    expect(socket.events.all).toHaveLength(1)
    socket.close()
  })

  test('after unsubscribing nothing more comes of it, and it can be taken up again', async () => {
    const [quiet, marker] = [await newRoom(), await newRoom()]
    const socket = await Socket.of(bob)
    for (const room of [quiet, marker]) await socket.ask('subscribe', { room })
    await ada.post(`/room/${quiet}`, 'heard')
    expect((await socket.events.next()).event.text).toBe('heard')
    expect((await socket.ask('unsubscribe', { timeline: quiet })).ok).toEqual({})
    await ada.post(`/room/${quiet}`, 'not heard')
    await ada.post(`/room/${marker}`, 'later')
    expect((await socket.events.next()).timeline).toBe(marker)
    await socket.ask('ping')
    expect(socket.events.all.map(({ event }) => event.text)).toEqual(['heard', 'later'])
    await socket.ask('subscribe', { room: quiet, after: 1 })
    expect((await socket.events.next()).event.text).toBe('not heard')
    socket.close()
  })

  test('rooms, people and the inbox on one connection, each under its own name', async () => {
    const room = await newRoom()
    const eve = await signUp(server.url)
    const socket = await Socket.of(eve)
    const timelines: string[] = []
    for (const place of [{ room }, { user: ada.id }, { inbox: true }])
      timelines.push((await socket.ask('subscribe', place)).ok.timeline)
    expect(new Set(timelines).size).toBe(3)
    await ada.post(`/room/${room}`, 'to all')
    const sent = await ada.post(`/user/${eve.id}`, 'to eve')
    await socket.events.count(3)
    const arrived = Object.fromEntries(
      socket.events.all.map(({ timeline, event }) => [timelines.indexOf(timeline), event]),
    )
    const { user: _, ...shared } = sent
    expect(arrived[0]).toMatchObject({ seq: 1, text: 'to all' })
    // The envelope names the timeline once; the events do not repeat it.
    expect(arrived[0]).not.toHaveProperty('room')
    expect(arrived[1]).toEqual(shared as never)
    const message = { ...shared, user: ada.id }
    expect(arrived[2]).toEqual({ seq: 1, type: 'direct', message } as never)
    socket.close()
  })
})

describe('a cursor that cannot be honoured', () => {
  test.each<[string, object]>([
    ['of another epoch', { after: 1, epoch: 'another' }],
    ['beyond the head', { after: 4 }],
    ['far beyond it', { after: Number.MAX_SAFE_INTEGER }],
  ])('%s: recovered false, no backfill, then what is new', async (_, cursor) => {
    const room = await newRoom(['one', 'two', 'three'])
    const socket = await Socket.of(bob)
    const { ok } = await socket.ask('subscribe', { room, ...cursor })
    expect(ok).toMatchObject({ head: 3, recovered: false })
    const posted = await ada.post(`/room/${room}`, 'four')
    const { event } = await socket.events.next()
    expect(event.seq).toBe(posted.seq)
    expect(socket.events.all).toHaveLength(1)
    socket.close()
  })

  test.each<[string, object]>([
    ['at the head', { after: 3 }],
    ['of this epoch', { after: 2, epoch: 'this' }],
    ['of the very beginning', { after: 0 }],
  ])('but one %s is', async (_, cursor) => {
    const room = await newRoom(['one', 'two', 'three'])
    const socket = await Socket.of(bob)
    const { epoch } = (await socket.ask('subscribe', { inbox: true })).ok
    const fields = 'epoch' in cursor ? { ...cursor, epoch } : cursor
    const { ok } = await socket.ask('subscribe', { room, ...fields })
    expect(ok).toMatchObject({ head: 3, recovered: true, epoch })
    socket.close()
  })
})
