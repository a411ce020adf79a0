/** How many, how often: limits of the running server, on both sides. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Person, ServerProcess, signIn, signUp, until, within } from '../harness.ts'
import { Socket, Stream } from '../live.ts'
import { handshake, OPCODE, RawWebSocket, rawRequest, text } from '../raw.ts'
import { problemIn, refusal } from './codes.ts'

describe('connections of one user', () => {
  let server: ServerProcess
  let ada: Person
  let place: string

  beforeAll(async () => {
    server = await ServerProcess.start()
    ada = await signUp(server.url)
    place = `/room/${(await ada.createRoom()).id}`
  })

  afterAll(() => server.stopAndForget())

  /** Closes them and waits until the server has noticed. */
  async function closeAll(all: { close(): void }[]): Promise<void> {
    for (const one of all) one.close()
    await until(async () => {
      const text = await (await fetch(`${server.url}/metrics`)).text()
      const open = [...text.matchAll(/^parley_connections\{.*\} (\d+)$/gm)]
      return open.every(([, count]) => count === '0')
    }, 'nobody is connected')
  }

  test('the fiftieth is welcome, the fifty-first is not, whatever its form', async () => {
    const all: (Socket | Stream)[] = []
    for (let i = 0; i < 47; i++) all.push(await Socket.of(ada))
    all.push(await Stream.sse(ada, `${place}/subscribe`))
    all.push(await Stream.open(ada, '/subscribe'))
    const fiftieth = await Socket.of(await signIn(server.url, ada.name))
    all.push(fiftieth)
    expect((await fiftieth.ask('ping')).ok).toEqual({})

    const refused = { code: 4013, reason: 'too many connections' }
    const socket = await Socket.of(ada)
    expect(await within(socket.closed, 'it is closed')).toEqual(refused)
    const late = await Socket.open(server.url)
    const reply = await late.ask('auth', { token: ada.token })
    expect(reply.error).toMatchObject({ status: 429, code: 'too_many_connections' })
    expect(await within(late.closed, 'it is closed')).toEqual(refused)
    for (const accept of ['text/event-stream', '*/*']) {
      const stream = ada.fetch(`${place}/subscribe`, { headers: { accept } })
      expect(await refusal(stream)).toBe('429 too_many_connections')
    }
    const polled = ada.fetch(`${place}/messages?after=0&wait=60`)
    expect(await refusal(polled)).toBe('429 too_many_connections')
    // What is not held open is not counted, and nobody else is in the way.
    expect((await ada.fetch('/me')).status).toBe(200)
    const bob = await Socket.of(await signUp(server.url))
    expect((await bob.ask('ping')).ok).toEqual({})

    await closeAll([...all, bob])
    const again = await Socket.of(ada)
    expect((await again.ask('ping')).ok).toEqual({})
    await closeAll([again])
  })

  test('a limit of the whole server holds for everyone', async () => {
    const small = await ServerProcess.start({ connectionsMax: 2 })
    try {
      const [eve, dan] = [await signUp(small.url), await signUp(small.url)]
      const open = [await Socket.of(eve), await Socket.of(dan)]
      const third = await Socket.of(await signUp(small.url))
      expect((await within(third.closed, 'it is closed')).code).toBe(4013)
      for (const one of open) expect((await one.ask('ping')).ok).toEqual({})
      open[0]!.close()
      await within(open[0]!.closed, 'one has gone')
      const stream = await until(async () => {
        const response = await eve.fetch('/subscribe')
        return response.status === 202 && response
      }, 'its place is free')
      await stream.body!.cancel()
    } finally {
      await small.stopAndForget()
    }
  })

  test('500 subscriptions of one connection, and not one more', async () => {
    const rooms = await Promise.all(Array.from({ length: 501 }, () => ada.createRoom()))
    const socket = await Socket.of(ada)
    const replies = await Promise.all(
      rooms.slice(0, 500).map(({ id }) => socket.ask('subscribe', { room: id })),
    )
    expect(replies.filter(({ ok }) => ok === undefined)).toEqual([])
    const { id } = rooms[500]!
    const refused = await socket.ask('subscribe', { room: id })
    expect(refused.error).toMatchObject({ status: 429, code: 'too_many_subscriptions' })
    // An error reply, not the end: one place given back is one place free.
    await socket.ask('unsubscribe', { timeline: rooms[0]!.id })
    expect((await socket.ask('subscribe', { room: id })).ok).toMatchObject({ timeline: id })
    await closeAll([socket])
  })

  test('a page of 1,000 messages, not of 1,001', async () => {
    const room = `/room/${(await ada.createRoom()).id}`
    const posts = Array.from({ length: 1_001 }, (_, i) => ada.post(room, `message ${i}`))
    await Promise.all(posts)
    const page = await ada.list(room, '?limit=1000')
    expect(page.map(({ seq }) => seq)).toEqual(Array.from({ length: 1_000 }, (_, i) => i + 2))
    expect(await ada.list(room)).toHaveLength(100)
    const refused = ada.fetch(`${room}/messages?limit=1001`)
    expect(await refusal(refused)).toBe('400 limit_out_of_range')
  })
})

