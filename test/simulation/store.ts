/**
 * The store as one node sees it: the contract's promises, and nothing more. What it is asked takes
 * time; a change happens at one moment between the question and the answer, and so does a look.
 *
 * A change that is under way when its node dies may still happen. With one node the database dies
 * with it, and the change is made at once or never; with several, the database may only get to it
 * when the next node is up.
 */
import { type ErrorCode, problem } from '../../src/errors.ts'
import { encodeEvent, type Label } from '../../src/events.ts'
import type { Appended, NamePage, Range, Store } from '../../src/store/store.ts'
import type { Id, NewEvent, Session, TimelineId } from '../../src/types.ts'
import type { Disk } from './disk.ts'
import type { Life, Scheduler, Task } from './scheduler.ts'
import type { StoreWeather } from './weather.ts'

export interface SimStoreOptions {
  scheduler: Scheduler
  disk: Disk
  weather: () => StoreWeather
  life: Life
  /** No other node shares it. Then an append whose outcome is not known ends the node. */
  alone: boolean
  /** The node dies now. */
  kill: () => void
  /** The store has told the node that these sessions are over. */
  toldOver: (sessions: readonly Id[]) => void
  complain: (what: string) => void
}

interface Change {
  task: Task
  make: () => void
}

export class SimStore implements Store {
  readonly epoch: string
  readonly #options: SimStoreOptions
  readonly #changes = new Set<Change>()
  #appending = false
  /** When the last change of all will be made. */
  #lastAt = 0

  constructor(options: SimStoreOptions) {
    this.#options = options
    this.epoch = options.disk.epoch
  }

