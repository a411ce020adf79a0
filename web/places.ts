/** Where one can be in the page, and how that looks in the address bar: `#/room/ID/SEQ`. */

/** A place that people talk in. */
export type TalkPlace = { room: string } | { user: string }

export type Route =
  | { page: 'home' }
  | { page: 'sessions' }
  | { page: 'talk'; place: TalkPlace; seq: number | undefined }

/** `room/ID` or `user/ID`: names the place in addresses, maps and storage. */
export function keyOf(place: TalkPlace): string {
  return 'room' in place ? `room/${place.room}` : `user/${place.user}`
}

export function placeOf(key: string): TalkPlace {
  const [kind, id = ''] = key.split('/')
  return kind === 'room' ? { room: id } : { user: id }
}

export function samePlace(one: TalkPlace, other: TalkPlace): boolean {
  return keyOf(one) === keyOf(other)
}

/** With a seq, the address of that message. */
export function hrefOf(place: TalkPlace, seq?: number): string {
  return `#/${keyOf(place)}${seq === undefined ? '' : `/${seq}`}`
}

export const SESSIONS_HREF = '#/sessions'
export const HOME_HREF = '#/'

/** What nobody knows leads home. */
export function parseRoute(hash: string): Route {
  if (hash === SESSIONS_HREF) return { page: 'sessions' }
  const [, kind, id, seq] = /^#\/(room|user)\/([\w-]+)(?:\/(\d{1,15}))?$/.exec(hash) ?? []
  if (kind === undefined || id === undefined) return { page: 'home' }
  const place = placeOf(`${kind}/${id}`)
  return { page: 'talk', place, seq: seq === undefined ? undefined : Math.max(1, Number(seq)) }
}

export function go(href: string): void {
  location.hash = href
}
