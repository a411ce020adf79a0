/**
 * The contract of every store. It speaks of timelines and events; how they are kept is the
 * backend's affair. `test/contracts/store.ts` is the same contract as a test suite.
 *
 * What holds for every backend:
 *
 * - **Durable.** A promise of a writing method resolves after the change is committed and fsynced,
 *   and never before. If it rejects with `storage_full` or `store_unavailable` nothing was changed;
 *   with `outcome_unknown` the change may or may not have happened.
 * - **Atomic.** A batch given to `append` is one transaction: all of it or nothing. An event and
 *   its inbox entry are never apart.
 * - **Ordered, gapless.** A timeline's head is raised in the transaction that inserts its events,
 *   so seqs have no holes and readers see no seq before all lower ones. Within a batch, events of
 *   one timeline get their seqs in the order given. The caller sends one batch at a time.
 * - **Once.** (timeline, author, key) is unique for ever, within a batch and across batches.
 * - **Monotonic time.** `at` never decreases along a timeline, whatever the caller's clock says. An
 *   inbox entry has no time of its own: it carries its message's.
 * - **Read your writes.** A read begun after a write resolved sees it.
 *
 * Errors are `Problem`s of the table in `errors.ts`. A failure after which the disk's state cannot
 * be known (a failed fsync) is not returned: it ends the process through `onFatal`.
 */
import type { Label } from '../events.ts'
import type {
  Account,
  Id,
  NewEvent,
  Room,
  RoomWithHead,
  Seq,
  Session,
  SessionExpiry,
  SignedIn,
  StoredEvent,
  TimelineId,
  User,
} from '../types.ts'

/** What became of one event of a batch. */
export type Appended =
  | { outcome: 'recorded'; event: StoredEvent; inboxEntry: StoredEvent | null }
  /** The key was used before with the same type and body: the original. */
  | { outcome: 'replayed'; event: StoredEvent }
  /** The key was used before for something else; nothing was stored. */
  | { outcome: 'key_reused' }

/**
 * Which events of a timeline: the `limit` first ones after `after`, or the last before `before`.
 */
export type Range = { after: Seq; limit: number } | { before: Seq; limit: number }

/** A run of a timeline as it goes over the wire. */
export interface EncodedEvents {
  /** Of the first event; the others follow without a hole. 0 if there are none. */
  firstSeq: Seq
  /** `encodeEvent`'s text of each. */
  events: string[]
}

/** A page of a list that is sorted by `sortKey`: items after the one whose key is `after`. */
export interface NamePage {
  /** Only items whose key begins with this. */
  prefix: string
  /** Only items whose key is greater, or smaller with `backwards`. */
  after: string
  /** With true: the `limit` last items before `after`; still in ascending order. */
  backwards: boolean
  limit: number
}

export interface Store {
  /** Random, kept with the data, renewed when a backup is restored: cursors of another are void. */
  readonly epoch: string

  append(batch: readonly NewEvent[]): Promise<Appended[]>
  /** Ascending by seq, whichever way the range runs. An unknown timeline is an empty one. */
  list(timeline: TimelineId, range: Range): Promise<StoredEvent[]>
  /**
   * What `list` gives, encoded with the label: for whoever passes it on. A backend does that where
   * it reads, and spares the thread that everyone shares.
   */
  listEncoded(timeline: TimelineId, range: Range, label: Label): Promise<EncodedEvents>
  /** The last seq of each timeline, 0 for one without events. */
  heads(timelines: readonly TimelineId[]): Promise<Seq[]>

  /** False, and nothing changed, if the name is taken. */
  createUser(account: Account): Promise<boolean>
  findUser(id: Id): Promise<User | undefined>
  findAccount(name: string): Promise<Account | undefined>
  /** Sorted by name. */
  listUsers(page: NamePage): Promise<User[]>

  /** `nameKey` is the folded name, unique. False, and nothing changed, if it is taken. */
  createRoom(room: Room, nameKey: string): Promise<boolean>
  findRoom(id: Id): Promise<Room | undefined>
  /** Sorted by `nameKey`, which `page` also refers to. Each with the head of its timeline. */
  listRooms(page: NamePage): Promise<(RoomWithHead & { nameKey: string })[]>

  /**
   * Keeps the session, and in the same transaction deletes what its user has beyond `keep` sessions
   * that are valid at its beginning, this one included, oldest first. Tells whose ids those were.
   */
  createSession(session: Session, keep: number): Promise<Id[]>
  /** With its user, in one look; undefined without one. */
  findSession(tokenHash: string): Promise<SignedIn | undefined>
  /** Newest first; expired ones left out. */
  listSessions(userId: Id, now: number, limit: number): Promise<Session[]>
  /** The session that was deleted, or undefined if this user has no such session. */
  deleteSession(id: Id, userId: Id): Promise<Session | undefined>
  /** Those of these sessions that are kept, in any order: one that was deleted is left out. */
  liveSessions(ids: readonly Id[]): Promise<SessionExpiry[]>
  /** Moves `usedAt` and `expiresAt` forward. A session that is gone stays gone. */
  touchSession(id: Id, usedAt: number, expiresAt: number): Promise<void>
  /** Deletes sessions that expired before `now`, at most `limit`; tells how many. */
  deleteExpiredSessions(now: number, limit: number): Promise<number>

  /** Resolves if the store can read and write at this moment; else rejects. Changes nothing. */
  check(): Promise<void>
  /** Finishes what was begun, then lets go of files and threads. */
  close(): Promise<void>
}

/** What a backend needs from its surroundings. */
export interface StoreOptions {
  /** Called once when the store can no longer vouch for its data; the process must end. */
  onFatal: (error: Error) => void
  /** Called with each page that a replica was asked for. */
  onReplicaPage?: (outcome: ReplicaOutcome) => void
  /**
   * Called if the data was found to lack what it once held: what, in words. What is left is served
   * under a new epoch, without sessions.
   */
  onLoss?: (what: string) => void
}

/**
 * What came of asking a replica for a page: it was read; the replica was behind; it was no standby
 * of this database as it is now; or it gave no answer. But for the first the primary was asked.
 */
export type ReplicaOutcome = 'read' | 'behind' | 'unfit' | 'away'
