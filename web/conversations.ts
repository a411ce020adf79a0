/**
 * What the sidebar shows: all rooms, and the people one has talked with, each with how much of it
 * is unread. Rooms come from the list of rooms, asked again now and then; those visited lately are
 * followed, so that their marks are right at once. People come from the inbox.
 */
import type { InboxEntry, Parley, Room, Subscription, User } from '../client'
import type { Kept, KnownPerson } from './kept.ts'
import { keyOf, placeOf, type TalkPlace } from './places.ts'
import { Signal } from './signal.ts'

/** Rooms followed for their marks: a fifth of what one connection may follow. */
const FOLLOWED_MAX = 100
/** Inbox entries looked at for what is unread. */
const INBOX_ENTRIES = 1_000
const ROOMS_REFRESH_MS = 60_000
const ROOMS_FOUND = 20

export interface RoomItem {
  place: { room: string }
  name: string
  unread: number
}

export interface PersonItem {
  place: { user: string }
  name: string
  unread: number
}

export class Conversations extends Signal {
  readonly #client: Parley
  readonly #kept: Kept
  readonly #rooms = new Map<string, Room>()
  readonly #people = new Map<string, KnownPerson>()
  /** Seqs of each person's direct messages that are not read yet, ascending. */
  readonly #unread = new Map<string, number[]>()
  readonly #followed = new Map<string, Subscription<unknown>>()
  #inbox: Subscription<InboxEntry> | undefined
  #timer: ReturnType<typeof setInterval> | undefined
  /** Told of each direct message that comes in. */
  onDirect: (entry: InboxEntry) => void = () => {}
  loaded = false

  constructor(client: Parley, kept: Kept) {
    super()
    this.#client = client
    this.#kept = kept
    for (const person of kept.people()) this.#people.set(person.id, person)
  }

  start(): void {
    const refresh = () => void this.refresh()
    refresh()
    void this.#openInbox()
    this.#timer = setInterval(
      () => document.visibilityState === 'visible' && refresh(),
      ROOMS_REFRESH_MS,
    )
    addEventListener('storage', this.#onStorage)
  }

