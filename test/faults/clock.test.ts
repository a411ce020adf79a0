/**
 * Somebody sets the clock: back an hour, forward a day. Time orders nothing, so the order holds;
 * waits and rates count on another clock, so none of them ends early or never; and whoever is
 * signed in stays so.
 */
import { afterAll, expect, test } from 'bun:test'
import { type Message, type Person, type ServerProcess, signUp, until, within } from '../harness.ts'
import { Socket, Stream } from '../live.ts'
import { ClockShim } from './clock.ts'
import { RawConnection } from './raw-socket.ts'

const shim = ClockShim.build()
afterAll(() => shim?.remove())

const HOUR_S = 3_600
const DAY_S = 24 * HOUR_S
const HEARTBEAT_MS = 500
const AUTH_MS = 1_500
const BURST = 30

const SETTINGS = {
  ...{ rateLimits: 'on', postsBurstMax: BURST, postsPerMinuteMax: 60 },
  ...{ heartbeatMs: HEARTBEAT_MS, authTimeoutMs: AUTH_MS },
  sessionTtlMs: 3 * DAY_S * 1_000,
}

const post = (person: Person, place: string, text: string) =>
  person.fetch(`${place}/messages`, { method: 'POST', json: { text } })

/** Resolves with how long it took, in milliseconds. */
async function timed(work: Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work
  return performance.now() - startedAt
}

/** What has begun before the clock is set, and ends after it. */
async function pendingWaits(server: ServerProcess, ada: Person, quiet: string) {
  const silent = await Socket.open(server.url)
  const deaf = await RawConnection.socket(ada, '/ws')
  return {
    longPollMs: timed(ada.list(quiet, '?after=0&wait=1')),
    silentMs: timed(within(silent.closed, 'who does not sign in is let go')),
    deafMs: timed(within(deaf.closed, 'who answers no ping is cut')),
  }
}

/** Spends the whole budget; resolves when a post is refused. */
async function postUntilRefused(ada: Person, place: string): Promise<void> {
  for (let i = 0; i <= 3 * BURST; i++) if ((await post(ada, place, `${i}`)).status === 429) return
  throw new Error('no post was refused')
}

async function expectRateHolds(ada: Person, place: string): Promise<void> {
  // Two seconds fill two posts up again, not thirty, whatever the clock says.
  let more = 0
  while ((await post(ada, place, 'more')).status === 201) more += 1
  expect(more).toBeLessThan(BURST / 2)
  await until(async () => (await post(ada, place, 'at last')).status === 201, 'it refills', 3_000)
}

async function expectWaitsHold(waits: Awaited<ReturnType<typeof pendingWaits>>): Promise<void> {
  expect(await waits.longPollMs).toBeWithin(990, 3_000)
  expect(await waits.deafMs).toBeWithin(HEARTBEAT_MS, 3 * HEARTBEAT_MS + 1_000)
  expect(await waits.silentMs).toBeWithin(AUTH_MS - 100, AUTH_MS + 2_000)
}

test.skipIf(!shim).each([
  ['back an hour', -HOUR_S],
  ['forward a day', DAY_S],
])(
  'set %s, and then right again',
  async (_, seconds) => {
    shim!.set(0)
    const server = await shim!.start(SETTINGS)
    try {
      const [ada, bob] = [await signUp(server.url), await signUp(server.url)]
      const [place, quiet] = [await ada.createRoom(), await ada.createRoom()].map(
        ({ id }) => `/room/${id}`,
      ) as [string, string]
      const path = `${place}/subscribe?after=0`
      const socket = await Socket.of(bob, path)
      const streams = [await Stream.sse(bob, path), await Stream.open(bob, path)]
      for (const shift of [seconds, 0]) {
        await postUntilRefused(ada, place)
        const waits = await pendingWaits(server, ada, quiet)
        shim!.set(shift)
        const { createdAt } = await bob.createRoom()
        // The server does see another time, or nothing here would be proven.
        const off = (Date.parse(createdAt) - Date.now()) / 1_000 - shift
        expect(Math.abs(off)).toBeLessThan(60)
        await expectRateHolds(ada, place)
        await expectWaitsHold(waits)
        expect((await socket.ask('ping')).ok).toEqual({})
        expect((await signUp(server.url)).token).toBeDefined()
      }
      const log = await ada.list(place, '?after=0&limit=1000')
      expectOrdered(log)
      for (const { events } of streams)
        expect(await events.count(log.length, 'all by stream')).toEqual(log)
      const seen = await socket.events.count(log.length, 'all by socket')
      expect(seen.map(({ event }) => event.seq)).toEqual(log.map(({ seq }) => seq))
      for (const one of [socket, ...streams]) one.close()
    } finally {
      await server.stopAndForget()
    }
  },
  40_000,
)

/** Without a hole, and no message says that it is older than the one before it. */
function expectOrdered(log: Message[]): void {
  expect(log.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1))
  const times = log.map(({ at }) => at)
  expect(times).toEqual([...times].sort())
}

test.skipIf(!shim)(
  'a session lasts its time from its last use, though the clock is set back',
  async () => {
    const ttlMs = 2 * HOUR_S * 1_000
    shim!.set(0)
    const server = await shim!.start({ sessionTtlMs: ttlMs })
    try {
      const ada = await signUp(server.url)
      shim!.set(-HOUR_S)
      expect((await ada.fetch('/me')).status).toBe(200)
      const [session] = await until(async () => {
        const all = await ada.get<{ expiresAt: string; lastUsedAt: string }[]>('/sessions')
        return Date.parse(all[0]!.lastUsedAt) < Date.now() - 60_000 && all
      }, 'its use is noted, by the clock as it is now')
      const leftMs = Date.parse(session!.expiresAt) - (Date.now() - HOUR_S * 1_000)
      expect(leftMs).toBeWithin(ttlMs - 60_000, ttlMs + 60_000)
    } finally {
      await server.stopAndForget()
    }
  },
)
