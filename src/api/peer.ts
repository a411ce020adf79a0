import type { SocketStart } from './socket.ts'

/** What the runtime's server can do for one request. */
export interface Peer {
  /** The address at the other end of the socket. */
  address(): string
  /** From now on the runtime must not cut this request for being quiet. */
  keepOpen(): void
  /** Turns it into a WebSocket; false if the handshake is not valid. */
  upgrade(start: SocketStart): boolean
}
