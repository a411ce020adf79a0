/**
 * The contract of the bus: how nodes tell each other that something happened. The log is the truth
 * and the bus only a doorbell: it may lose, repeat and reorder. A hub that sees a hole reads the
 * store. `test/contracts/bus.ts` is the same contract as a test suite.
 *
 * What holds for every backend:
 *
 * - `publish` never fails and never waits: what cannot be sent is lost, and found again in the log.
 * - The node's own events reach its own listener at once, before `publish` returns.
 * - A node that listens to a timeline gets its events, its own among them, mostly once, mostly in
 *   order. A node that does not listen may get them too.
 * - `revoke` reaches every node within a second, or the node learns it from the store.
 * - After the bus was away it says so by `joined`: what was said meanwhile may be lost.
 */
import type { Id, Seq, TimelineId } from '../types.ts'

/** An event as it travels and as it waits in a tail: encoded once. */
export interface LiveEvent {
  timeline: TimelineId
  seq: Seq
  /** `encodeEvent`'s text. */
  json: string
}

export interface BusListener {
  /** Events of one commit, in order for each timeline. */
  events(events: readonly LiveEvent[]): void
  /** These sessions are over. */
  revoked(sessions: readonly Id[]): void
  /** Other nodes can be heard, for the first time or again. */
  joined(): void
}

export interface Bus {
  /** Whether other nodes can be heard at this moment; true where there are none. */
  readonly connected: boolean
  /** Who is told. Called once, before anything is published. */
  listen(listener: BusListener): void
  /**
   * From now on this node wants the timeline's events. Where that takes a moment it resolves once
   * they come, or if they don't come soon: what is committed later is told, or found as a hole.
   */
  open(timeline: TimelineId): Promise<void> | undefined
  /** The node no longer wants them. */
  close(timeline: TimelineId): void
  publish(events: readonly LiveEvent[]): void
  revoke(sessions: readonly Id[]): void
  stop(): Promise<void>
}
