/** Ports for programs that cannot choose one themselves, or must keep theirs over a restart. */
import { createServer } from 'node:net'

/** Below the ports that the kernel gives to whoever connects, or asks for any: see below. */
const FIRST = 20_000
const COUNT = 10_000

/**
 * One on 127.0.0.1 that nobody listens on. Nobody gets it by chance either, before the program
 * listens, or while it is away: not somebody else's connection, and not a client's that tries to
 * reach that very port again and again, and would else meet itself there one day.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * COUNT)
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const server = createServer()
  server.once('error', () => resolve(false))
  server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  return promise
}
