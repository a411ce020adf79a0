/** How the connection comes, goes and comes back; both sides of each wait. */
import { expect, test } from 'bun:test'
import * as limits from '../../client/limits.ts'
import { Parley } from '../../client/parley.ts'
import { CALM } from './sim/network.ts'
import { live, type Scene, say, signedIn, stage, TOKEN } from './sim/scene.ts'

/** How long until the next attempt, as the status says it. */
function waitOf({ parley, clock }: Scene): number {
  const { status } = parley
  if (status.state !== 'offline') throw new Error(`it is ${status.state}`)
  return status.retryAt - clock.now()
}

/** How long it waits each time from now on. */
function waitsOf({ parley, clock }: Scene): number[] {
  const waits: number[] = []
  parley.onStatus((status) => {
    if (status.state === 'offline' && status.retryAt > clock.now())
      waits.push(Math.round(status.retryAt - clock.now()))
  })
  return waits
}

test('waits double up to half a minute, and chance spreads them from nothing on', async () => {
  const doubling = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]
  for (const random of [0.999_999, 0.5]) {
    const scene = await live({ random })
    const waits = waitsOf(scene)
    scene.network.isDown = true
    scene.network.cut()
    await scene.clock.advance(100_000)
    expect(waits.slice(0, doubling.length)).toEqual(
      doubling.map((ms) => Math.round(ms * random)).slice(0, waits.length),
    )
    expect(waits.length).toBeGreaterThanOrEqual(doubling.length)
    scene.parley.close()
  }
})

test('a connection that was of use starts the count anew', async () => {
  const scene = await live({ random: 0.999_999 })
  scene.network.weather = { ...CALM, refuse: 1 }
  scene.network.cut()
  await scene.clock.advance(10_000)
  scene.network.weather = CALM
  await scene.clock.advance(60_000)
  expect(scene.parley.status.state).toBe('live')
  scene.network.cut()
  await scene.clock.advance(1)
  expect(Math.round(waitOf(scene))).toBe(500)
})

test('the server says how long to wait: 1012 by its reason, a refusal by Retry-After', async () => {
  const scene = await live({ random: 0.5 })
  const waits = waitsOf(scene)
  scene.network.cut(1012, '{"retryMs":7000}')
  scene.network.weather = { ...CALM, refuse: 1 }
  scene.network.answers = () => ({ status: 503, headers: { 'Retry-After': '20' } })
  await scene.clock.advance(8_000)
  scene.network.answers = () => ({ status: 429, body: { code: 'rate_limited', retryAfter: 1e9 } })
  await scene.clock.advance(30_000)
  expect(waits).toEqual([7_250, 20_500, limits.WAIT_MAX_MS + 1_000])
})

test.each([1008, 1009, 4013, 4400])(
  'after %d it stays away for long and says why',
  async (code) => {
    const scene = await live()
    scene.network.cut(code)
    await scene.clock.advance(1)
    expect(scene.parley.status).toMatchObject({ error: { code: `closed_${code}` } })
    expect(waitOf(scene)).toBeGreaterThanOrEqual(limits.LONG_WAIT_MS)
    await scene.clock.advance(limits.LONG_WAIT_MS + 2_000)
    expect(scene.parley.status.state).toBe('live')
  },
)

test.each([1001, 1006, 1012, 4008])('after %d it comes back with what was missed', async (code) => {
  const scene = await live()
  scene.network.cut(code)
  say(scene, 3)
  await scene.clock.advance(3_000)
  expect(scene.parley.status.state).toBe('live')
  expect(scene.seqs).toEqual([1, 2, 3])
})

test('4401 with a session that is over signs out and ends everything', async () => {
  const scene = await live()
  const { clock, server, parley, subscription, states } = scene
  let ended: string | undefined
  subscription.on('end', (error) => (ended = error?.code))
  server.endSession(TOKEN)
  await clock.advance(100)
  expect(parley.status).toEqual({ state: 'signed-out' })
  expect([parley.me, parley.token, ended]).toEqual([undefined, undefined, 'not_signed_in'])
  expect(subscription.state).toBe('ended')
  expect(states.at(-1)).toEqual({ state: 'signed-out' })
  expect(() => parley.room('r1').subscribe()).toThrow('not_signed_in')
})