describe('rates', () => {
  test('posts: the burst passes, told how much is left; then 429 until it refills', async () => {
    const server = await ServerProcess.start({
      rateLimits: 'on',
      postsBurstMax: 5,
      // Few enough that a machine may stand still for a while within the burst.
      postsPerMinuteMax: 30,
    })
    try {
      const [ada, bob] = [await signUp(server.url), await signUp(server.url)]
      const place = `/room/${(await ada.createRoom()).id}`
      const post = (person: Person) =>
        person.fetch(`${place}/messages`, { method: 'POST', json: { text: 'hello' } })
      for (let left = 4; left >= 0; left--) {
        const response = await post(ada)
        expect(response.status).toBe(201)
        expect(response.headers.get('ratelimit-policy')).toBe('"posts";q=5;w=10')
        expect(response.headers.get('ratelimit')).toStartWith(`"posts";r=${left};t=`)
      }
      const refused = await post(ada)
      expect(refused.status).toBe(429)
      const retryAfter = Number(refused.headers.get('retry-after'))
      expect([1, 2]).toContain(retryAfter)
      expect(refused.headers.get('ratelimit')).toBe('"posts";r=0')
      expect(await problemIn(refused)).toMatchObject({ code: 'rate_limited', retryAfter })
      // The same budget, whichever way the post takes; and it is ada's alone.
      const socket = await Socket.of(ada)
      const [, room] = place.slice(1).split('/')
      const reply = await socket.ask('post', { room, text: 'hello' })
      expect(reply.error).toMatchObject({ code: 'rate_limited', status: 429 })
      expect((await post(bob)).status).toBe(201)
      expect((await ada.fetch(`${place}/messages`)).status).toBe(200)
      const isBack = async () => (await post(ada)).status === 201
      await until(isBack, 'one more may be posted, long before five may', 8_000)
      socket.close()
    } finally {
      await server.stopAndForget()
    }
  })

  test('requests of a user, and sign-ups and bad tokens of an address', async () => {
    const server = await ServerProcess.start({
      rateLimits: 'on',
      requestsBurstMax: 5,
      requestsPerMinuteMax: 1,
      signUpsBurstMax: 2,
      signUpsPerMinuteMax: 1,
    })
    try {
      const ada = await signUp(server.url)
      for (let left = 4; left >= 0; left--) {
        const response = await ada.fetch('/me')
        expect(response.status).toBe(200)
        expect(response.headers.get('ratelimit')).toStartWith(`"requests";r=${left};t=`)
      }
      expect(await refusal(ada.fetch('/me'))).toBe('429 rate_limited')
      const bob = await signUp(server.url)
      expect((await bob.fetch('/me')).status).toBe(200)
      const third = await signUp(server.url).catch((error: Error) => error.message)
      expect(third).toContain('429 instead of 201')
      const guess = () =>
        fetch(`${server.url}/me`, { headers: { authorization: `Bearer ${'A'.repeat(43)}` } })
      const statuses: number[] = []
      for (let i = 0; i < 6; i++) statuses.push((await guess()).status)
      expect(statuses).toEqual([401, 401, 401, 401, 401, 429])
      // Health is nobody's budget.
      for (let i = 0; i < 10; i++) expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
    } finally {
      await server.stopAndForget()
    }
  })

  test('frames: the burst is handled, one more closes with 1008', async () => {
    const server = await ServerProcess.start({
      rateLimits: 'on',
      framesBurstMax: 20,
      framesPerMinuteMax: 1,
    })
    try {
      const ada = await signUp(server.url)
      const socket = await Socket.of(ada)
      for (let i = 0; i < 20; i++) expect((await socket.ask('ping')).ok).toEqual({})
      socket.send({ id: 99, op: 'ping' })
      expect((await within(socket.closed, 'it is closed')).code).toBe(1008)
      // The budget is the connection's.
      expect((await (await Socket.of(ada)).ask('ping')).ok).toEqual({})
    } finally {
      await server.stopAndForget()
    }
  })

  test.each([
    ['pings', OPCODE.ping],
    ['pongs', OPCODE.pong],
  ])('%s are frames, too: the burst passes, one more closes with 1008', async (_, opcode) => {
    const settings = { rateLimits: 'on', framesBurstMax: 20, framesPerMinuteMax: 1 }
    const server = await ServerProcess.start(settings)
    try {
      const ada = await signUp(server.url)
      const socket = await RawWebSocket.open(server.url, ada.token)
      const one = { opcode, payload: Buffer.from('x') }
      socket.send(...Array.from({ length: 19 }, () => one), text('{"id":1,"op":"ping"}'))
      for (let i = 0; i < (opcode === OPCODE.ping ? 19 : 0); i++)
        expect(await socket.next()).toMatchObject({ opcode: OPCODE.pong })
      expect((await socket.next())!.payload.toString()).toBe('{"re":1,"ok":{}}')
      socket.send(one)
      expect(await socket.closeCode()).toBe(1008)
      socket.connection.cut()
    } finally {
      await server.stopAndForget()
    }
  })

  test('behind a proxy the rate is held against whom the proxy saw', async () => {
    const server = await ServerProcess.start({
      rateLimits: 'on',
      trustedProxyHops: 1,
      requestsBurstMax: 1,
      requestsPerMinuteMax: 1,
    })
    try {
      const guessFrom = async (forwarded: string) => {
        const authorization = `Bearer ${'A'.repeat(43)}`
        const headers = { authorization, 'x-forwarded-for': forwarded }
        return (await fetch(`${server.url}/me`, { headers })).status
      }
      expect(await guessFrom('10.0.0.1')).toBe(401)
      expect(await guessFrom('10.0.0.2')).toBe(401)
      // What the client itself put in front does not count.
      expect(await guessFrom('10.9.9.9, 10.0.0.1')).toBe(429)
      // Nor does another address of the same network, of which IPv6 gives everyone plenty.
      expect(await guessFrom('2001:db8:1:2::1')).toBe(401)
      expect(await guessFrom('2001:db8:1:2:f::2')).toBe(429)
      expect(await guessFrom('2001:db8:1:3::1')).toBe(401)
    } finally {
      await server.stopAndForget()
    }
  })
})

