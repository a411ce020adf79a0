/**
 * Judges inboxes. Nobody posts to one: the server enters each message of a conversation in the
 * inbox of whom it was posted to, exactly once, and those of one conversation in their order.
 */
import type { Seq, TimelineId } from '../types.ts'
import type { Fault, FaultKind, History, Post } from './history.ts'
import { checkStep } from './steps.ts'

interface Due {
  conversation: TimelineId
  seq: Seq
}

/** By inbox, and there by text, where each message stands in its conversation. */
type DueByInbox = ReadonlyMap<TimelineId, Map<string, Due>>

export function checkInboxes(
  history: History,
  posts: ReadonlyMap<string, Post>,
  faults: Fault[],
): void {
  for (const [inbox, due] of dueIn(history, posts)) checkInbox(inbox, due, history, posts, faults)
}

function dueIn({ log, members, inboxes }: History, posts: ReadonlyMap<string, Post>): DueByInbox {
  const byOwner = new Map<string, Map<string, Due>>()
  const byInbox = new Map<TimelineId, Map<string, Due>>()
  for (const [inbox, owner] of inboxes ?? []) {
    const due = new Map<string, Due>()
    byOwner.set(owner, due)
    byInbox.set(inbox, due)
  }
  for (const [conversation, names] of members ?? []) {
    if (byInbox.has(conversation)) continue
    for (const { seq, text } of log.get(conversation) ?? []) {
      const author = posts.get(text)?.client
      const reader = names.find((name) => name !== author)
      if (reader !== undefined) byOwner.get(reader)?.set(text, { conversation, seq })
    }
  }
  return byInbox
}

function checkInbox(
  inbox: TimelineId,
  due: ReadonlyMap<string, Due>,
  { log, inboxes }: History,
  posts: ReadonlyMap<string, Post>,
  faults: Fault[],
): void {
  const add = (kind: FaultKind, what: string) => faults.push({ kind, timeline: inbox, what })
  const seqs = new Map<string, Seq>()
  const lastOf = new Map<TimelineId, Seq>()
  let last = 0
  for (const { seq, text, inner } of log.get(inbox) ?? []) {
    checkStep(inbox, last, seq, inbox, faults)
    last = seq
    const before = seqs.get(text)
    seqs.set(text, seq)
    const entry = due.get(text)
    const what = `${seq}: ${text}`
    if (before !== undefined) add('duplicate', `${what} stands at ${before}, too`)
    else if (entry === undefined) add(kindOfUndue(posts.get(text), inboxes!.get(inbox)!), what)
    else if (inner !== entry.seq) add('inconsistent', `${what} is said to be ${inner} there`)
    else if (inner < (lastOf.get(entry.conversation) ?? 0)) add('nonmonotonic', what)
    else lastOf.set(entry.conversation, inner)
  }
  for (const [text, { conversation, seq }] of due)
    if (!seqs.has(text)) add('lost', `${seq} of ${conversation}, ${text}, never came here`)
}

/** What its owner has written is in the conversations, and nobody posted it to them. */
function kindOfUndue(post: Post | undefined, owner: string): FaultKind {
  return post === undefined || post.client === owner ? 'phantom' : 'leak'
}
