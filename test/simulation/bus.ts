/**
 * A bus between nodes that does what its contract allows: it loses, repeats, delays and reorders,
 * and is away for a while. What a node says itself it hears at once, as with the real one.
 */
import type { Bus, BusListener, LiveEvent } from '../../src/live/bus.ts'
import type { Id, TimelineId } from '../../src/types.ts'
import type { Life, Scheduler } from './scheduler.ts'
import type { BusWeather } from './weather.ts'

/** Whoever opens a timeline waits for the bus no longer than this. */
const OPEN_MS_MAX = 250

export class BusNetwork {
  readonly scheduler: Scheduler
  readonly weather: () => BusWeather
  readonly #nodes = new Set<SimBus>()

  constructor(scheduler: Scheduler, weather: () => BusWeather) {
    this.scheduler = scheduler
    this.weather = weather
  }

  add(bus: SimBus): void {
    this.#nodes.add(bus)
  }

  remove(bus: SimBus): void {
    this.#nodes.delete(bus)
  }

  /** To every node but the sender. */
  send(from: SimBus, arrive: (bus: SimBus) => void): void {
    const { loses, doubles, latencyMs } = this.weather()
    for (const bus of this.#nodes) {
      if (bus === from || this.scheduler.chance(loses)) continue
      const times = this.scheduler.chance(doubles) ? 2 : 1
      for (let i = 0; i < times; i++)
        this.scheduler.after(this.scheduler.below(latencyMs), () => arrive(bus), bus.life)
    }
  }
}

export class SimBus implements Bus {
  connected = true
  readonly life: Life
  readonly #network: BusNetwork
  readonly #toldOver: (sessions: readonly Id[]) => void
  #listener: BusListener | undefined
  /** With true once the network knows of it. */
  readonly #open = new Map<TimelineId, boolean>()

  constructor(network: BusNetwork, life: Life, toldOver: (sessions: readonly Id[]) => void) {
    this.#network = network
    this.life = life
    this.#toldOver = toldOver
    network.add(this)
  }

  listen(listener: BusListener): void {
    this.#listener = listener
  }

  open(timeline: TimelineId): Promise<void> | undefined {
    this.#open.set(timeline, false)
    if (!this.connected) return undefined
    const { scheduler, weather } = this.#network
    const takesMs = scheduler.below(weather().latencyMs)
    scheduler.after(takesMs, () => this.#settle(timeline), this.life)
    return new Promise((resolve) => {
      scheduler.after(Math.min(takesMs, OPEN_MS_MAX), resolve, this.life)
    })
  }

  #settle(timeline: TimelineId): void {
    if (this.connected && this.#open.has(timeline)) this.#open.set(timeline, true)
  }

  close(timeline: TimelineId): void {
    this.#open.delete(timeline)
  }

  publish(events: readonly LiveEvent[]): void {
    this.#listener?.events(events)
    if (!this.connected) return
    for (const [timeline, news] of Map.groupBy(events, (event) => event.timeline))
      this.#network.send(this, (bus) => bus.#arrive(timeline, news))
  }

  #arrive(timeline: TimelineId, news: readonly LiveEvent[]): void {
    if (this.connected && this.#open.get(timeline)) this.#listener?.events(news)
  }

  revoke(sessions: readonly Id[]): void {
    this.#tellOver(sessions)
    if (this.connected) this.#network.send(this, (bus) => bus.connected && bus.#tellOver(sessions))
  }

  #tellOver(sessions: readonly Id[]): void {
    this.#toldOver(sessions)
    this.#listener?.revoked(sessions)
  }

  /** The bus goes away; what is said until `join` is lost. */
  part(): void {
    this.connected = false
    for (const timeline of this.#open.keys()) this.#open.set(timeline, false)
  }

  join(): void {
    if (this.connected) return
    this.connected = true
    for (const timeline of this.#open.keys()) this.#open.set(timeline, true)
    this.#listener?.joined()
  }

  async stop(): Promise<void> {
    this.#listener = undefined
    this.#network.remove(this)
  }
}