  append(batch: readonly NewEvent[]): Promise<Appended[]> {
    const { disk, complain } = this.#options
    if (this.#appending) complain('two batches at once')
    this.#appending = true
    return this.#change(() => disk.append(batch), this.#options.alone).finally(() => {
      this.#appending = false
    })
  }

  /**
   * The node is gone. What is under way happens now, or never, or, unless the database `ends` as
   * well, later.
   */
  die({ ends }: { ends: boolean }): void {
    const { scheduler } = this.#options
    for (const change of this.#changes) {
      if (!ends && scheduler.chance(0.3)) continue
      this.#changes.delete(change)
      scheduler.cancel(change.task)
      if (scheduler.chance(0.5)) change.make()
    }
  }

  /** One after the other, as a database with one writer makes them. */
  #change<T>(make: () => T, doubtKills = false): Promise<T> {
    const { scheduler, weather, life, kill } = this.#options
    const { latencyMs, refuses, unknown, kills } = weather()
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const answer = (work: () => void) => scheduler.after(scheduler.below(latencyMs), work, life)
    const fate = scheduler.random()
    if (fate < refuses) {
      const code: ErrorCode = scheduler.chance(0.3) ? 'storage_full' : 'store_unavailable'
      answer(() => reject(problem(code, { retryAfterS: 1 })))
      return promise
    }
    const isUnknown = fate < refuses + unknown
    const isMade = !isUnknown || scheduler.chance(0.5)
    const diesBefore = scheduler.chance(kills / 2)
    const diesAfter = scheduler.chance(kills / 2) || (isUnknown && doubtKills)
    let made: T | undefined
    this.#lastAt = Math.max(this.#lastAt, scheduler.now + scheduler.below(latencyMs))
    const change: Change = {
      make: () => {
        if (isMade) made = make()
      },
      task: scheduler.after(
        this.#lastAt - scheduler.now,
        () => {
          this.#changes.delete(change)
          if (diesBefore && !life.ended) return kill()
          change.make()
          if (diesAfter && !life.ended) return kill()
          if (isUnknown) answer(() => reject(problem('outcome_unknown', { retryAfterS: 2 })))
          else answer(() => resolve(made as T))
        },
        null,
      ),
    }
    this.#changes.add(change)
    return promise
  }

  #look<T>(look: () => T, seen: (found: T) => void = () => {}): Promise<T> {
    const { scheduler, weather, life } = this.#options
    const { latencyMs, readFails } = weather()
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const fails = scheduler.chance(readFails)
    scheduler.after(
      scheduler.below(latencyMs),
      () => {
        const found = look()
        scheduler.after(scheduler.below(latencyMs), () => {
          if (fails) return reject(problem('store_unavailable', { retryAfterS: 1 }))
          seen(found)
          resolve(found)
        })
      },
      life,
    )
    return promise
  }

  list(timeline: TimelineId, range: Range) {
    return this.#look(() => this.#options.disk.log.list(timeline, range))
  }

  listEncoded(timeline: TimelineId, range: Range, label: Label) {
    return this.#look(() => {
      const events = this.#options.disk.log.list(timeline, range)
      const texts = events.map((event) => encodeEvent(event, label))
      return { firstSeq: events[0]?.seq ?? 0, events: texts }
    })
  }

  heads(timelines: readonly TimelineId[]) {
    const { log } = this.#options.disk
    return this.#look(() => timelines.map((id) => log.log(id).length))
  }

  /** People and rooms are there from the beginning. */
  createUser(): Promise<boolean> {
    return Promise.reject(problem('storage_full'))
  }

  findUser(id: Id) {
    return this.#look(() => this.#options.disk.users.get(id))
  }

  findAccount(name: string) {
    const { users } = this.#options.disk
    return this.#look(() => [...users.values()].find((user) => user.name === name))
  }

  listUsers(page: NamePage) {
    const { disk } = this.#options
    return this.#look(() => disk.page([...disk.users.values()], ({ name }) => name, page))
  }

  createRoom(): Promise<boolean> {
    return Promise.reject(problem('storage_full'))
  }

  findRoom(id: Id) {
    return this.#look(() => this.#options.disk.rooms.get(id))
  }

  listRooms(page: NamePage) {
    const { disk } = this.#options
    const rooms = [...disk.rooms.values()].map((room) => ({ ...room, head: 0, nameKey: room.name }))
    return this.#look(() => disk.page(rooms, ({ nameKey }) => nameKey, page))
  }

  createSession(session: Session, keep: number) {
    return this.#change(() => this.#options.disk.createSession(session, keep))
  }

  findSession(tokenHash: string) {
    const { sessions, users } = this.#options.disk
    return this.#look(() => {
      const session = [...sessions.values()].find((one) => one.tokenHash === tokenHash)
      const user = session && users.get(session.userId)
      return user && { session: { ...session }, user }
    })
  }

  listSessions(userId: Id, now: number, limit: number) {
    const { disk } = this.#options
    return this.#look(() => {
      const own = disk.sessionsOf(userId).filter(({ expiresAt }) => expiresAt > now)
      return own.reverse().slice(0, limit)
    })
  }

  deleteSession(id: Id, userId: Id) {
    return this.#change(() => {
      const { sessions } = this.#options.disk
      const session = sessions.get(id)
      if (session?.userId !== userId) return undefined
      sessions.delete(id)
      return session
    })
  }

  liveSessions(ids: readonly Id[]) {
    const { disk, toldOver } = this.#options
    return this.#look(
      () =>
        ids.flatMap((id) => {
          const session = disk.sessions.get(id)
          return session ? [{ id, expiresAt: session.expiresAt }] : []
        }),
      (live) => toldOver(ids.filter((id) => !live.some((one) => one.id === id))),
    )
  }

  touchSession(id: Id, usedAt: number, expiresAt: number) {
    return this.#change(() => {
      const session = this.#options.disk.sessions.get(id)
      if (session !== undefined) Object.assign(session, { usedAt, expiresAt })
    })
  }

  deleteExpiredSessions() {
    return this.#change(() => 0)
  }

  /** In line with the changes, as it writes, too. */
  check(): Promise<void> {
    return this.#change(() => undefined)
  }

  async close(): Promise<void> {}
}
