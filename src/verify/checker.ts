/**
 * Judges what happened in a run: who posted what and was told what, what each reader was given, and
 * what the log holds in the end. One pass over everything, so that runs may be long.
 *
 * Events are recognised by their text, so each message of a run has a text of its own.
 */
import type { Seq, TimelineId } from '../types.ts'
import { checkInboxes } from './inboxes.ts'
import { checkStep } from './steps.ts'

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

const SIGN_OUT_MS_MAX = 1_000

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

/** Everything that is wrong with the history; empty if nothing is. */
export function faultsOf(history: History): Fault[] {
  const faults: Fault[] = []
  const posts = postsOf(history.attempts)
  for (const [timeline, events] of history.log)
    if (!history.inboxes?.has(timeline)) checkLog(timeline, events, posts, faults)
  for (const post of posts.values()) checkPost(post, faults)
  checkInboxes(history, posts, faults)
  for (const reading of history.readings) checkReading(reading, history, posts, faults)
  return faults
}

function postsOf(attempts: readonly Attempt[]): Map<string, Post> {
  const posts = new Map<string, Post>()
  const keys = new Map<string, string>()
  for (const { client, key, timeline, text, invokedAt, completedAt, outcome, seq } of attempts) {
    const scope = JSON.stringify([client, timeline, key])
    if ((keys.get(text) ?? scope) !== scope) throw new Error(`two keys for the text ${text}`)
    keys.set(text, scope)
    const post = posts.get(text) ?? {
      ...{ client, timeline, text, invokedAt, ackedAt: Number.POSITIVE_INFINITY },
      ...{ acked: new Set<Seq>(), refused: true, seqs: [] },
    }
    posts.set(text, post)
    post.invokedAt = Math.min(post.invokedAt, invokedAt)
    if (outcome !== 'failed') post.refused = false
    if (outcome !== 'ok') continue
    post.ackedAt = Math.min(post.ackedAt, completedAt)
    post.acked.add(seq!)
  }
  return posts
}

function checkLog(
  timeline: TimelineId,
  events: readonly Logged[],
  posts: ReadonlyMap<string, Post>,
  faults: Fault[],
): void {
  let last = 0
  let lastInvokedAt = Number.NEGATIVE_INFINITY
  for (const { seq, text } of events) {
    checkStep(timeline, last, seq, 'the log', faults)
    last = seq
    const post = posts.get(text)
    if (post === undefined || post.timeline !== timeline) {
      faults.push({ kind: 'phantom', timeline, what: `${seq}: ${text}` })
      continue
    }
    post.seqs.push(seq)
    if (post.ackedAt < lastInvokedAt)
      faults.push({ kind: 'realtime-inversion', timeline, what: `${seq}: ${text}` })
    lastInvokedAt = Math.max(lastInvokedAt, post.invokedAt)
  }
}

function checkPost({ timeline, text, acked, refused, seqs }: Post, faults: Fault[]): void {
  const add = (kind: FaultKind, what: string) => faults.push({ kind, timeline, what })
  if (acked.size > 0 && seqs.length === 0) add('lost', `${text}, acknowledged as ${[...acked]}`)
  if (seqs.length > 1) add('duplicate', `${text} stands at ${seqs}`)
  if (acked.size > 1) add('duplicate', `${text} was acknowledged as ${[...acked]}`)
  if (refused && seqs.length > 0) add('aborted-read', `${text} stands at ${seqs}`)
  for (const seq of acked)
    if (seqs.length > 0 && !seqs.includes(seq))
      add('inconsistent', `${text} was acknowledged as ${seq} and stands at ${seqs}`)
}

function checkReading(
  reading: Reading,
  { log, members }: History,
  posts: ReadonlyMap<string, Post>,
  faults: Fault[],
): void {
  const { timeline, reader, via, after, events, toTheEnd, signedOutAt } = reading
  const who = `${reader} via ${via} after ${after}`
  const add = (kind: FaultKind, what: string) =>
    faults.push({ kind, timeline, what: `${who}: ${what}` })
  const mayRead = (place: TimelineId) => members?.get(place)?.includes(reader) ?? true
  const stored = log.get(timeline) ?? []
  let last = after
  for (const { seq, text, at, stamp } of events) {
    checkStep(timeline, last, seq, who, faults)
    last = seq
    const post = posts.get(text)
    const truth = stored[seq - 1]
    if (truth !== undefined && truth.text !== text)
      add('inconsistent', `${seq} is ${text}, not ${truth.text}`)
    else if (truth?.stamp !== undefined && stamp !== undefined && truth.stamp !== stamp)
      add('diverge', `${seq} is ${text} of ${stamp}, not of ${truth.stamp}`)
    if (truth === undefined && post !== undefined) add('lost', `${seq}: ${text} was seen`)
    if (post?.refused) add('aborted-read', `${seq}: ${text}`)
    if (post === undefined) add('phantom', `${seq}: ${text}`)
    // Wherever it was shown: what is said in a conversation concerns its members alone.
    else if (!mayRead(timeline) || !mayRead(post.timeline)) add('leak', `${seq}: ${text}`)
    if (signedOutAt !== undefined && at > signedOutAt + SIGN_OUT_MS_MAX) add('zombie', `${seq}`)
  }
  if (toTheEnd && last < stored.length) add('unseen', `ends at ${last} of ${stored.length}`)
}
