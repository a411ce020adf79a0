/** The heads that a WebSocket is told with the heartbeat. */
import { expect, test } from 'bun:test'
import { type Person, ServerProcess, signUp, until } from '../harness.ts'
import { type AnyFrame, Socket } from '../live.ts'

const HEARTBEAT_MS = 500
/** More than the two heartbeats for which a head that has moved is told. */
const PAST_MS = 2.2 * HEARTBEAT_MS

/**
 * What is told of a head that moves twice, and all that is told of the second time. Undefined if
 * the socket was cut: a machine that stands still may answer a ping too late.
 */
async function follow(server: ServerProcess, eve: Person, busy: string, quiet: string) {
  const socket = await Socket.of(eve)
  let isCut = false
  void socket.closed.then(() => {
    isCut = true
  })
  const heads = () => socket.frames.all.filter((frame) => frame.heads !== undefined)
  const { head } = (await socket.ask('subscribe', { room: busy })).ok
  await socket.ask('subscribe', { room: quiet })
  const told: AnyFrame[] = []
  for (const n of [head + 1, head + 2]) {
    await eve.post(`/room/${busy}`, `message ${n}`)
    // It is told also by a server that stood still for as long as it usually tells of it.
    if (n === head + 1) await standStill(server)
    const findTold = () => heads().find((frame) => frame.heads[busy] === n)
    await until(() => isCut || findTold(), 'its head is told')
    told.push(findTold())
  }
  const endAt = performance.now() + 2 * PAST_MS
  await until(() => isCut || performance.now() > endAt, 'more heartbeats pass')
  await Promise.race([socket.ask('ping').catch(() => {}), socket.closed])
  if (isCut) return undefined
  socket.close()
  return { head, told, last: heads().filter((frame) => frame.heads[busy] === head + 2) }
}

/** A server that is stopped for more than two heartbeats. */
async function standStill({ pid }: ServerProcess): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  const endAt = performance.now() + PAST_MS
  await until(() => performance.now() > endAt, 'it has stood still')
  process.kill(pid, 'SIGCONT')
}

test('they are told when they have moved, not again and again', async () => {
  const server = await ServerProcess.start({ heartbeatMs: HEARTBEAT_MS })
  try {
    const eve = await signUp(server.url)
    const [{ id: busy }, { id: quiet }] = [await eve.createRoom(), await eve.createRoom()]
    await eve.post(`/room/${quiet}`, 'old')
    const seen = await until(
      () => follow(server, eve, busy, quiet),
      'a socket lives for as long',
      30_000,
    )
    const { head, told, last } = seen
    expect(told).toEqual([{ heads: { [busy]: head + 1 } }, { heads: { [busy]: head + 2 } }])
    // Once more, in case it could not be told the first time; then no more.
    expect(last.length).toBeLessThanOrEqual(2)
  } finally {
    await server.stopAndForget()
  }
})
