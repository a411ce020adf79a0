/** Lists in pages: following the links gives every item exactly once, in order. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type InboxEntry, type Message, type Person, ServerProcess, signUp } from '../harness.ts'
import { refusal } from './codes.ts'

let server: ServerProcess
let ada: Person
let bob: Person

/** Small pages, so that few items make many. */
const PAGE_DEFAULT = 5
const PAGE_MAX = 7

beforeAll(async () => {
  server = await ServerProcess.start({ pageDefault: PAGE_DEFAULT, pageMax: PAGE_MAX })
  ada = await signUp(server.url, 'ada')
  bob = await signUp(server.url, 'bob')
})

afterAll(() => server.stopAndForget())

/** `rel` → path, of a `Link` header of our own origin. */
function linksOf(response: Response): Record<string, string> {
  const header = response.headers.get('link') ?? ''
  const links = [...header.matchAll(/<([^>]+)>; rel="(\w+)"/g)].map(([, url, rel]) => {
    expect(url).toStartWith(`${server.url}/`)
    return [rel!, url!.slice(server.url.length)]
  })
  return Object.fromEntries(links)
}

interface Walk<T> {
  pages: T[][]
  /** The last page's links. */
  links: Record<string, string>
}

/** Follows one kind of link to the end. */
async function walk<T>(reader: Person, path: string, rel: 'next' | 'prev'): Promise<Walk<T>> {
  const pages: T[][] = []
  let at: string | undefined = path
  let links: Record<string, string> = {}
  while (at !== undefined) {
    expect(pages.length).toBeLessThan(50)
    const response = await reader.fetch(at)
    expect(response.status).toBe(200)
    pages.push((await response.json()) as T[])
    links = linksOf(response)
    at = links[rel]
  }
  return { pages, links }
}

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)

async function talk(place: string, count: number): Promise<void> {
  for (const n of upTo(count)) await ada.post(place, `message ${n}`)
}

describe('messages', () => {
  const seqsOf = (pages: { seq: number }[][]) => pages.map((page) => page.map(({ seq }) => seq))
  /** Each with what makes its list, who reads it, and how many there are. */
  const lists: [string, () => Promise<[Person, string]>][] = [
    [
      'a room',
      async () => {
        const place = `/room/${(await ada.createRoom()).id}`
        await talk(place, 12)
        return [bob, `${place}/messages`]
      },
    ],
    [
      'a direct conversation',
      async () => {
        await talk(`/user/${bob.id}`, 12)
        return [bob, `/user/${ada.id}/messages`]
      },
    ],
    [
      'an inbox',
      async () => {
        const eve = await signUp(server.url)
        await talk(`/user/${eve.id}`, 12)
        return [eve, '/messages']
      },
    ],
  ]

  test.each(lists)('%s: back from the newest page, and forward again', async (_, make) => {
    const [reader, path] = await make()
    const back = await walk<Message | InboxEntry>(reader, path, 'prev')
    expect(seqsOf(back.pages)).toEqual([
      [8, 9, 10, 11, 12],
      [3, 4, 5, 6, 7],
      [1, 2],
    ])
    const forward = await walk<Message | InboxEntry>(reader, `${path}?after=0`, 'next')
    expect(seqsOf(forward.pages)).toEqual([
      [1, 2, 3, 4, 5],
      [6, 7, 8, 9, 10],
      [11, 12],
    ])
    // The page that was reached by going back leads forward, too.
    const again = await walk<Message>(reader, back.links.next!, 'next')
    expect(seqsOf(again.pages).flat()).toEqual(upTo(12).slice(2))
    const limited = await walk<Message>(reader, `${path}?after=0&limit=${PAGE_MAX}`, 'next')
    expect(seqsOf(limited.pages)).toEqual([upTo(7), [8, 9, 10, 11, 12]])
  })

  test('around: both sides of a message, and links that go on from there', async () => {
    const place = `/room/${(await ada.createRoom()).id}`
    await talk(place, 12)
    const around = async (seq: number, limit: number) => {
      const response = await bob.fetch(`${place}/messages?around=${seq}&limit=${limit}`)
      const [page = []] = seqsOf([(await response.json()) as Message[]])
      return { page, links: linksOf(response) }
    }
    const { page, links } = await around(6, 5)
    expect(page).toEqual([4, 5, 6, 7, 8])
    const before = await walk<Message>(bob, links.prev!, 'prev')
    const after = await walk<Message>(bob, links.next!, 'next')
    expect(seqsOf(before.pages).reverse().flat()).toEqual([1, 2, 3])
    expect(seqsOf(after.pages).flat()).toEqual([9, 10, 11, 12])
    expect((await around(6, 1)).page).toEqual([6])
    expect((await around(6, 4)).page).toEqual([5, 6, 7, 8])
    expect((await around(1, 5)).page).toContain(1)
    expect((await around(12, 5)).page).toContain(12)
    // One that is not there yet shows the end.
    expect((await around(1_000, 4)).page).toEqual([11, 12])
  })

  test('an exactly full last page leads to an empty one at worst, never to a loss', async () => {
    const place = `/room/${(await ada.createRoom()).id}`
    await talk(place, 2 * PAGE_DEFAULT)
    const { pages, links } = await walk<Message>(bob, `${place}/messages?after=0`, 'next')
    expect(seqsOf(pages).flat()).toEqual(upTo(10))
    expect(links.next).toBeUndefined()
  })

  test('nothing there: an empty array, without links', async () => {
    const room = await ada.createRoom()
    for (const query of ['', '?after=0', '?before=5', '?around=5']) {
      const response = await bob.fetch(`/room/${room.id}/messages${query}`)
      expect(await response.json()).toEqual([])
      expect(linksOf(response)).toEqual({})
    }
  })
})

