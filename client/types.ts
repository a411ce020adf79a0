/** The nouns of the library: those on the wire first, then what it hands out. */
import type { ParleyError } from './errors.ts'

export interface User {
  id: string
  name: string
  createdAt: string
}

export interface Room {
  id: string
  name: string
  /** The seq of its last message. */
  head: number
  createdAt: string
  createdBy: string
}

export interface Session {
  id: string
  userAgent: string
  createdAt: string
  lastUsedAt: string
  expiresAt: string
  /** Whether it is the one this client uses. */
  current: boolean
}

/** `room` or `user` is always there, also for events that came over the WebSocket. */
export interface Message {
  seq: number
  type: 'message'
  at: string
  from: { id: string; name: string }
  text: string
  room?: string
  user?: string
}

export interface InboxEntry {
  seq: number
  type: 'direct'
  message: Message
}

/** Where one can be: exactly what the protocol takes. */
export type Place = { room: string } | { user: string } | { inbox: true }

export interface ParleyOptions {
  /** Defaults to `location.origin` in a page. */
  url?: string
  /** A session's token. Without one, a page on the server's own origin goes by its cookie. */
  token?: string
  /** Whether the browser's cookie signs in. By default in a page of `url`, without a token. */
  cookie?: boolean
  /** Where unsent posts survive a reload: `localStorage`, or the like. Default: in memory only. */
  storage?: PostStorage
  /** For tests and other runtimes. */
  fetch?: Fetch
  /** For runtimes that have none, such as Node 20. */
  WebSocket?: typeof WebSocket
  /** For tests. */
  clock?: Clock
}

/** As much of `fetch` as is used. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** Where time and chance come from. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  setTimeout(work: () => void, ms: number): unknown
  clearTimeout(timer: unknown): void
  /** From 0 to just below 1. */
  random(): number
}

export interface PostStorage {
  readonly length: number
  key(index: number): string | null
  getItem(name: string): string | null
  setItem(name: string, value: string): void
  removeItem(name: string): void
}

/**
 * - `signed-out`: nobody, or no longer (signed out elsewhere, session ended)
 * - `idle`: signed in, and nothing asks for a connection
 * - `catching-up`: connecting for the first time, or connected and some subscription not yet at its
 *   head
 * - `live`: connected, and every subscription has everything
 * - `offline`: no connection; the next attempt is at `retryAt` (ms since 1970), or under way if
 *   that is past
 */
export type Status =
  | { state: 'signed-out' | 'idle' | 'catching-up' | 'live' }
  | { state: 'offline'; retryAt: number; error?: ParleyError }

export interface Page<E> {
  /** Ascending. */
  events: E[]
  epoch: string
  /** False: the cursor is of another epoch or beyond the head; `events` is empty. */
  recovered: boolean
  hasOlder: boolean
  /** There may be newer ones; always false for the newest page. */
  hasNewer: boolean
}

/** The last event one has, and the database that gave it its number. */
export interface Cursor {
  seq: number
  epoch: string
}

/** At most one of `before`, `after` and `around`. */
export interface HistoryOptions {
  before?: number | undefined
  after?: number | undefined
  around?: number | undefined
  /** 1–1000; 100 by default. */
  limit?: number | undefined
  epoch?: string | undefined
}

export interface Timeline<E extends { seq: number } = Message> {
  readonly place: Place
  /** A page, ascending; without a cursor the newest. */
  history(options?: HistoryOptions): Promise<Page<E>>
  /** Rejects with `no_such_message`. */
  get(seq: number): Promise<E>
  /** The first event at or after that time, by binary search; head + 1 if there is none. */
  findSeq(at: Date): Promise<number>
  /**
   * Everything after the cursor, in order, each once, for ever, across reconnects. Without one:
   * what is new. Throws `not_signed_in`.
   */
  subscribe(options?: { after?: number; epoch?: string }): Subscription<E>
  /** A contiguous run of events that follows the end, for a list on a screen. */
  open(options?: WindowOptions): TimelineWindow<E>
  /**
   * Puts a post in the outbox, which sends it, whatever happens. Throws `outbox_full` and
   * `not_signed_in`.
   */
  post(text: string, options?: { key?: string }): Post
}

