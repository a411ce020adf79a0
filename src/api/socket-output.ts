/**
 * What one WebSocket is sent: replies, gathered over a turn of the event loop, and slices of the
 * timelines it follows. As soon as the other side takes less than it is given, nothing more is
 * pushed until it has drained.
 */
import { type Deferred, deferred } from '../clock.ts'
import type { Format, Frame } from '../live/format.ts'
import { Reader } from '../live/reader.ts'
import type { Slice } from '../live/slice.ts'
import type { LiveTimeline } from '../live/timeline.ts'
import type { Seq, TimelineId } from '../types.ts'
import type { EndCause } from './connections.ts'
import type { Outbox, Sender } from './outbox.ts'

/** The runtime's socket, as the runtime gives it: a wrapper would cost more than all the rest. */
export interface RawSocket {
  /**
   * Text as a text frame, bytes as a binary one. Bytes sent; −1 if some wait because the other side
   * reads too slowly; 0 if they were dropped.
   */
  send(frame: Frame): number
  /** What `write` sends goes out together. */
  cork(write: () => void): unknown
  /** Bytes that wait. */
  getBufferedAmount(): number
  ping(): unknown
  close(code: number, reason: string): void
  /** Cuts it, without a closing handshake. */
  terminate(): void
}

export interface OutputLimits {
  /** Bytes that may wait in the socket, and that a live reader may be behind. */
  slowReaderBytesMax: number
  /** The longest that it may take no bytes at all. */
  slowReaderMs: number
}

export abstract class SocketOutput extends Reader implements Sender {
  readonly format: Format
  protected readonly socket: RawSocket
  readonly #outbox: Outbox
  readonly #limits: OutputLimits
  /** Gathered for the next write. */
  #replies: string[] | undefined
  /** In the outbox, whatever else may be written before. */
  #inOutbox = false
  #stalled = false
  #drained: Deferred<void> | undefined
  #stalledSince = Number.POSITIVE_INFINITY

  constructor(socket: RawSocket, format: Format, outbox: Outbox, limits: OutputLimits) {
    super()
    this.format = format
    this.socket = socket
    this.#outbox = outbox
    this.#limits = limits
  }

  abstract end(cause: EndCause): void

  get ready(): boolean {
    return !this.#stalled
  }

  protected gather(frame: string): void {
    if (this.ended) return
    if (this.#replies !== undefined) this.#replies.push(frame)
    else this.#replies = [frame]
    // A round that is under way writes to it in a moment: under load that halves the writes.
    if (this.#inOutbox || (this.ready && this.due?.length)) return
    this.#inOutbox = true
    this.#outbox.add(this)
  }

  sendGathered(): void {
    this.#inOutbox = false
    if (this.#replies !== undefined && !this.ended) this.#sendTogether([])
  }

  /** The round that replies may be waiting for has nothing for it any more. */
  override cancel(timeline: LiveTimeline): void {
    super.cancel(timeline)
    if (!this.due?.length) this.sendGathered()
  }

  write(slices: readonly Slice[]): number {
    if (this.ended) return slices.length
    if (slices.length > 1 || this.#replies !== undefined) return this.#sendTogether(slices)
    this.#send(slices[0]!.frame(this.format))
    return 1
  }

  /** Replies that were gathered before come first. Returns how many slices were taken. */
  #sendTogether(slices: readonly Slice[]): number {
    const replies = this.#replies ?? []
    this.#replies = undefined
    let taken = 0
    this.socket.cork(() => {
      for (const reply of replies) this.#send(reply)
      while (taken < slices.length && (taken === 0 || this.ready))
        this.#send(slices[taken++]!.frame(this.format))
    })
    // Corked frames are only tried when the cork comes off.
    if (!this.ended && this.socket.getBufferedAmount() > 0) this.#waiting()
    return taken
  }

  #send(frame: Frame): void {
    if (this.ended) return
    const sent = this.socket.send(frame)
    if (sent === 0) this.end('too_slow')
    else if (sent < 0) this.#waiting()
  }

  /**
   * From now on nothing is pushed. What may still come are replies, and their requests are limited;
   * only if they pile up all the same is it too much.
   */
  #waiting(): void {
    this.#stalled = true
    if (this.socket.getBufferedAmount() > this.#limits.slowReaderBytesMax) this.end('too_slow')
  }

  drained(): Promise<void> {
    if (this.ended || this.ready) return Promise.resolve()
    this.#drained ??= deferred()
    return this.#drained.promise
  }

  caughtUp(timeline: TimelineId, seq: Seq): void {
    this.gather(`{"timeline":"${timeline}","caughtUp":${seq}}`)
  }

  /** The runtime has sent some of what waited. */
  writable(): void {
    this.#stalledSince = Number.POSITIVE_INFINITY
    if (this.socket.getBufferedAmount() === 0) this.wake()
  }

  protected wake(): void {
    this.#stalled = false
    this.#drained?.resolve()
    this.#drained = undefined
  }

  /** True if it takes nothing any more, or stays too far behind. To be asked twice a second. */
  protected isTooSlow(now: number): boolean {
    const { slowReaderMs, slowReaderBytesMax } = this.#limits
    // A ping may have pushed the last of a frame into the kernel, of which nobody is told.
    if (this.#stalled && this.socket.getBufferedAmount() === 0) this.wake()
    if (!this.#stalled) this.#stalledSince = Number.POSITIVE_INFINITY
    else this.#stalledSince = Math.min(this.#stalledSince, now)
    return now - this.#stalledSince > slowReaderMs || this.staysBehind(slowReaderBytesMax)
  }
}
