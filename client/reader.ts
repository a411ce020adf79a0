/**
 * Somebody who reads a place from a cursor on: a subscription or a window. What comes next is taken
 * from the channel's tail, or, from before it, read from history; so no reader has a queue that
 * could overflow, and a hole, a late start and a slow consumer are the same thing.
 *
 * 1. *Pump.* As long as the reader is ready: take what the tail has after the cursor.
 * 2. *Heal.* If the cursor is before the tail, read a page of history after it, and pump again. A
 *    page that cannot be had is asked for again, later and later.
 * 3. *Reset.* If the cursor cannot be honoured, the reader is told, and goes on after the head.
 *
 * An answer counts only if the cursor is still the one it was asked for.
 */
import type { AnyEvent, Channel, Position } from './channel.ts'
import { Retry } from './clock.ts'
import type { ParleyError } from './errors.ts'
import { waitMs } from './failures.ts'
import type { Reset } from './types.ts'

export abstract class Reader {
  readonly channel: Channel
  /** Undefined until it is known where to start. Replaced, never changed. */
  at: Position | undefined
  ended = false
  #healing = false
  readonly #retry: Retry

  constructor(channel: Channel, at?: Position) {
    this.channel = channel
    this.at = at
    this.#retry = new Retry(channel.core.clock)
  }

  /** Whether it wants events now. */
  abstract get ready(): boolean
  /** Whether it wants every event there is, however many, and also if it is not ready yet. */
  abstract get streams(): boolean
  /** The next events, right after those before. */
  protected abstract take(events: AnyEvent[]): void
  protected abstract wasReset(reset: Reset): void
  protected abstract hasEnded(error: ParleyError | undefined): void
  /** Its state may have changed. */
  check(): void {}
  /** Something that it shows beside its events has changed. */
  touched(): void {}

  /** Everything up to the head is handed out, or in memory for when it is wanted. */
  get complete(): boolean {
    const { at, channel } = this
    const { timeline, epoch, from, to, head } = channel
    if (!timeline || at?.epoch !== epoch || this.#busy) return false
    return at!.seq >= head || (at!.seq >= from && to >= head)
  }

  get #busy(): boolean {
    return this.#healing || this.#retry.pending
  }

  close(): void {
    this.end()
  }

  end(error?: ParleyError): void {
    if (this.ended) return
    this.ended = true
    this.#retry.clear()
    this.channel.leave(this)
    this.hasEnded(error)
  }

  /** The channel is subscribed. What it says of its own cursor need not hold for this one. */
  began(): void {
    if (this.ended) return
    const { epoch, head } = this.channel
    this.#retry.clear()
    this.at ??= { seq: head, epoch }
    if (!this.at.epoch) this.at = { seq: this.at.seq, epoch }
    if (this.at.epoch !== epoch) this.reset(epoch!, head)
    else if (this.at.seq > head) void this.heal()
    this.pump()
    // Nothing else need happen to whoever comes late and finds that there is nothing to do.
    this.channel.check()
  }

  pump(): void {
    const { channel } = this
    while (this.at?.epoch && this.ready && !this.#busy && channel.epoch) {
      const { seq, epoch } = this.at
      if (epoch !== channel.epoch || seq < channel.from) {
        void this.heal()
        return
      }
      if (seq >= channel.to) return
      this.#move(channel.tail.slice(seq - channel.from))
    }
  }

  /** Reads the page after the cursor; it shows, too, whether the cursor is good. */
  protected async heal(): Promise<void> {
    const { channel, at } = this
    if (!at || this.#busy || this.ended) return
    this.#healing = true
    channel.check()
    let failed: unknown
    try {
      const page = await channel.page({ after: at.seq, epoch: at.epoch })
      if (this.at !== at || this.ended) {
        // Moved or reset meanwhile: the answer is to a question of the past.
      } else if (!page.recovered || page.epoch !== at.epoch) {
        const { epoch, events } = await channel.page({ limit: 1 })
        if (this.at === at && !this.ended) this.reset(epoch, events[0]?.seq ?? 0)
      } else if (page.events.length > 0) {
        this.#retry.succeeded()
        if (page.epoch === channel.epoch) channel.raise(page.events.at(-1)!.seq)
        if (this.ready) this.#move(page.events)
      } else if (at.seq < channel.from || at.epoch !== channel.epoch) failed = {}
      if (!this.ended) channel.distrust(this.at!.epoch!)
    } catch (error) {
      failed = error
    }
    this.#healing = false
    if (failed && !this.ended) this.#later(failed as ParleyError)
    this.pump()
    channel.check()
  }

  #later(error: ParleyError): void {
    if (error.status === 404) return this.end(error)
    this.#retry.later(() => {
      this.pump()
      this.channel.check()
    }, waitMs(error))
  }

  #move(events: AnyEvent[]): void {
    this.at = { seq: events.at(-1)!.seq, epoch: this.at!.epoch }
    this.take(events)
  }

  protected reset(epoch: string, head: number): void {
    const { core, place } = this.channel
    // Their events may take the place of those that the timeline has lost.
    for (const post of core.outbox.posts(place)) if (post.headBefore! > head) post.headBefore = head
    this.at = { seq: head, epoch }
    this.wasReset({ type: 'reset', epoch, head })
  }
}
