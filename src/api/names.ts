/** Lists that are sorted by name, a page at a time: rooms and users. */
import { fieldProblem } from '../errors.ts'
import type { NamePage } from '../store/store.ts'
import type { Call, Reply } from './operation.ts'

export interface NamesQuery {
  name?: string | undefined
  limit?: number | undefined
  cursor?: string | undefined
}

interface Cursor {
  backwards: boolean
  /** The sort key that the page begins after, or ends before. */
  key: string
}

/** What `listNames` needs to know of the things it lists. */
export interface Listing<T> {
  prefix: string
  /** Undefined: everything at once. */
  limit: number | undefined
  list: (page: NamePage) => Promise<T[]>
  keyOf: (item: T) => string
  view: (item: T) => unknown
}

export async function listNames<T>(call: Call<NamesQuery>, listing: Listing<T>): Promise<Reply> {
  const { prefix, limit = Number.MAX_SAFE_INTEGER - 1, list, keyOf, view } = listing
  const { backwards, key } = readCursor(call.query.cursor)
  // One more than the page holds tells whether there is another page.
  const found = await list({ prefix, after: key, backwards, limit: limit + 1 })
  const more = found.length > limit
  if (more) found.splice(backwards ? 0 : limit, 1)
  const links: string[] = []
  const first = found[0]
  const last = found.at(-1)
  const link = (cursor: Cursor, rel: string) =>
    links.push(`<${linkTo(call, cursor)}>; rel="${rel}"`)
  if (first !== undefined && (backwards ? more : key !== ''))
    link({ backwards: true, key: keyOf(first) }, 'prev')
  if (last !== undefined && (more || backwards))
    link({ backwards: false, key: keyOf(last) }, 'next')
  return {
    status: 200,
    body: JSON.stringify(found.map(view)),
    ...(links.length > 0 && { headers: { Link: links.join(', ') } }),
  }
}

function linkTo({ origin, path, query }: Call<NamesQuery>, { backwards, key }: Cursor): string {
  const cursor = Buffer.from(`${backwards ? '<' : '>'}${key}`).toString('base64url')
  const name = query.name === undefined ? '' : `name=${encodeURIComponent(query.name)}&`
  const limit = query.limit === undefined ? '' : `limit=${query.limit}&`
  return `${origin}${path}?${name}${limit}cursor=${cursor}`
}

function readCursor(cursor: string | undefined): Cursor {
  if (cursor === undefined) return { backwards: false, key: '' }
  const text = Buffer.from(cursor, 'base64url').toString()
  if (!/^[<>][^\0]+$/u.test(text))
    throw fieldProblem('cursor', 'invalid', 'Take cursors from Link headers as they are.')
  return { backwards: text[0] === '<', key: text.slice(1) }
}
