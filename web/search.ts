/** Finding people, and new rooms, by the beginning of their name, while one types. */
import { useEffect, useState } from 'preact/hooks'
import type { PersonItem } from './conversations.ts'
import type { Signed } from './signed.ts'

const PEOPLE_FOUND = 20
/** Waits for the next letter before it asks. */
const PAUSE_MS = 150

/**
 * People: those known already at once, those the server knows a moment later. Rooms that are found
 * join the others.
 */
export function useSearch(app: Signed, search: string): PersonItem[] {
  const prefix = search.trim().toLowerCase()
  useEffect(() => {
    if (prefix === '') return
    const timer = setTimeout(() => void app.conversations.findRooms(prefix), PAUSE_MS)
    return () => clearTimeout(timer)
  }, [prefix])
  const [found, setFound] = useState<{ prefix: string; people: PersonItem[] }>()
  useEffect(() => {
    if (!/^[a-z0-9._-]{1,32}$/.test(prefix)) return setFound(undefined)
    let wanted = true
    const timer = setTimeout(async () => {
      // Unreachable: those known already are all there is.
      const users = await app.client.listUsers(prefix, PEOPLE_FOUND).catch(() => [])
      const people = users.map(({ id, name }) => ({ place: { user: id }, name, unread: 0 }))
      if (wanted) setFound({ prefix, people })
    }, PAUSE_MS)
    return () => {
      wanted = false
      clearTimeout(timer)
    }
  }, [prefix])

  if (prefix === '') return []
  const known = app.conversations.people.filter(({ name }) => name.includes(prefix))
  const ids = new Set(known.map(({ place }) => place.user))
  const others = found?.prefix === prefix ? found.people : []
  return [...known, ...others.filter(({ place }) => !ids.has(place.user))]
}
