/** Stands between a client and a server, and can lose what the server answers. */
import { connect, createServer, type Server, type Socket } from 'node:net'

export class DeafProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** Answers are lost: those that were asked for meanwhile never come. */
  isDeaf = false
  /** Bytes that were lost so far. */
  lost = 0

  static async start(port: number): Promise<DeafProxy> {
    const proxy = new DeafProxy(port)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  private constructor(port: number) {
    this.#server = createServer((client) => {
      const server = connect(port, '127.0.0.1')
      client.pipe(server)
      server.on('data', (chunk) => {
        if (this.isDeaf) this.lost += chunk.length
        else client.write(chunk)
      })
      for (const [one, other] of [
        [client, server],
        [server, client],
      ] as const) {
        this.#sockets.add(one)
        one.on('error', () => {})
        one.on('close', () => {
          this.#sockets.delete(one)
          other.destroy()
        })
      }
    })
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  /** Cuts all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  stop(): void {
    this.#server.close()
    this.cut()
  }
}
