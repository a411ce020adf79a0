/** The bus of a server that is alone: it hands everything straight to the one listener. */
import type { Bus, BusListener } from './bus.ts'

export function createLocalBus(): Bus {
  let listener: BusListener | undefined
  return {
    connected: true,
    listen(given) {
      listener = given
    },
    // With one node there is no interest to spread: the hub drops what nobody here listens to.
    open: () => undefined,
    close() {},
    publish: (events) => listener?.events(events),
    revoke: (sessions) => listener?.revoked(sessions),
    async stop() {
      listener = undefined
    },
  }
}
