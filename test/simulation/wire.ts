/**
 * One WebSocket and the network below it. To the server it is what the runtime gives it; to the
 * person, frames in order. What the person does not take fills the kernel's buffer and then waits
 * in the socket, as in Bun 1.4.5: `send` answers −1, and `writable` tells when some has gone out.
 * Either side may vanish without the other's knowing.
 */

import type { RawSocket } from '../../src/api/socket-output.ts'
import type { Frame } from '../../src/live/format.ts'
import type { Life, Scheduler } from './scheduler.ts'
import type { NetworkWeather } from './weather.ts'

/** The server's end, as the runtime calls it. */
export interface Server {
  received(text: string | undefined): void
  ponged(): void
  writable(): void
  closed(): void
}

/** The person's end. */
export interface Client {
  frame(text: string): void
  /** 1006 if it was cut. */
  closed(code: number): void
}

type Item = { text: string } | { ping: true } | { code: number }

export interface WireOptions {
  scheduler: Scheduler
  weather: () => NetworkWeather
  life: Life
  client: Client
  /** Bytes on their way that the person has not taken. */
  kernelBytes: number
  /** Bytes that may wait in the socket; past it the runtime drops the frame, and the socket. */
  backlogBytes: number
}

/** A server that ends takes no longer to be noticed. */
const NOTICED_MS_MAX = 3_000
/** From a buffer's having room to the server's hearing of it. */
const WRITABLE_MS_MAX = 2

export class Wire implements RawSocket {
  server: Server | undefined
  /** Before each frame that the server sends. */
  onSent: () => void = () => {}
  /** The person takes nothing. */
  stalled = false
  readonly #options: WireOptions
  /** In the kernels and on the way. */
  #way: Item[] = []
  #wayBytes = 0
  #waiting: Item[] = []
  #waitingBytes = 0
  #corked = false
  #taking = false
  #writableSoon = false
  /** The server has closed it: nothing more is sent. */
  #closing = false
  /** Nothing crosses any more. */
  #dead = false
  #clientTold = false
  #serverTold = false
  #lastSentAt = 0

  constructor(options: WireOptions) {
    this.#options = options
  }

  get life(): Life {
    return this.#options.life
  }

  #latency(): number {
    return this.#options.scheduler.below(this.#options.weather().latencyMs)
  }

  // The server's end.

  send(frame: Frame): number {
    if (typeof frame !== 'string') throw new Error('nobody asked for deflated frames')
    if (this.#closing || this.#serverTold) return 0
    this.onSent()
    if (this.#waitingBytes + frame.length > this.#options.backlogBytes) {
      this.terminate()
      return 0
    }
    this.#waiting.push({ text: frame })
    this.#waitingBytes += frame.length
    if (this.#corked) return frame.length
    this.#push()
    return this.#waitingBytes > 0 ? -1 : frame.length
  }

  cork(write: () => void): void {
    this.#corked = true
    write()
    this.#corked = false
    this.#push()
  }

  getBufferedAmount(): number {
    return this.#corked ? 0 : this.#waitingBytes
  }

  ping(): void {
    if (this.#closing || this.#serverTold) return
    this.#waiting.push({ ping: true })
    this.#push()
  }

  close(code: number): void {
    if (this.#closing || this.#serverTold) return
    this.#closing = true
    this.#waiting.push({ code })
    this.#push()
  }

  terminate(): void {
    this.#lose()
    this.#tellServer(0)
    this.#tellClient(1006, this.#latency())
  }

  /** Hands the kernel what it has room for. */
  #push(): void {
    const { kernelBytes } = this.#options
    while (this.#waiting.length > 0) {
      const [item] = this.#waiting as [Item]
      const bytes = 'text' in item ? item.text.length : 0
      if (this.#wayBytes > 0 && this.#wayBytes + bytes > kernelBytes) break
      this.#waiting.shift()
      this.#waitingBytes -= bytes
      this.#way.push(item)
      this.#wayBytes += bytes
    }
    this.#take()
  }

  // The way to the person.

  #take(): void {
    if (this.#taking || this.stalled || this.#way.length === 0 || this.#dead) return
    this.#taking = true
    this.#options.scheduler.after(this.#latency(), () => this.#taken(), null)
  }

  #taken(): void {
    this.#taking = false
    if (this.stalled || this.#dead) return
    const item = this.#way.shift()
    if (item === undefined) return
    if ('text' in item) {
      this.#wayBytes -= item.text.length
      if (!this.#clientTold) this.#options.client.frame(item.text)
    } else if ('ping' in item) this.#toServer((server) => server.ponged())
    else {
      this.#tellClient(item.code, 0)
      this.#tellServer(this.#latency())
    }
    this.#makeWritable()
    this.#take()
  }

  #makeWritable(): void {
    if (this.#writableSoon || this.#waiting.length === 0) return
    this.#writableSoon = true
    const { scheduler, life } = this.#options
    const tell = () => {
      this.#writableSoon = false
      // A ping may have pushed the rest out meanwhile, of which nobody is told.
      if (this.#waiting.length === 0 || this.#serverTold) return
      this.#push()
      this.server?.writable()
    }
    scheduler.after(scheduler.below(WRITABLE_MS_MAX), tell, life)
  }

  // The person's end.

  write(text: string): void {
    this.#toServer((server) => server.received(text))
  }

  /** In the order sent. */
  #toServer(tell: (server: Server) => void): void {
    if (this.#dead || this.#clientTold) return
    const { scheduler, life } = this.#options
    const at = Math.max(this.#lastSentAt, scheduler.now + this.#latency())
    this.#lastSentAt = at
    scheduler.after(
      at - scheduler.now,
      () => {
        if (!this.#dead && !this.#serverTold && this.server) tell(this.server)
      },
      life,
    )
  }

  resume(): void {
    this.stalled = false
    this.#take()
  }

  /** The person closes it, or loses it and notices. */
  drop(): void {
    this.#lose()
    this.#tellServer(this.#latency())
    this.#tellClient(1006, 0)
  }

  /** The network is gone. The server finds out by its heartbeat, the person by theirs. */
  deafen(): void {
    this.#lose()
    this.#tellClient(1006, this.#options.scheduler.below(NOTICED_MS_MAX))
  }

  /** The node's process is gone. */
  die(): void {
    this.#lose()
    this.#serverTold = true
    const { scheduler } = this.#options
    this.#tellClient(
      1006,
      scheduler.chance(0.7) ? this.#latency() : scheduler.below(NOTICED_MS_MAX),
    )
  }

  #lose(): void {
    this.#dead = true
    this.#way = []
    this.#waiting = []
    this.#wayBytes = 0
    this.#waitingBytes = 0
  }

  #tellServer(ms: number): void {
    if (this.#serverTold) return
    this.#serverTold = true
    const { scheduler, life } = this.#options
    scheduler.after(ms, () => this.server?.closed(), life)
  }

  #tellClient(code: number, ms: number): void {
    if (this.#clientTold) return
    this.#clientTold = true
    this.#options.scheduler.after(ms, () => this.#options.client.closed(code), null)
  }
}
