/** A bus that loses, repeats and reorders what comes from other nodes, which a bus may do. */
import type { Bus, BusListener, LiveEvent } from '../../src/live/bus.ts'
import type { Id, TimelineId } from '../../src/types.ts'

/** Parts of all messages. The rest arrives as it should. */
export interface Losses {
  dropped: number
  doubled: number
  /** Come later than those that were sent after them. */
  late: number
}

const LATE_MS_MAX = 20

export class LossyBus implements Bus {
  readonly #bus: Bus
  readonly #losses: Losses
  /** What this node publishes itself reaches it at once, whatever the bus does. */
  #isOwn = false
  /** How many messages met with each fate. */
  readonly counts = { dropped: 0, doubled: 0, late: 0, unharmed: 0 }

  constructor(bus: Bus, losses: Losses) {
    this.#bus = bus
    this.#losses = losses
  }

  get connected(): boolean {
    return this.#bus.connected
  }

  listen(listener: BusListener): void {
    this.#bus.listen({
      events: (events) =>
        this.#isOwn ? listener.events(events) : this.#harm(() => listener.events(events)),
      revoked: (ids) =>
        this.#isOwn ? listener.revoked(ids) : this.#harm(() => listener.revoked(ids)),
      joined: () => listener.joined(),
    })
  }

  #harm(tell: () => void): void {
    const { dropped, doubled, late } = this.#losses
    const fate = Math.random()
    if (fate < dropped) this.counts.dropped += 1
    else if (fate < dropped + doubled) {
      this.counts.doubled += 1
      tell()
      tell()
    } else if (fate < dropped + doubled + late) {
      this.counts.late += 1
      setTimeout(tell, Math.random() * LATE_MS_MAX)
    } else {
      this.counts.unharmed += 1
      tell()
    }
  }

  open(timeline: TimelineId): Promise<void> | undefined {
    return this.#bus.open(timeline)
  }

  close(timeline: TimelineId): void {
    this.#bus.close(timeline)
  }

  publish(events: readonly LiveEvent[]): void {
    this.#asOwn(() => this.#bus.publish(events))
  }

  revoke(sessions: readonly Id[]): void {
    this.#asOwn(() => this.#bus.revoke(sessions))
  }

  stop(): Promise<void> {
    return this.#bus.stop()
  }

  #asOwn(work: () => void): void {
    this.#isOwn = true
    try {
      work()
    } finally {
      this.#isOwn = false
    }
  }
}
