/**
 * The network between a browser and the server, as a proxy that can be cut, stalled and restored.
 * It is cut for open connections, too, which a browser's own offline switch leaves alone. Its
 * address stays the same when the server comes back on another port.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'

type State = 'open' | 'stalled' | 'cut'

export class Network {
  readonly url: string
  #target: URL
  #state: State = 'open'
  readonly #server: Server
  /** Both ends of everything that goes through. */
  readonly #ends = new Set<Socket>()

  private constructor(server: Server, target: string) {
    this.#server = server
    this.#target = new URL(target)
    this.url = `http://127.0.0.1:${(server.address() as { port: number }).port}`
    server.on('connection', (near) => this.#accept(near))
  }

  static async to(target: string): Promise<Network> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new Network(server, target)
  }

  /** Connections from now on go there. */
  lead(target: string): void {
    this.#target = new URL(target)
  }

  /** Breaks what is open, and whatever is tried, until `restore`. */
  cut(): void {
    this.#state = 'cut'
    for (const end of this.#ends) end.resetAndDestroy()
  }

  /** Everything stays open, and nothing gets through, until `restore`. */
  stall(): void {
    this.#state = 'stalled'
    for (const end of this.#ends) end.pause()
  }

  restore(): void {
    this.#state = 'open'
    for (const end of this.#ends) end.resume()
  }

  async close(): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #accept(near: Socket): void {
    if (this.#state === 'cut') {
      near.on('error', () => {})
      near.resetAndDestroy()
      return
    }
    const far = connect(Number(this.#target.port), this.#target.hostname)
    this.#join(near, far)
    this.#join(far, near)
  }

  /** What comes in at one end goes out at the other, at the pace the other takes it. */
  #join(from: Socket, to: Socket): void {
    this.#ends.add(from)
    from.setNoDelay(true)
    if (this.#state === 'stalled') from.pause()
    from.on('data', (bytes) => {
      if (to.write(bytes)) return
      from.pause()
      to.once('drain', () => this.#state === 'open' && from.resume())
    })
    from.on('end', () => to.end())
    from.on('error', () => to.destroy())
    from.on('close', () => {
      this.#ends.delete(from)
      // What has come in up to a proper end is still to be written.
      if (!from.readableEnded) to.destroy()
    })
  }
}
