/** How long the server waits for what is slow, and for what is only quiet. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { within } from '../harness.ts'
import { Socket, Stream } from '../live.ts'
import { RawConnection } from '../raw.ts'
import { Target } from './unharmed.ts'

let target: Target

beforeAll(async () => {
  target = await Target.start()
})

afterAll(() => target.stop())

const CUT_MS_MAX = 20_000

/** Sends the beginning, then a piece every second; resolves when the server has had enough. */
async function sendSlowly(beginning: string, piece: (n: number) => string): Promise<void> {
  const connection = await RawConnection.open(target.url)
  connection.write(beginning)
  let sent = 0
  const timer = setInterval(() => {
    sent += 1
    connection.write(piece(sent))
  }, 1_000)
  try {
    await within(connection.closed, 'the slow sender is cut', CUT_MS_MAX)
  } finally {
    clearInterval(timer)
    connection.cut()
  }
}

/** Longer than the runtime's own idle time of 10 s. */
const QUIET_S = 11

async function longPoll(place: string): Promise<void> {
  const startedAt = performance.now()
  expect(await target.ada.list(place, `?after=0&wait=${QUIET_S}`)).toEqual([])
  expect(performance.now() - startedAt).toBeGreaterThan(QUIET_S * 1_000 - 100)
}

// All at once: each takes as long as the runtime's idle time, and they are of no hindrance.
test('slow senders are cut within 20 s, quiet readers are not, and memory stays flat', async () => {
  const quiet = `/room/${(await target.ada.createRoom()).id}`
  const streams = [
    await Stream.sse(target.ada, `${quiet}/subscribe`),
    await Stream.open(target.ada, `${quiet}/subscribe`),
  ]
  const socket = await Socket.of(target.ada, `${quiet}/subscribe`)
  const before = await target.residentBytes()
  const declared = `${target.postHead}Content-Length: 1000\r\n\r\n`
  const chunked = `${target.postHead}Transfer-Encoding: chunked\r\n\r\n`
  await Promise.all([
    longPoll(quiet),
    sendSlowly('GET /me HTTP/1.1\r\n', (n) => `X-${n}: a\r\n`),
    sendSlowly(`GET /me HTTP/1.1\r\n${target.headers}`, (n) => `X-${n}: a\r\n`),
    sendSlowly('', (n) => 'GET /me HTTP/1.1\r\n'[n - 1] ?? 'x'),
    sendSlowly(declared, (n) => (n === 1 ? '{' : ' ')),
    sendSlowly(chunked, (n) => (n === 1 ? '1\r\n{\r\n' : '1\r\n \r\n')),
    sendSlowly(declared, () => ''),
    sendSlowly('', () => ''),
  ])
  await target.isUnharmed()
  expect((await target.residentBytes()) - before).toBeLessThan(16 << 20)

  const posted = await target.ada.post(quiet, 'after a long silence')
  for (const stream of streams) expect(await stream.events.next()).toEqual(posted)
  expect((await socket.events.next()).event.seq).toBe(posted.seq)
  for (const one of [...streams, socket]) one.close()
}, 40_000)