test('4401 with a session that is not over is a connection lost like any other', async () => {
  const scene = await live()
  scene.network.cut(4401)
  await scene.clock.advance(3_000)
  expect(scene.parley.status.state).toBe('live')
})

test('a handshake that is refused because the session is over signs out', async () => {
  const { clock, server, network, parley } = await signedIn()
  network.weather = { ...CALM, refuse: 1 }
  parley.room('r1').subscribe()
  server.tokens.clear()
  await clock.advance(1_000)
  expect(parley.status.state).toBe('signed-out')
})

test('silence is broken by a ping; without an answer the connection is dead', async () => {
  const { clock, network, parley } = await live()
  const pings = () => network.sent.filter(({ op }) => op === 'ping').length
  await clock.advance(limits.SILENCE_MS - 1_000)
  expect(pings()).toBe(0)
  await clock.advance(1_500)
  expect(pings()).toBe(1)
  expect(parley.status.state).toBe('live')
  network.deafen()
  while (pings() === 1) await clock.advance(10)
  await clock.advance(limits.PING_TIMEOUT_MS - 20)
  expect(parley.status.state).toBe('live')
  await clock.advance(20)
  expect(parley.status.state).toBe('offline')
  await clock.advance(2_000)
  expect(parley.status.state).toBe('live')
})

test('a reply that does not come makes the connection doubtful', async () => {
  const { clock, network, parley } = await live()
  let swallowed = 0
  network.swallows = ({ op }) => op === 'post' && swallowed++ === 0
  const post = parley.room('r1').post('hello')
  await clock.advance(limits.REPLY_TIMEOUT_MS - 100)
  expect([network.sockets, post.attempts]).toEqual([1, 1])
  await clock.advance(2_000)
  expect([network.sockets, post.attempts, post.state]).toEqual([2, 2, 'sent'])
  const [first, second] = network.sent.filter(({ op }) => op === 'post')
  expect(second!.key).toBe(first!.key as string)
})

test('what an older connection still brings is not heard', async () => {
  const scene = await live()
  const { clock, server, network, parley } = scene
  const [old] = server.connections
  const late: (() => void)[] = []
  const { send } = old!
  old!.send = (frame) => late.push(() => send(frame))
  network.swallows = ({ op }) => op === 'ping'
  say(scene, 3)
  parley.reconnect()
  await clock.advance(limits.REPLY_TIMEOUT_MS + 3_000)
  expect([network.sockets, parley.status.state, scene.seqs.length]).toEqual([2, 'live', 3])
  const asked = network.requests.length
  server.closeAll(1012, '{"retryMs":5000}')
  server.restore(0)
  await clock.advance(8_000)
  const { length } = scene.seqs
  for (const deliver of late) deliver()
  await clock.advance(5_000)
  expect([scene.seqs.length, network.requests.length]).toEqual([length, asked])
  expect(scene.subscription.cursor).toEqual({ seq: 0, epoch: 'E2' })
})

test('a request that is not answered is given up', async () => {
  const { clock, network, parley } = await signedIn()
  network.answers = undefined
  network.weather = { ...CALM, delayMs: 10 }
  let failed: string | undefined
  const never = () => new Promise<never>(() => {})
  const hanging = stage({ fetch: (_, { signal }) => aborted(signal!, never()) })
  hanging.parley.getRoom('r1').catch((error) => (failed = error.code))
  await hanging.clock.advance(limits.HTTP_TIMEOUT_MS - 1)
  expect(failed).toBeUndefined()
  await hanging.clock.advance(1)
  expect(failed).toBe('unreachable')
  parley.close()
  await clock.advance(1)
})

function aborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  const abort = new Promise<T>((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('aborted')))
  })
  return Promise.race([promise, abort])
}

