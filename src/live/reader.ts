import type { Seq, TimelineId } from '../types.ts'
import type { Format } from './format.ts'
import type { Turns } from './turns.ts'

/** A transport's end of a feed: a WebSocket (with many feeds) or a stream. */
export interface Reader {
  readonly format: Format
  /** There if several feeds share this reader. */
  readonly turns?: Turns | undefined
  /**
   * Takes a frame, always. False means that the reader should not be given more of a backfill until
   * `drained`. A reader too far behind ends itself.
   */
  write(frame: string): boolean
  /** Resolves when more may be written, and at once if the reader has ended. */
  drained(): Promise<void>
  /** The backfill is over; everything up to `seq` has been written. */
  caughtUp(timeline: TimelineId, seq: Seq): void
  /** The feed cannot go on: the reader should come back later. */
  failed(error: unknown): void
}
