/**
 * Judges what happened in a run: who posted what and was told what, what each reader was given, and
 * what the log holds in the end. One pass over everything, so that runs may be long.
 *
 * Events are recognised by their text, so each message of a run has a text of its own.
 */
import type { Seq, TimelineId } from '../types.ts'
import type { Attempt, Fault, FaultKind, History, Logged, Post, Reading } from './history.ts'
import { checkInboxes } from './inboxes.ts'
import { checkStep } from './steps.ts'

const SIGN_OUT_MS_MAX = 1_000

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