describe('the frames of one socket that wait', () => {
  test('up to the limit they are handled, past it the socket is closed with 1008', async () => {
    const server = await ServerProcess.start({ socketQueueMax: 50 })
    try {
      const ada = await signUp(server.url)
      const flood = async (count: number) => {
        const socket = await Socket.of(ada)
        // A room that nobody knows has to be looked for on the disk, and what follows must wait.
        for (let id = 1; id <= count; id++)
          socket.send({ id, op: 'subscribe', room: `r${String(id).padStart(16, '0')}` })
        return socket
      }
      const patient = await flood(50)
      expect((await patient.reply(50)).error.code).toBe('no_such_room')
      patient.close()
      const eager = await flood(10_000)
      expect((await within(eager.closed, 'it is closed')).code).toBe(1008)
      expect((await (await Socket.of(ada)).ask('ping')).ok).toEqual({})
    } finally {
      await server.stopAndForget()
    }
  })
})

test('a WebSocket opened without a token has to sign in in time: 4408', async () => {
  const server = await ServerProcess.start({ authTimeoutMs: 200 })
  try {
    const { host } = new URL(server.url)
    const { response, connection } = await rawRequest(server.url, handshake('/ws', { Host: host }))
    expect(response?.status).toBe(101)
    await within(connection.closed, 'whoever says nothing is let go')
    const silent = await Socket.open(server.url)
    const closed = await within(silent.closed, 'it is closed')
    expect(closed).toEqual({ code: 4408, reason: 'no auth in time' })
  } finally {
    await server.stopAndForget()
  }
})
