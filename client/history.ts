/** Pages of a place's history, as the server keeps it. */
import type { Core } from './core.ts'
import { request } from './http.ts'
import type { HistoryOptions, Page, Place } from './types.ts'

/** The path that a place's own paths begin with; the inbox is at the root. */
export function pathOf(place: Place): string {
  if ('room' in place) return `/room/${encodeURIComponent(place.room)}`
  return 'user' in place ? `/user/${encodeURIComponent(place.user)}` : ''
}

/** Names a place on this side, for example as the key of a map. */
export { pathOf as keyOf }

export async function readPage<E extends { seq: number }>(
  core: Core,
  place: Place,
  options: HistoryOptions,
): Promise<Page<E>> {
  const { data, headers } = await request<E[]>(
    core,
    'GET',
    `${pathOf(place)}/messages${queryOf(options)}`,
  )
  return {
    events: data,
    epoch: headers.get('Parley-Epoch') ?? '',
    recovered: headers.get('Parley-Recovered') !== 'false',
    hasOlder: data[0] ? data[0].seq > 1 : !!options.after,
    hasNewer: (headers.get('Link') ?? '').includes('rel="next"'),
  }
}

/** What is undefined is left out. */
export function queryOf(options: object): string {
  return `?${new URLSearchParams(JSON.parse(JSON.stringify(options)))}`
}