  stop(): void {
    clearInterval(this.#timer)
    removeEventListener('storage', this.#onStorage)
    this.#inbox?.close()
    for (const subscription of this.#followed.values()) subscription.close()
  }

  readonly #onStorage = ({ key }: StorageEvent): void => {
    if (!this.#kept.reloadMarks(key)) return
    for (const id of this.#unread.keys()) this.#dropRead({ user: id })
    this.emit()
  }

  /** Rooms that nobody here has heard of, and heads of those that are not followed. */
  async refresh(): Promise<void> {
    try {
      for (const room of await this.#client.listRooms()) this.#noteRoom(room)
      this.loaded = true
    } catch {
      // The line about the connection tells; the next round asks again.
    }
    this.#followVisited()
    this.emit()
  }

  /** Rooms whose name begins so: one may have been opened a moment ago. */
  async findRooms(prefix: string): Promise<void> {
    try {
      const found = await this.#client.listRooms({ prefix, limit: ROOMS_FOUND })
      for (const room of found) this.#noteRoom(room)
    } catch {
      // Unreachable: those known already are all there is.
    }
    this.emit()
  }

  /** Visited rooms first, the latest of them on top, then all others by name. */
  get rooms(): RoomItem[] {
    const visited = this.#kept.visited()
    const rank = new Map(visited.map((key, i) => [key, i]))
    const rankOf = (id: string) => rank.get(`room/${id}`) ?? Number.POSITIVE_INFINITY
    return [...this.#rooms.values()]
      .sort(
        (a, b) =>
          Number(rankOf(b.id) < FOLLOWED_MAX) - Number(rankOf(a.id) < FOLLOWED_MAX) ||
          compare(a, b),
      )
      .map(({ id, name, head }) => {
        const place = { room: id }
        const read = this.#kept.readMark(place)
        return { place, name, unread: read === undefined ? 0 : Math.max(0, head - read) }
      })
  }

  /** The latest conversation first. */
  get people(): PersonItem[] {
    return [...this.#people.values()]
      .sort((a, b) => b.at - a.at)
      .map(({ id, name }) => ({
        place: { user: id },
        name,
        unread: this.#unread.get(id)?.length ?? 0,
      }))
  }

  /** Direct messages nobody has looked at here: for the title and the badge. */
  get unreadDirect(): number {
    let sum = 0
    for (const seqs of this.#unread.values()) sum += seqs.length
    return sum
  }

  nameOf(place: TalkPlace): string | undefined {
    return 'room' in place ? this.#rooms.get(place.room)?.name : this.#people.get(place.user)?.name
  }

  /** A conversation is on the screen: its name, if it is not known yet, is looked up. */
  async visit(place: TalkPlace): Promise<void> {
    this.#kept.lastPlace = keyOf(place)
    if ('room' in place) {
      if (!this.#rooms.has(place.room)) this.addRoom(await this.#client.getRoom(place.room))
    } else if (!this.#people.has(place.user)) {
      this.addPerson(await this.#client.getUser(place.user))
    }
    this.emit()
  }

  addRoom(room: Room): void {
    this.#noteRoom(room)
    this.emit()
  }

  addPerson({ id, name }: Pick<User, 'id' | 'name'>, at = Date.now()): void {
    const known = this.#people.get(id)
    this.#people.set(id, { id, name, at: Math.max(at, known?.at ?? 0) })
    this.#kept.savePeople([...this.#people.values()].sort((a, b) => b.at - a.at))
    this.emit()
  }

  markRead(place: TalkPlace, seq: number): void {
    const moved = this.#kept.markRead(place, seq)
    if ('room' in place) this.#noteHead(place.room, seq)
    else this.#dropRead(place)
    if (!moved) return
    if ('room' in place) this.#followVisited()
    this.emit()
  }

  #dropRead(place: { user: string }): void {
    const read = this.#kept.readMark(place) ?? 0
    const left = (this.#unread.get(place.user) ?? []).filter((seq) => seq > read)
    if (left.length === 0) this.#unread.delete(place.user)
    else this.#unread.set(place.user, left)
  }

  #noteRoom(room: Room): void {
    const head = Math.max(room.head, this.#rooms.get(room.id)?.head ?? 0)
    this.#rooms.set(room.id, { ...room, head })
  }

  #noteHead(id: string, head: number): void {
    const room = this.#rooms.get(id)
    if (room !== undefined && head > room.head) room.head = head
  }

  /** Follows the rooms visited lately; those that fell off the end are let go. */
  #followVisited(): void {
    const rooms = this.#kept.visited().filter((key) => key.startsWith('room/'))
    const wanted = new Set(rooms.slice(0, FOLLOWED_MAX))
    for (const [key, subscription] of this.#followed)
      if (!wanted.has(key)) {
        subscription.close()
        this.#followed.delete(key)
      }
    for (const key of wanted) if (!this.#followed.has(key)) this.#follow(key)
  }

  #follow(key: string): void {
    const { room } = placeOf(key) as { room: string }
    const subscription = this.#client.room(room).subscribe()
    this.#followed.set(key, subscription)
    const moved = () => {
      const { cursor } = subscription
      if (cursor === undefined) return
      this.#noteHead(room, cursor.seq)
      this.emit()
    }
    subscription.on('events', moved)
    subscription.on('reset', () => void this.refresh())
    subscription.on('state', moved)
  }

  /** The newest part of the inbox tells what is unread; the rest of it comes live. */
  async #openInbox(): Promise<void> {
    const inbox = this.#client.inbox
    try {
      const { events, epoch } = await inbox.history({ limit: INBOX_ENTRIES })
      this.#kept.useEpoch(epoch)
      for (const entry of events) this.#noteDirect(entry)
      this.#inbox = inbox.subscribe({ after: events.at(-1)?.seq ?? 0, epoch })
    } catch {
      // Without the past, what is new is still told.
      this.#inbox = inbox.subscribe()
    }
    this.#inbox.on('events', (entries) => {
      for (const entry of entries) {
        this.#noteDirect(entry)
        this.onDirect(entry)
      }
      this.emit()
    })
    this.emit()
  }

  #noteDirect({ message }: InboxEntry): void {
    const { from, seq, at } = message
    this.addPerson(from, Date.parse(at))
    if (from.id === this.#client.me?.id) return
    if (seq <= (this.#kept.readMark({ user: from.id }) ?? 0)) return
    const seqs = this.#unread.get(from.id)
    if (seqs === undefined) this.#unread.set(from.id, [seq])
    else if (seqs.at(-1)! < seq) seqs.push(seq)
  }
}

function compare(a: Room, b: Room): number {
  return a.name.localeCompare(b.name)
}
