/**
 * Sessions: sign-ins. The token is 256 random bits that only its owner keeps; the store has its
 * SHA-256. A session ends by sign-out, by being ended from another one, by going unused for its
 * lifetime, or when its user has too many.
 */
import { hash, randomBytes } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { Problem, problem } from '../errors.ts'
import type { Bus } from '../live/bus.ts'
import type { Log } from '../log.ts'
import type { Store } from '../store/store.ts'
import type { Id, Session, SessionExpiry, User } from '../types.ts'
import { newSessionId } from './ids.ts'
import type { Users } from './users.ts'

const TOKEN = /^[A-Za-z0-9_-]{43}$/
const USER_AGENT_CHARS_MAX = 200
/**
 * A used session is written again once this part of its lifetime has passed: hourly for 30 days.
 */
const TOUCH_PART = 1 / 720
/** Sessions ended lately, so that one that is just being loaded is not taken for alive. */
const ENDED_REMEMBERED_MAX = 10_000
/** Until it is asked what became of a change whose outcome is not known. */
const DOUBT_MS = 250
const EXPIRED_DELETED_AT_ONCE = 1_000

/** Sessions in one query. */
const SESSIONS_AT_ONCE = 1_000

/** What is kept in memory of a session; all else is in the store, for whoever lists their own. */
export interface LiveSession {
  readonly id: Id
  usedAt: number
  expiresAt: number
  /** When the store was last asked whether it lives, on the monotonic clock. */
  askedAtMs: number
}

/** Someone signed in. One object per session and process. */
export interface Viewer {
  readonly user: User
  readonly session: LiveSession
}

/** Whoever has connections of sessions open. */
export interface SessionHolder {
  /** Told when a session has ended, on this node or another. */
  ended(session: Id): void
  /** The sessions that have connections. */
  held(): Iterable<Id>
}

export interface SessionsOptions {
  store: Store
  users: Users
  bus: Bus
  clock: Clock
  log: Log
  ttlMs: number
  cachedMax: number
  perUserMax: number
  /**
   * How long a session in memory is taken for alive without asking the store, in milliseconds:
   * for ever where no other process can end it.
   */
  trustedMs: number
}

export class Sessions {
  readonly #options: SessionsOptions
  /** By the token itself, so that a look-up costs no hash; it is in the request's memory anyway. */
  readonly #byToken = new Map<string, Viewer>()
  readonly #tokenOf = new Map<Id, string>()
  readonly #ended = new Set<Id>()
  #isDoubtful = false
  /** What was read from the store before this was raised may not be so any more. */
  #loads = 0
  #holder: SessionHolder = { ended() {}, held: () => [] }

  constructor(options: SessionsOptions) {
    this.#options = options
  }

  heldBy(holder: SessionHolder): void {
    this.#holder = holder
  }

