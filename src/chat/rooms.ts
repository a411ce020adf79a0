/** Rooms: open to everyone who is signed in, to read and to write, without joining. */
import type { Clock } from '../clock.ts'
import { problem } from '../errors.ts'
import type { NamePage, Store } from '../store/store.ts'
import type { Id, Room, RoomWithHead, User } from '../types.ts'
import { Cache } from './cache.ts'
import { isId, newRoomId } from './ids.ts'
import { foldedName } from './names.ts'

export class Rooms {
  readonly #store: Store
  readonly #clock: Clock
  readonly #known: Cache<Room>

  constructor(options: { store: Store; clock: Clock; cachedMax: number }) {
    this.#store = options.store
    this.#clock = options.clock
    this.#known = new Cache(options.cachedMax, (id) => this.#store.findRoom(id))
  }

  /** `name` is kept as given, in NFC. Throws `name_taken` if a room has the same name, folded. */
  async create(creator: User, name: string): Promise<RoomWithHead> {
    const room: Room = {
      id: newRoomId(),
      name: name.normalize('NFC'),
      createdAt: this.#clock.now(),
      createdBy: creator.id,
    }
    if (!(await this.#store.createRoom(room, foldedName(name)))) throw problem('name_taken')
    this.#known.set(room.id, room)
    return { ...room, head: 0 }
  }

  /** At once if known. */
  find(id: Id): Room | undefined | Promise<Room | undefined> {
    return isId(id) ? this.#known.find(id) : undefined
  }

  async get(id: Id): Promise<RoomWithHead> {
    const room = await this.find(id)
    if (room === undefined) throw problem('no_such_room')
    const [head = 0] = await this.#store.heads([id])
    return { ...room, head }
  }

  /** Sorted by folded name; `page` speaks of folded names. */
  list(page: NamePage): Promise<(RoomWithHead & { nameKey: string })[]> {
    return this.#store.listRooms(page)
  }
}
