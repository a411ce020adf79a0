/** The heads that a WebSocket is told with the heartbeat. */
import { expect, test } from 'bun:test'
import { ServerProcess, signUp, until } from '../harness.ts'
import { Socket } from '../live.ts'

test('they are told when they have moved, not again and again', async () => {
  // Whoever does not answer a ping until the next one is cut, so there is time to answer.
  const heartbeatMs = 500
  const beating = await ServerProcess.start({ heartbeatMs })
  try {
    const eve = await signUp(beating.url)
    const [{ id: busy }, { id: quiet }] = [await eve.createRoom(), await eve.createRoom()]
    await eve.post(`/room/${quiet}`, 'old')
    const socket = await Socket.of(eve)
    for (const room of [busy, quiet]) await socket.ask('subscribe', { room })
    for (let n = 1; n <= 2; n++) {
      await eve.post(`/room/${busy}`, `message ${n}`)
      const told = await socket.frames.find((frame) => frame.heads?.[busy] === n, 'it is told')
      expect(told).toEqual({ heads: { [busy]: n } })
    }
    // It may be told once more; what has not moved for two heartbeats is not.
    const pass = async (beats: number) => {
      const endAt = performance.now() + beats * heartbeatMs
      await until(() => performance.now() > endAt, 'some heartbeats pass')
      return socket.ask('ping')
    }
    await pass(2.2)
    const before = socket.frames.all.length
    const pong = await pass(2.2)
    expect(socket.frames.all.slice(before)).toEqual([pong])
    socket.close()
  } finally {
    await beating.stopAndForget()
  }
})