  /** Throws `wrong_credentials`, `overloaded`. The token is not kept and cannot be shown again. */
  async signIn(
    name: string,
    password: string,
    userAgent: string,
  ): Promise<{ token: string; viewer: Viewer }> {
    const { users, store, bus, clock, ttlMs, perUserMax } = this.#options
    const user = await users.verify(name, password)
    const token = randomBytes(32).toString('base64url')
    const now = clock.now()
    const session: Session = {
      id: newSessionId(),
      userId: user.id,
      tokenHash: digest(token),
      userAgent: userAgent.slice(0, USER_AGENT_CHARS_MAX),
      createdAt: now,
      usedAt: now,
      expiresAt: now + ttlMs,
    }
    const surplus = await this.#changing(store.createSession(session, perUserMax))
    if (surplus.length > 0) bus.revoke(surplus)
    const viewer = viewerOf(user, session, clock.monotonicMs())
    return { token, viewer: this.#remember(token, viewer) }
  }

  /**
   * The viewer with this token, at once if in memory; undefined if it is not or no longer valid.
   * Rejects if the store is needed and cannot be read.
   */
  authenticate(token: string): Viewer | undefined | Promise<Viewer | undefined> {
    if (!TOKEN.test(token)) return undefined
    const viewer = this.#byToken.get(token)
    if (viewer === undefined || this.#isOld(viewer)) return this.#load(token)
    return this.use(viewer) ? viewer : undefined
  }

  /** Notes that a session is being used, which prolongs it. False if it has expired or ended. */
  use(viewer: Viewer): boolean {
    const { clock, store, ttlMs, log } = this.#options
    const { session } = viewer
    const now = clock.now()
    if (session.expiresAt <= now || this.#ended.has(session.id)) return false
    // A use that is still to come was noted before the clock was set back.
    if (now - session.usedAt >= ttlMs * TOUCH_PART || now < session.usedAt) {
      session.usedAt = now
      session.expiresAt = now + ttlMs
      store.touchSession(session.id, now, session.expiresAt).catch((error) => {
        log.warn({ err: error }, 'a session could not be prolonged')
      })
    }
    return true
  }

  /** True while nothing but time can end it. Does not prolong it. */
  isLive(viewer: Viewer): boolean {
    return this.liveAt(this.#options.clock.now())(viewer)
  }

  /** `isLive` at one moment, for whoever asks about thousands: to ask for the time costs most. */
  liveAt(now: number): (viewer: Viewer) => boolean {
    return ({ session }) => session.expiresAt > now && !this.#ended.has(session.id)
  }

  list(user: Id): Promise<Session[]> {
    const { store, clock, perUserMax } = this.#options
    return store.listSessions(user, clock.now(), perUserMax)
  }

  /** Ends one of this user's sessions, on all nodes. Throws `no_such_session`. */
  async end(user: Id, id: Id): Promise<void> {
    const { store, bus } = this.#options
    const ended = await this.#changing(store.deleteSession(id, user))
    if (ended === undefined) throw problem('no_such_session')
    bus.revoke([id])
  }

  /** The bus's listener: forgets these sessions and tells whoever holds their connections. */
  revoked(ids: readonly Id[]): void {
    for (const id of ids) {
      this.#forget(id)
      if (this.#ended.size >= ENDED_REMEMBERED_MAX) {
        const oldest = this.#ended.values().next()
        if (!oldest.done) this.#ended.delete(oldest.value)
      }
      this.#ended.add(id)
      this.#holder.ended(id)
    }
  }

  /**
   * Asks the store which of the sessions with connections are over, and ends those: the bus may
   * have lost the news. Rejects if the store cannot be read.
   */
  async check(): Promise<void> {
    const ids = [...this.#holder.held()]
    for (let i = 0; i < ids.length; i += SESSIONS_AT_ONCE)
      await this.#checkSome(ids.slice(i, i + SESSIONS_AT_ONCE))
  }

  async #checkSome(ids: readonly Id[]): Promise<void> {
    const { store, clock } = this.#options
    const askedAtMs = clock.monotonicMs()
    const live = await store.liveSessions(ids)
    const kept = new Set(live.map(({ id }) => id))
    for (const found of live) {
      const viewer = this.#byToken.get(this.#tokenOf.get(found.id) ?? '')
      if (viewer !== undefined) refresh(viewer, found, askedAtMs)
    }
    this.revoked(ids.filter((id) => !kept.has(id)))
  }

  /**
   * A change that may have ended sessions. If its outcome is not known nobody is told which, and it
   * may still happen; so what is in memory is looked at again as soon as the store can write.
   */
  async #changing<T>(change: Promise<T>): Promise<T> {
    try {
      return await change
    } catch (error) {
      if (error instanceof Problem && error.code === 'outcome_unknown') this.#doubt()
      throw error
    }
  }

  #doubt(): void {
    if (this.#isDoubtful) return
    this.#isDoubtful = true
    setTimeout(() => void this.#settle(), DOUBT_MS).unref()
  }

  async #settle(): Promise<void> {
    this.#isDoubtful = false
    try {
      // It writes after whatever was to be written before.
      await this.#options.store.check()
      this.#byToken.clear()
      this.#tokenOf.clear()
      this.#loads += 1
      await this.check()
    } catch (error) {
      this.#options.log.warn({ err: error }, 'sessions that may be over could not be asked for yet')
      this.#doubt()
    }
  }

  /** Removes what has expired from the store, a bounded number at a time. */
  async deleteExpired(): Promise<void> {
    const { store, clock } = this.#options
    await store.deleteExpiredSessions(clock.now(), EXPIRED_DELETED_AT_ONCE)
  }

  async #load(token: string): Promise<Viewer | undefined> {
    const { store, users, clock } = this.#options
    const askedAtMs = clock.monotonicMs()
    const loads = this.#loads
    const found = await store.findSession(digest(token))
    if (loads !== this.#loads) return this.#load(token)
    const known = this.#byToken.get(token)
    if (found === undefined) {
      if (known !== undefined) this.revoked([known.session.id])
      return undefined
    }
    if (known !== undefined) {
      refresh(known, found.session, askedAtMs)
      return this.use(known) ? known : undefined
    }
    const viewer = viewerOf(users.keep(found.user), found.session, askedAtMs)
    return this.use(viewer) ? this.#remember(token, viewer) : undefined
  }

  #isOld({ session }: Viewer): boolean {
    const { clock, trustedMs } = this.#options
    return clock.monotonicMs() - session.askedAtMs > trustedMs
  }

  #remember(token: string, viewer: Viewer): Viewer {
    if (this.#byToken.size >= this.#options.cachedMax) {
      const oldest = this.#byToken.values().next()
      if (!oldest.done) this.#forget(oldest.value.session.id)
    }
    this.#byToken.set(token, viewer)
    this.#tokenOf.set(viewer.session.id, token)
    return viewer
  }

  #forget(id: Id): void {
    const token = this.#tokenOf.get(id)
    if (token === undefined) return
    this.#tokenOf.delete(id)
    this.#byToken.delete(token)
  }
}

function viewerOf(user: User, { id, usedAt, expiresAt }: Session, askedAtMs: number): Viewer {
  return { user, session: { id, usedAt, expiresAt, askedAtMs } }
}

/** Another node may have prolonged it. */
function refresh({ session }: Viewer, { expiresAt }: SessionExpiry, askedAtMs: number): void {
  session.expiresAt = Math.max(session.expiresAt, expiresAt)
  session.askedAtMs = askedAtMs
}

function digest(token: string): string {
  return hash('sha256', token, 'base64url')
}
