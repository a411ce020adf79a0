/** A subscription as it is handed out: as events, told in runs, or to a loop, one by one. */
import type { AnyEvent, Channel, Position } from './channel.ts'
import { listen, tell } from './core.ts'
import type { ParleyError } from './errors.ts'
import { Reader } from './reader.ts'
import type { Cursor, Reset, Subscription, SubscriptionState } from './types.ts'

interface Told<E> {
  events: E[]
  reset: Reset
  state: SubscriptionState
  end: ParleyError | undefined
}

export class PlaceSubscription<E extends AnyEvent> extends Reader implements Subscription<E> {
  readonly #listeners: { [Type in keyof Told<E>]: Set<(value: Told<E>[Type]) => void> } = {
    events: new Set(),
    reset: new Set(),
    state: new Set(),
    end: new Set(),
  }
  #state: SubscriptionState = 'catching-up'
  #error: ParleyError | undefined
  /** Where the iterator's consumer stands; the buffer is ahead of it. */
  #consumed: Cursor | undefined
  #iterated = false
  /** What was taken for the iterator, at most a page: no more is taken before it is empty. */
  #buffer: (E | Reset)[] = []
  #next = 0
  /** There while the consumer waits. */
  #wake: (() => void) | undefined

  constructor(channel: Channel, at: Position | undefined) {
    super(channel, at)
    channel.join(this)
  }

  get cursor(): Cursor | undefined {
    if (this.#iterated && this.#next < this.#buffer.length) return this.#consumed
    return this.at?.epoch ? (this.at as Cursor) : undefined
  }

  get state(): SubscriptionState {
    if (this.ended) return 'ended'
    if (this.channel.core.connection.retryAt) return 'offline'
    return this.complete ? 'live' : 'catching-up'
  }

  get ready(): boolean {
    if (this.ended) return false
    return this.#iterated ? !!this.#wake : this.#listeners.events.size > 0
  }

  get streams(): boolean {
    return true
  }

  on<Type extends keyof Told<E>>(type: Type, listener: (value: Told<E>[Type]) => void) {
    const stop = listen(this.#listeners[type] as Set<(value: Told<E>[Type]) => void>, listener)
    this.pump()
    return stop
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<E | Reset, undefined> {
    this.#iterated = true
    try {
      for (;;) {
        const next = this.#buffer[this.#next]
        if (next) {
          this.#next += 1
          this.#consumed = isReset(next)
            ? { seq: next.head, epoch: next.epoch }
            : { seq: next.seq, epoch: this.#consumed!.epoch }
          yield next
        } else if (this.#error) throw this.#error
        else if (this.ended) return
        else await this.#more()
      }
    } finally {
      this.end()
    }
  }

  #more(): Promise<void> {
    return new Promise((wake) => {
      this.#wake = wake
      this.pump()
    })
  }

  protected take(events: AnyEvent[]): void {
    this.#hold(events as E[], { seq: events[0]!.seq - 1, epoch: this.at!.epoch! })
    tell(this.#listeners.events, events as E[])
  }

  protected wasReset(reset: Reset): void {
    this.#hold([reset])
    tell(this.#listeners.reset, reset)
  }

  /**
   * Events come when the buffer is empty; a reset makes void what is still there, and waits for a
   * loop that has not begun.
   */
  #hold(taken: (E | Reset)[], before = this.#consumed): void {
    this.#consumed = before
    this.#buffer = this.#iterated || isReset(taken[0]!) ? taken : []
    this.#next = 0
    this.#awake()
  }

  #awake(): void {
    this.#wake?.()
    this.#wake = undefined
  }

  protected hasEnded(error: ParleyError | undefined): void {
    this.#error = error
    this.#awake()
    this.check()
    tell(this.#listeners.end, error)
  }

  override check(): void {
    const { state } = this
    if (state === this.#state) return
    this.#state = state
    tell(this.#listeners.state, state)
  }
}

function isReset(taken: AnyEvent | Reset): taken is Reset {
  return 'type' in taken && taken.type === 'reset'
}
