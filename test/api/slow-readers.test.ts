/** Readers that stop reading, or stop showing signs of life, while there is much to read. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { type Message, type Person, ServerProcess, signUp, until, within } from '../harness.ts'
import { Socket, Stream } from '../live.ts'
import { RawConnection, RawWebSocket, text } from '../raw.ts'

let server: ServerProcess
let ada: Person

beforeAll(async () => {
  server = await ServerProcess.start({ slowReaderBytesMax: 1 << 20, closeGraceMs: 500 })
  ada = await signUp(server.url)
})

afterAll(() => server.stopAndForget())

/** How many connections the server has ended for this cause. */
async function dropped(cause: string): Promise<number> {
  const metrics = await (await fetch(`${server.url}/metrics`)).text()
  const found = new RegExp(`parley_connections_dropped_total\\{cause="${cause}"\\} (\\d+)`)
  return Number(found.exec(metrics)?.[1] ?? 0)
}

/** Posts long texts, many at a time, until the server has dropped somebody for this cause. */
async function postUntilDropped(place: string, cause: string): Promise<void> {
  const before = await dropped(cause)
  const long = 'x'.repeat(16_000)
  await until(
    async () => {
      await Promise.all(Array.from({ length: 20 }, () => ada.post(place, long)))
      return (await dropped(cause)) > before
    },
    `somebody is dropped: ${cause}`,
    30_000,
  )
}

test('a WebSocket that is not read is closed; others miss nothing; it resumes whole', async () => {
  const room = await ada.createRoom()
  const place = `/room/${room.id}`
  const good = await Socket.of(ada, `${place}/subscribe`)
  const lazy = await RawWebSocket.open(server.url, ada.token)
  lazy.send(text(JSON.stringify({ id: 1, op: 'subscribe', room: room.id })))
  expect(JSON.parse((await lazy.next())!.payload.toString()).ok).toBeDefined()
  lazy.connection.pause()
  await postUntilDropped(place, 'too_slow')
  lazy.connection.cut()

  const { head } = await ada.get<{ head: number }>(place)
  const seen = await good.events.count(head, 'everything, for whoever does read')
  expect(seen.map(({ event }) => event.seq)).toEqual(Array.from({ length: head }, (_, i) => i + 1))
  const again = await Socket.of(ada)
  await again.ask('subscribe', { room: room.id, after: 1 })
  const rest = await again.events.count(head - 1, 'everything after the cursor')
  expect(rest.map(({ event }) => event.seq)).toEqual(
    Array.from({ length: head - 1 }, (_, i) => i + 2),
  )
  for (const one of [good, again]) one.close()
}, 40_000)

test('a reader that comes back to its socket finds the code 4008', async () => {
  const room = await ada.createRoom()
  const lazy = await RawWebSocket.open(server.url, ada.token, `/room/${room.id}/subscribe`)
  await lazy.next()
  lazy.connection.pause()
  await postUntilDropped(`/room/${room.id}`, 'too_slow')
  lazy.connection.resume()
  expect(await lazy.closeCode()).toBe(4008)
  lazy.connection.cut()
}, 40_000)

test.each(['text/event-stream', '*/*'])(
  'a stream (%s) that is not read is cut',
  async (accept) => {
    const room = await ada.createRoom()
    const place = `/room/${room.id}`
    const good = await Stream.open(ada, `${place}/subscribe`, { accept })
    const lazy = await RawConnection.open(server.url)
    const lines = [
      `GET ${place}/subscribe HTTP/1.1`,
      `Host: ${new URL(server.url).host}`,
      `Authorization: Bearer ${ada.token}`,
      `Accept: ${accept}`,
    ]
    lazy.write(`${lines.join('\r\n')}\r\n\r\n`)
    expect((await lazy.response())?.status).toBe(accept === '*/*' ? 202 : 200)
    lazy.pause()
    await postUntilDropped(place, 'too_slow')
    lazy.cut()
    // Whoever reads has everything and gets what comes next.
    const { seq } = await ada.post(place, 'the room goes on')
    const seen = await good.events.count(seq)
    expect(seen.map((event) => event.seq)).toEqual(Array.from({ length: seq }, (_, i) => i + 1))
    good.close()
  },
  40_000,
)

test('who no longer answers pings is cut after two of them, though the room is busy', async () => {
  // Long enough that the one who is alive gets to answer, also on a busy machine.
  const heartbeatMs = 1_000
  const hasty = await ServerProcess.start({ heartbeatMs })
  try {
    const bob = await signUp(hasty.url)
    const place = `/room/${(await bob.createRoom()).id}`
    const alive = await Socket.of(bob, `${place}/subscribe`)
    const startedAt = performance.now()
    // Made by hand, so no pong is sent.
    const dead = await RawWebSocket.open(hasty.url, bob.token, `${place}/subscribe`)
    let busy = true
    const posted: Message[] = []
    const talking = (async () => {
      while (busy) posted.push(await bob.post(place, 'is anybody there?'))
    })()
    await within(dead.connection.closed, 'the dead one is cut')
    const tookMs = performance.now() - startedAt
    busy = false
    await talking
    expect(tookMs).toBeGreaterThan(heartbeatMs / 2)
    // Long before anything else would cut it: so many heartbeats a machine may stand still.
    expect(tookMs).toBeLessThan(5 * heartbeatMs)
    await alive.events.count(posted.length)
    expect((await alive.ask('ping')).ok).toEqual({})
    alive.close()
  } finally {
    await hasty.stopAndForget()
  }
})

test('a burst larger than the limit does not cut a stream whose reader keeps up', async () => {
  const room = await ada.createRoom()
  const place = `/room/${room.id}`
  const before = await dropped('too_slow')
  const streams = [
    await Stream.open(ada, `${place}/subscribe`),
    await Stream.sse(ada, `${place}/subscribe`),
  ]
  const texts = Array.from({ length: 120 }, (_, i) => `${i} ${'x'.repeat(16_000)}`)
  await Promise.all(texts.map((one) => ada.post(place, one)))
  for (const stream of streams) {
    const seen = await stream.events.count(texts.length, 'the whole burst')
    expect(seen.map(({ seq }) => seq)).toEqual(texts.map((_, i) => i + 1))
    stream.close()
  }
  expect(await dropped('too_slow')).toBe(before)
}, 20_000)