/**
 * Told in place of events when the cursor was of another epoch or beyond the head: what you have
 * may be void. Events go on after `head`.
 */
export interface Reset {
  type: 'reset'
  epoch: string
  head: number
}

export type SubscriptionState = 'catching-up' | 'live' | 'offline' | 'ended'

/**
 * `for await (const event of subscription)`: events and resets. At most `QUEUE_MAX` events wait;
 * past it, they are read from history when wanted. Leaving the loop closes the subscription; if it
 * ends for another reason, the loop throws that.
 */
export interface Subscription<E> extends AsyncIterable<E | Reset> {
  /** After the last event handed out; undefined until it is known where to start. */
  readonly cursor: Cursor | undefined
  readonly state: SubscriptionState
  /** In runs as they came, contiguous. Each of these returns a function that stops it. */
  on(type: 'events', listener: (events: E[]) => void): () => void
  on(type: 'reset', listener: (reset: Reset) => void): () => void
  on(type: 'state', listener: (state: SubscriptionState) => void): () => void
  /** Ended for good: closed, signed out, or refused (no such room). */
  on(type: 'end', listener: (error: ParleyError | undefined) => void): () => void
  close(): void
}

export interface Post {
  readonly key: string
  readonly place: Place
  readonly text: string
  /** ms since 1970, by this device's clock. */
  readonly createdAt: number
  readonly state: 'sending' | 'sent' | 'failed'
  readonly attempts: number
  /** Once sent. */
  readonly seq: number | undefined
  readonly at: string | undefined
  /** Why it failed, or why the last attempt did. */
  readonly error: ParleyError | undefined
  /** Resolves when sent; rejects when it fails or is discarded. Need not be awaited. */
  readonly sent: Promise<{ seq: number; at: string }>
  /** Failed → sending again, with the same key (a new one after `key_reused`). */
  retry(): void
  /** Takes it out of the outbox. A post under way may have arrived nevertheless. */
  discard(): void
}

/** Posts of one timeline go one after the other, in the order written; timelines side by side. */
export interface Outbox {
  /** Sending and failed, and sent ones whose event a window has still to show; in order. */
  posts(place?: Place): Post[]
  onChange(listener: () => void): () => void
}

export interface WindowOptions {
  /** Start around this seq instead of at the end. */
  around?: number
  /** Events kept in memory; past it they are dropped at the far end. Default 500. */
  eventsMax?: number
  /** Default 50. */
  pageSize?: number
}

export interface TimelineWindow<E> {
  /** Contiguous, ascending, at most `eventsMax`; another array after each change. */
  readonly events: readonly E[]
  /** My posts that are not among the events yet, in order. Shown after the last when `atEnd`. */
  readonly posts: readonly Post[]
  /** The last seq of the timeline as far as known, whatever the window shows. */
  readonly head: number
  readonly state: 'loading' | 'ready' | 'failed'
  readonly error: ParleyError | undefined
  /** Nothing older exists. */
  readonly atStart: boolean
  /** The window ends at the head and follows it. */
  readonly atEnd: boolean
  /** One page more at that end; at once if there is none or one is under way. */
  loadOlder(): Promise<void>
  loadNewer(): Promise<void>
  jumpTo(seq: number): Promise<void>
  jumpToEnd(): Promise<void>
  /**
   * False: one reads further up, so nothing is let go of at the older end; when it is full, new
   * events only raise `head`. True at first.
   */
  follow(on: boolean): void
  /** After a failed first load. */
  reload(): Promise<void>
  /** At most once for each frame received. */
  onChange(listener: () => void): () => void
  close(): void
}