test('the device says that it is offline, and online again', async () => {
  const listeners = new Map<string, (event: { type: string }) => void>()
  const scope = globalThis as Record<string, unknown>
  const before = [scope.addEventListener, scope.removeEventListener]
  scope.addEventListener = (type: string, hear: never) => listeners.set(type, hear)
  scope.removeEventListener = (type: string) => listeners.delete(type)
  try {
    const scene = await live({ random: 0.999 })
    listeners.get('offline')!({ type: 'offline' })
    await scene.clock.advance(0)
    expect(scene.states.at(-1)).toMatchObject({ state: 'offline', error: { code: 'unreachable' } })
    listeners.get('online')!({ type: 'online' })
    await scene.clock.advance(200)
    expect(scene.parley.status.state).toBe('live')
    scene.parley.close()
    expect(listeners.size).toBe(0)
  } finally {
    ;[scope.addEventListener, scope.removeEventListener] = before
  }
})

test('reconnect() tries now, and makes sure of a connection that seems well', async () => {
  const scene = await live({ random: 0.999 })
  scene.network.cut()
  await scene.clock.advance(1)
  scene.parley.reconnect()
  await scene.clock.advance(200)
  expect(scene.parley.status.state).toBe('live')
  scene.network.deafen()
  // However often it is asked for: each time must not put off what the first has begun.
  for (let waited = 0; waited < limits.REPLY_TIMEOUT_MS; waited += 1_000) {
    expect(scene.parley.status.state).toBe('live')
    scene.parley.reconnect()
    await scene.clock.advance(1_000)
  }
  expect(scene.parley.status.state).toBe('offline')
})

test('a connection that nobody needs is kept for a while and then closed', async () => {
  const { clock, server, network, parley, subscription } = await live()
  subscription.close()
  await clock.advance(100)
  expect(parley.status.state).toBe('idle')
  await clock.advance(limits.IDLE_MS - 200)
  expect(server.connections.size).toBe(1)
  await clock.advance(300)
  expect(server.connections.size).toBe(0)
  await clock.advance(100_000)
  expect(network.sockets).toBe(1)
  expect(clock.pending).toBe(0)
})

test(`${limits.CALLS_MAX} operations are under way at most; the others follow`, async () => {
  const { clock, network, parley } = await live()
  network.swallows = () => false
  const before = network.sent.length
  const posts = Array.from({ length: limits.CALLS_MAX + 1 }, (_, i) =>
    parley.room(`r${i}`).post('hello'),
  )
  expect(network.sent.length - before).toBe(limits.CALLS_MAX)
  await clock.advance(1_000)
  expect(posts.every(({ state }) => state === 'sent')).toBe(true)
})

test('with the cookie nothing is sent to sign in, and another one ends it', async () => {
  const scene = stage({ cookie: true, token: undefined as never })
  const { clock, server, network, parley } = scene
  // As a browser does it: the handshake and every request carry the cookie.
  network.cookie = TOKEN
  const resumed = parley.resume()
  await clock.advance(100)
  expect((await resumed)!.name).toBe('ann')
  parley.room('r1').subscribe()
  await clock.advance(1_000)
  expect(parley.status.state).toBe('live')
  expect(network.sent.map(({ op }) => op)).toEqual(['subscribe'])
  server.tokens.set('other', 'bob')
  network.cookie = 'other'
  network.cut()
  await clock.advance(2_000)
  expect(parley.status.state).toBe('signed-out')
  expect(network.sent.map(({ op }) => op)).toEqual(['subscribe'])
})

test('what a subscription is refused for decides what becomes of it', async () => {
  const { clock, network, parley } = await signedIn()
  const ended: (string | undefined)[] = []
  parley
    .room('nowhere')
    .subscribe()
    .on('end', (error) => ended.push(error?.code))
  parley.room('nowhere').open()
  await clock.advance(1_000)
  expect(ended).toEqual(['no_such_room'])
  expect(parley.status.state).toBe('idle')
  expect(network.sockets).toBe(1)
})

test('without a WebSocket, or without an address, it says so', async () => {
  expect(() => new Parley()).toThrow('Give a `url`')
  expect(stage({ url: 'http://sim/' }).parley.url).toBe('http://sim')
  const scope = globalThis as { WebSocket?: unknown }
  const { WebSocket } = scope
  scope.WebSocket = undefined
  const { clock, parley } = stage({ WebSocket: undefined as never })
  scope.WebSocket = WebSocket
  const resumed = parley.resume()
  await clock.advance(100)
  await resumed
  expect(() => parley.room('r1').subscribe()).toThrow('no_websocket')
})
