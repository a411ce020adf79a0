/** Everyone comes back at once: nobody is left outside, and too many are told when to come. */
import { expect, test } from 'bun:test'
import { connect, type Socket } from 'node:net'
import { ServerProcess, signUp, within } from '../harness.ts'
import { handshake, rawRequest } from '../raw.ts'

/** More than the runtime's own queue of new connections holds, which is 512. */
const AT_ONCE = 1_500

function connected(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket))
    socket.once('error', reject)
  })
}

test('connections wait in the kernel while the server cannot accept them', async () => {
  const server = await ServerProcess.start()
  try {
    process.kill(server.pid, 'SIGSTOP')
    const port = Number(new URL(server.url).port)
    const all = Promise.all(Array.from({ length: AT_ONCE }, () => connected(port)))
    const sockets = await within(all, 'all are queued, though nobody accepts them')
    for (const socket of sockets) socket.destroy()
  } finally {
    process.kill(server.pid, 'SIGCONT')
    await server.stopAndForget()
  }
})

test('so many are let in at once; the next is told to come back within seconds', async () => {
  const server = await ServerProcess.start({ connectsBurstMax: 3, connectsPerSecondMax: 1 })
  try {
    const ada = await signUp(server.url)
    const room = await ada.createRoom()
    const { host } = new URL(server.url)
    const authorization = { Host: host, Authorization: `Bearer ${ada.token}` }
    const paths = ['/ws', `/room/${room.id}/subscribe`, '/subscribe']
    for (const path of paths) {
      const { response, connection } = await rawRequest(server.url, handshake(path, authorization))
      expect(response?.status).toBe(101)
      connection.cut()
    }
    // Some of these may be let in, one for each second that has passed, and three for a long time.
    const late = await Promise.all(
      [...paths, ...paths, ...paths].map((path) =>
        rawRequest(server.url, handshake(path, authorization)),
      ),
    )
    const refused = late.map(({ response }) => response!).filter(({ status }) => status !== 101)
    expect(refused.length).toBeGreaterThan(0)
    for (const { status, headers, body } of refused) {
      expect([status, JSON.parse(body).code]).toEqual([503, 'overloaded'])
      expect(Number(headers.get('retry-after'))).toBeWithin(1, 6)
    }
    for (const { connection } of late) connection.cut()
    const plain = await ada.get<unknown[]>('/rooms')
    expect(plain).toHaveLength(1)
  } finally {
    await server.stopAndForget()
  }
})
