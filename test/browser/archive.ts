/** A room with a long past, put straight into the store of a server that is not running yet. */
import { newRoomId, newUserId } from '../../src/chat/ids.ts'
import { foldedName } from '../../src/chat/names.ts'
import { defaultConfig } from '../../src/config.ts'
import { openStore } from '../../src/store/open.ts'
import type { NewEvent } from '../../src/types.ts'

const BATCH = 5_000
const MINUTE_MS = 60_000

/** A message each minute from here on. */
export const ARCHIVE_STARTS_AT = Date.UTC(2024, 0, 1)

/** The first seq of a day, given as `2024-02-01`. */
export function firstSeqOf(day: string): number {
  return (Date.parse(day) - ARCHIVE_STARTS_AT) / MINUTE_MS + 1
}

/** Message N says `message N`, some with more lines, as people do. Resolves with the room's id. */
export async function seedArchive(folder: string, name: string, messages: number): Promise<string> {
  const onFatal = (error: Error) => {
    throw error
  }
  const store = await openStore(defaultConfig({ dataDir: folder }), { onFatal })
  const author = { id: newUserId(), name: 'historian', createdAt: ARCHIVE_STARTS_AT }
  await store.createUser({ ...author, passwordHash: 'fits no password' })
  const room = { id: newRoomId(), name, createdAt: ARCHIVE_STARTS_AT, createdBy: author.id }
  await store.createRoom(room, foldedName(name))
  for (let from = 1; from <= messages; from += BATCH) {
    const count = Math.min(BATCH, messages - from + 1)
    const batch = Array.from({ length: count }, (_, i) => eventOf(room.id, author.id, from + i))
    await store.append(batch)
  }
  await store.close()
  return room.id
}

function eventOf(timeline: string, author: string, seq: number): NewEvent {
  const more = '\n\nand what there is to say of it'.repeat(seq % 7 === 0 ? 3 : 0)
  const body = { from: { id: author, name: 'historian' }, text: `message ${seq}${more}` }
  const at = ARCHIVE_STARTS_AT + (seq - 1) * MINUTE_MS
  return { timeline, type: 'message', author, body: JSON.stringify(body), at }
}
