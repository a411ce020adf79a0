/** What outlives every node: the data itself, and the one backup that was taken of it. */
import type { NamePage } from '../../src/store/store.ts'
import type { Account, Id, NewEvent, Room, Session } from '../../src/types.ts'
import { ModelLog } from '../contracts/model-log.ts'

interface Content {
  log: ModelLog
  sessions: Map<Id, Session>
}

export class Disk {
  epoch = 'epoch-1'
  readonly users: Map<Id, Account>
  readonly rooms: Map<Id, Room>
  #content: Content = { log: new ModelLog(), sessions: new Map() }
  #backup: Content | undefined
  #restores = 0

  constructor(users: readonly Account[], rooms: readonly Room[]) {
    this.users = new Map(users.map((user) => [user.id, user]))
    this.rooms = new Map(rooms.map((room) => [room.id, room]))
  }

  get log(): ModelLog {
    return this.#content.log
  }

  get sessions(): Map<Id, Session> {
    return this.#content.sessions
  }

  append(batch: readonly NewEvent[]) {
    return batch.map((given) => this.log.append(given))
  }

  backUp(): void {
    this.#backup = copied(this.#content)
  }

  /** False if there is no backup. What was recorded after it is gone, and cursors are void. */
  restore(): boolean {
    if (this.#backup === undefined) return false
    this.#content = copied(this.#backup)
    this.#restores += 1
    this.epoch = `epoch-${1 + this.#restores}`
    return true
  }

  createSession(session: Session, keep: number): Id[] {
    const { userId, createdAt } = session
    this.sessions.set(session.id, session)
    const own = this.sessionsOf(userId).filter(({ expiresAt }) => expiresAt > createdAt)
    const surplus = own.slice(0, Math.max(0, own.length - keep)).map(({ id }) => id)
    for (const id of surplus) this.sessions.delete(id)
    return surplus
  }

  /** Oldest first. */
  sessionsOf(user: Id): Session[] {
    return [...this.sessions.values()].filter(({ userId }) => userId === user)
  }

  page<T>(items: readonly T[], keyOf: (item: T) => string, page: NamePage): T[] {
    const { prefix, after, backwards, limit } = page
    const fits = (key: string) => key.startsWith(prefix) && (backwards ? key < after : key > after)
    const found = items.filter((item) => fits(keyOf(item)))
    return backwards ? found.slice(-limit) : found.slice(0, limit)
  }
}

function copied({ log, sessions }: Content): Content {
  const kept = [...sessions].map(([id, session]): [Id, Session] => [id, { ...session }])
  return { log: log.copy(), sessions: new Map(kept) }
}
