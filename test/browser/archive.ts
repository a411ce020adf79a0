/** A past for a room, put straight into the store of a server that is not running. */
import { newRoomId, newUserId } from '../../src/chat/ids.ts'
import { foldedName } from '../../src/chat/names.ts'
import { defaultConfig } from '../../src/config.ts'
import { openStore } from '../../src/store/open.ts'
import type { Store } from '../../src/store/store.ts'
import type { Author, NewEvent } from '../../src/types.ts'

const BATCH = 5_000
const MINUTE_MS = 60_000

/** A message each minute from here on. */
export const ARCHIVE_STARTS_AT = Date.UTC(2024, 0, 1)

/** The first seq of a day, given as `2024-02-01`. */
export function firstSeqOf(day: string): number {
  return (Date.parse(day) - ARCHIVE_STARTS_AT) / MINUTE_MS + 1
}

/** Opens the store of a folder that no server has open, and closes it after the work. */
export async function withStore<T>(folder: string, work: (store: Store) => Promise<T>): Promise<T> {
  const onFatal = (error: Error) => {
    throw error
  }
  const store = await openStore(defaultConfig({ dataDir: folder }), { onFatal })
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}

/** Message N says `message N`, some with more lines, as people do. Resolves with the room's id. */
export function seedArchive(folder: string, name: string, messages: number): Promise<string> {
  return withStore(folder, async (store) => {
    const author = { id: newUserId(), name: 'historian', createdAt: ARCHIVE_STARTS_AT }
    await store.createUser({ ...author, passwordHash: 'fits no password' })
    const room = { id: newRoomId(), name, createdAt: ARCHIVE_STARTS_AT, createdBy: author.id }
    await store.createRoom(room, foldedName(name))
    for (let from = 1; from <= messages; from += BATCH) {
      const count = Math.min(BATCH, messages - from + 1)
      const batch = Array.from({ length: count }, (_, i) => numbered(room.id, author, from + i))
      await store.append(batch)
    }
    return room.id
  })
}

function numbered(timeline: string, author: Author, seq: number): NewEvent {
  const more = '\n\nand what there is to say of it'.repeat(seq % 7 === 0 ? 3 : 0)
  const at = ARCHIVE_STARTS_AT + (seq - 1) * MINUTE_MS
  return messageOf(timeline, author, `message ${seq}${more}`, at)
}

/** A message as the store keeps it. */
export function messageOf(timeline: string, from: Author, text: string, at: number): NewEvent {
  const body = JSON.stringify({ from: { id: from.id, name: from.name }, text })
  return { timeline, type: 'message', author: from.id, body, at }
}
