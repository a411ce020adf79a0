/** What is known of a run when it is judged, and what may be wrong with it. */
import type { Seq, TimelineId } from '../types.ts'

/** One try to post. A retry is another one with the same key. */
export interface Attempt {
  client: string
  key: string
  timeline: TimelineId
  text: string
  /** When it was sent and when its answer came, on one clock for the whole run. */
  invokedAt: number
  completedAt: number
  /** `failed` means refused, with nothing done; `unknown` is any other end but an answer. */
  outcome: 'ok' | 'failed' | 'unknown'
  /** If `ok`. */
  seq?: Seq
}

/** An event as it stands in the log. */
export interface Logged {
  seq: Seq
  text: string
  /** Who said it and when, as it was told; the same wherever it is read. */
  stamp?: string
  /** In an inbox: where the message stands in its conversation. */
  inner?: Seq
}

export interface Seen extends Logged {
  /** When it came. */
  at: number
}

/** What one reader was given by one subscription, or by one round of paging. */
export interface Reading {
  reader: string
  via: string
  timeline: TimelineId
  after: Seq
  events: Seen[]
  /** It stayed to the end, so it must have been given everything. */
  toTheEnd: boolean
  signedOutAt?: number
}

export interface History {
  attempts: readonly Attempt[]
  /** The timelines as they stand in the end. */
  log: ReadonlyMap<TimelineId, readonly Logged[]>
  readings: readonly Reading[]
  /** Who may read a timeline; one that is not here may be read by everyone. */
  members?: ReadonlyMap<TimelineId, readonly string[]>
  /** Those of the timelines that are inboxes, and whose. They hold what others posted to them. */
  inboxes?: ReadonlyMap<TimelineId, string>
}

export type FaultKind =
  /** Acknowledged, not in the log. */
  | 'lost'
  /** In the log or seen, and sent by nobody. */
  | 'phantom'
  /** Refused, and there all the same. */
  | 'aborted-read'
  /** Two seqs for one key. */
  | 'duplicate'
  | 'gap'
  /** Two texts for one seq. */
  | 'inconsistent'
  /** One message, told in two ways: of another author, or of another time. */
  | 'diverge'
  | 'nonmonotonic'
  /** Sent after the other was acknowledged, and yet before it in the log. */
  | 'realtime-inversion'
  /** A reader who stayed was not given everything. */
  | 'unseen'
  /** Seen by someone whom it does not concern. */
  | 'leak'
  /** Given more than a second after the sign-out. */
  | 'zombie'

export interface Fault {
  kind: FaultKind
  timeline: TimelineId
  what: string
}

/** What is known of one key. */
export interface Post {
  client: string
  timeline: TimelineId
  text: string
  /** Of its first attempt: from then on it may take effect. */
  invokedAt: number
  /** Of its first acknowledgement: by then it has. */
  ackedAt: number
  acked: Set<Seq>
  /** Every attempt was refused. */
  refused: boolean
  /** Where it stands in the log. */
  seqs: Seq[]
}
