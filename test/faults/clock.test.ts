/**
 * Somebody sets the clock: back an hour, forward a day. Time orders nothing, so the order holds;
 * waits and rates count on another clock, so none of them ends early or never; and whoever is
 * signed in stays so.
 */
import { afterAll, expect, test } from 'bun:test'
import { type Message, type Person, signUp, until, within } from '../harness.ts'
import { Socket, Stream } from '../live.ts'
import { msOf } from '../soon.ts'
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
  sessionTtlMs: 3 * DAY_S * 1_000,
}
/** Of a server that nobody stays at: a machine that stands still answers no ping either. */
const IMPATIENT = { ...SETTINGS, heartbeatMs: HEARTBEAT_MS, authTimeoutMs: AUTH_MS }

const post = (person: Person, place: string, text: string) =>
  person.fetch(`${place}/messages`, { method: 'POST', json: { text } })

/** What has begun before the clock is set, and ends after it: `eve` is at the impatient server. */
async function pendingWaits(ada: Person, quiet: string, eve: Person) {
  // Each is timed from before it begins: what is found too short has been too short.
  const opening = { silent: Socket.open(eve.url), deaf: RawConnection.socket(eve, '/ws') }
  const closing = async (opened: Promise<{ closed: Promise<unknown> }>, what: string) =>
    within((await opened).closed, what)
  const waits = {
    longPollMs: msOf(() => ada.list(quiet, '?after=0&wait=1')),
    silentMs: msOf(() => closing(opening.silent, 'who does not sign in is let go')),
    deafMs: msOf(() => closing(opening.deaf, 'who answers no ping is cut')),
  }
  await Promise.all(Object.values(opening))
  return waits
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
  await until(async () => (await post(ada, place, 'at last')).status === 201, 'it refills')
}

async function expectWaitsHold(waits: Awaited<ReturnType<typeof pendingWaits>>): Promise<void> {
  // None ends early; that each ends, and not in an hour, is what `within` sees to.
  expect(await within(waits.longPollMs, 'a poll ends')).toBeGreaterThanOrEqual(990)
  expect(await waits.deafMs).toBeGreaterThanOrEqual(HEARTBEAT_MS)
  expect(await waits.silentMs).toBeGreaterThanOrEqual(AUTH_MS - 100)
}

test.skipIf(!shim).each([
  ['back an hour', -HOUR_S],
  ['forward a day', DAY_S],
])(
  'set %s, and then right again',
  async (_, seconds) => {
    shim!.set(0)
    const [server, impatient] = [await shim!.start(SETTINGS), await shim!.start(IMPATIENT)]
    try {
      const [ada, bob] = [await signUp(server.url), await signUp(server.url)]
      const eve = await signUp(impatient.url)
      const [place, quiet] = [await ada.createRoom(), await ada.createRoom()].map(
        ({ id }) => `/room/${id}`,
      ) as [string, string]
      const path = `${place}/subscribe?after=0`
      const socket = await Socket.of(bob, path)
      const streams = [await Stream.sse(bob, path), await Stream.open(bob, path)]
      for (const shift of [seconds, 0]) {
        await postUntilRefused(ada, place)
        const waits = await pendingWaits(ada, quiet, eve)
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
      await Promise.all([server, impatient].map((one) => one.stopAndForget()))
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