describe('rooms and users', () => {
  interface Named {
    id: string
    name: string
  }

  test('rooms: all of them without a limit; in pages with one', async () => {
    // In an order that is not that of their names.
    const numbers = [7, 2, 11, 5, 1, 9, 12, 3, 10, 6, 4, 8]
    for (const n of numbers) await ada.createRoom(`PAGED ${String(n).padStart(2, '0')}`)
    const all = await bob.get<Named[]>('/rooms')
    expect(all.length).toBeGreaterThan(PAGE_MAX)
    const { pages, links } = await walk<Named>(bob, '/rooms?limit=5', 'next')
    expect(pages.flat()).toEqual(all)
    expect(pages.slice(0, -1).every((page) => page.length === 5)).toBe(true)
    const back = await walk<Named>(bob, links.prev!, 'prev')
    expect(back.pages.toReversed().flat()).toEqual(pages.slice(0, -1).flat())
    expect(back.pages.flat().length).toBe(all.length - pages.at(-1)!.length)
  })

  test('a prefix, in whatever case, keeps through all pages', async () => {
    for (const name of ['Tea Äpfel', 'tea birnen', 'TEA Côte', 'teb']) await ada.createRoom(name)
    const { pages } = await walk<Named>(bob, '/rooms?name=TEA%20&limit=2', 'next')
    const names = pages.map((page) => page.map(({ name }) => name))
    expect(names).toEqual([['tea birnen', 'TEA Côte'], ['Tea Äpfel']])
  })

  test('users: in pages, with or without a limit', async () => {
    for (let i = 1; i <= 12; i++) await signUp(server.url, `pager-${String(i).padStart(2, '0')}`)
    for (const query of ['', '&limit=5']) {
      const { pages, links } = await walk<Named>(ada, `/users?name=pager-${query}`, 'next')
      const names = pages.flat().map(({ name }) => name)
      expect(names).toEqual(upTo(12).map((n) => `pager-${String(n).padStart(2, '0')}`))
      expect(pages.map((page) => page.length)).toEqual([5, 5, 2])
      const back = await walk<Named>(ada, links.prev!, 'prev')
      expect(back.pages.map((page) => page.length)).toEqual([5, 5])
      expect(back.links.next).toBeDefined()
    }
  })

  test('a limit past its maximum is refused, never silently cut', async () => {
    const place = `/room/${(await ada.createRoom()).id}`
    for (const path of [`${place}/messages`, '/messages', '/rooms', '/users']) {
      expect((await ada.fetch(`${path}?limit=${PAGE_MAX}`)).status).toBe(200)
      const refused = ada.fetch(`${path}?limit=${PAGE_MAX + 1}`)
      expect(await refusal(refused)).toBe('400 limit_out_of_range')
    }
  })

  test.each(['x', '%00', 'PA==', '!!!!', 'PAAA'])('a made-up cursor: %s', async (cursor) => {
    for (const path of ['/rooms', '/users'])
      expect(await refusal(ada.fetch(`${path}?cursor=${cursor}`))).toBe('400 cursor_invalid')
  })
})
