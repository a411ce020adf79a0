/** Finds out when somebody listens on a port, by trying. */
import type { Loop } from './loop.ts'
import { Tcp } from './tcp.ts'

const ADDRESS = '127.0.0.1'
const TRY_AGAIN_MS = 2

/** Resolves within milliseconds of the moment that connections are taken. */
export function listening(loop: Loop, port: number): Promise<void> {
  return new Promise((resolve) => {
    const attempt = () => {
      const tcp = new Tcp(loop, ADDRESS, port, {
        connected() {
          tcp.close()
          resolve()
        },
        received: () => 0,
        need: 0,
        lost: () => loop.at(performance.now() + TRY_AGAIN_MS, attempt),
      })
    }
    attempt()
  })
}
