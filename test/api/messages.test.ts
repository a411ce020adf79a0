/** Posting and reading over HTTP: every row of the table, with exactly its answers. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Message, newName, type Person, ServerProcess, signUp } from '../harness.ts'
import { refusal } from './codes.ts'

let server: ServerProcess
let ada: Person
let bob: Person
/** A room, and ada's conversation with bob: everything holds for both. */
let places: Record<string, string>

beforeAll(async () => {
  server = await ServerProcess.start()
  ada = await signUp(server.url)
  bob = await signUp(server.url)
  const room = await ada.createRoom()
  places = { room: `/room/${room.id}`, user: `/user/${bob.id}` }
})

afterAll(() => server.stopAndForget())

const kinds = ['room', 'user']

function post(
  place: string,
  json: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return ada.fetch(`${place}/messages`, { method: 'POST', json, headers })
}

const byKey = (key: string) => ({ 'idempotency-key': key })

describe.each(kinds)('posting to a %s', (kind) => {
  test('201: the whole message, and where it is', async () => {
    const place = places[kind]!
    const response = await post(place, { text: 'hello\n"wörld" 😀' })
    expect(response.status).toBe(201)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(response.headers.get('idempotent-replayed')).toBeNull()
    const message = (await response.json()) as Message
    expect(message).toEqual({
      seq: expect.any(Number) as never,
      type: 'message',
      from: { id: ada.id, name: ada.name },
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as never,
      text: 'hello\n"wörld" 😀',
      [kind]: place.split('/')[2],
    })
    const location = response.headers.get('location')!
    expect(location).toBe(`${server.url}${place}/messages/${message.seq}`)
    expect(await ada.get<Message>(location.slice(server.url.length))).toEqual(message)
    expect((await ada.list(place)).at(-1)).toEqual(message)
  })

  test('the same key and text: 200, the original, said to be a replay', async () => {
    const place = places[kind]!
    const key = newName('key')
    const first = await post(place, { text: 'once' }, byKey(key))
    const original = (await first.json()) as Message
    await post(place, { text: 'something else in between' })
    for (const again of [
      () => post(place, { text: 'once' }, byKey(key)),
      () => post(place, { text: 'once', key }),
      () => post(place, { text: 'once', key }, byKey(key)),
    ]) {
      const response = await again()
      expect(response.status).toBe(200)
      expect(response.headers.get('idempotent-replayed')).toBe('true')
      expect(response.headers.get('location')).toBe(first.headers.get('location'))
      expect(await response.json()).toEqual(original)
    }
    const texts = (await ada.list(place)).map(({ text }) => text)
    expect(texts.filter((text) => text === 'once')).toHaveLength(1)
    expect(first.status).toBe(201)
  })

  test('many at the same moment with one key: one 201, the others replays of it', async () => {
    const key = newName('key')
    const all = await Promise.all(
      Array.from({ length: 8 }, () => post(places[kind]!, { text: 'rush', key })),
    )
    const seqs = await Promise.all(all.map(async (one) => ((await one.json()) as Message).seq))
    expect(new Set(seqs).size).toBe(1)
    expect(all.map(({ status }) => status).sort()).toEqual([...Array(7).fill(200), 201])
  })

  test('the same key with another text: 422, and nothing is posted', async () => {
    const place = places[kind]!
    const key = newName('key')
    await post(place, { text: 'first', key })
    const [before] = (await ada.list(place)).slice(-1)
    expect(await refusal(post(place, { text: 'second', key }))).toBe('422 key_reused')
    expect((await ada.list(place)).at(-1)).toEqual(before)
  })

  test('a key belongs to its user and its place', async () => {
    const place = places[kind]!
    const key = newName('key')
    const { id } = await ada.createRoom()
    // Bob's way to the same timeline.
    const bobsPlace = kind === 'user' ? `/user/${ada.id}` : place
    const mine = await ada.post(place, 'same', key)
    const his = await bob.post(bobsPlace, 'same', key)
    expect(his.seq).toBe(mine.seq + 1)
    expect(his.from.id).toBe(bob.id)
    const elsewhere = await post(`/room/${id}`, { text: 'same', key })
    expect(elsewhere.status).toBe(201)
  })

  test('a key of 255 characters passes, of 256 does not', async () => {
    const place = places[kind]!
    const unique = newName('k')
    for (const way of [
      (key: string) => post(place, { text: 'a', key: `${key}b` }),
      (key: string) => post(place, { text: 'a' }, byKey(`${key}h`)),
    ]) {
      expect((await way(unique.padEnd(254, 'x'))).status).toBe(201)
      expect(await refusal(way(unique.padEnd(255, 'x')))).toBe('400 key_too_long')
    }
  })

  test('400: an empty key, and two that differ', async () => {
    const place = places[kind]!
    expect(await refusal(post(place, { text: 'a', key: '' }))).toBe('400 key_too_short')
    expect(await refusal(post(place, { text: 'a', key: 'b' }, byKey('c')))).toBe('400 key_invalid')
  })

  test('404: nobody there to write to', async () => {
    const nowhere = `/${kind}/${kind[0]}${'x'.repeat(16)}`
    expect(await refusal(post(nowhere, { text: 'a' }))).toBe(`404 no_such_${kind}`)
    // An id of the other kind is none of this one.
    const other = kind === 'room' ? `/room/${bob.id}` : `/user/${places.room!.split('/')[2]}`
    expect(await refusal(post(other, { text: 'a' }))).toBe(`404 no_such_${kind}`)
  })

  test.each([
    ['nothing', ''],
    ['blanks', ' \t\n\u00a0\u3000'],
    ['zero width alone', '\u200b\u200d\ufeff\u2060'],
  ])('422: a text of %s', async (_, text) => {
    expect(await refusal(post(places[kind]!, { text }))).toBe('422 text_blank')
  })

  test('413: longer than 16,384 bytes, counted in UTF-8', async () => {
    const place = places[kind]!
    for (const text of ['a'.repeat(16_384), 'é'.repeat(8_192), '😀'.repeat(4_096)]) {
      const response = await post(place, { text })
      expect(response.status).toBe(201)
      expect(((await response.json()) as Message).text).toBe(text)
      expect(await refusal(post(place, { text: `${text}a` }))).toBe('413 text_too_long')
    }
  })

  test.each<[unknown, string]>([
    [{}, 'text_missing'],
    [{ text: null }, 'text_wrong_type'],
    [{ text: 'a\u0000b' }, 'text_invalid'],
    [{ text: 'a', from: 'bob' }, 'unknown_field'],
    [{ text: 'a', seq: 1 }, 'unknown_field'],
    ['a', 'body_not_object'],
  ])('400: %j', async (json, code) => {
    expect(await refusal(post(places[kind]!, json))).toBe(`400 ${code}`)
  })
})

describe.each(kinds)('reading a %s', (kind) => {
  test.each([
    ['before=0', 'before_out_of_range'],
    ['after=-1', 'after_out_of_range'],
    ['after=1e309', 'after_invalid'],
    ['after=9007199254740992', 'after_out_of_range'],
    ['after=1;DROP', 'after_invalid'],
    ['after=', 'after_invalid'],
    ['limit=0', 'limit_out_of_range'],
    ['limit=1000000000', 'limit_out_of_range'],
    ['limit=1001', 'limit_out_of_range'],
    ['wait=1', 'wait_without_after'],
    ['after=1&wait=61', 'wait_out_of_range'],
    ['before=1&after=1', 'conflicting_cursors'],
    ['after=1&around=1', 'conflicting_cursors'],
    ['before=1&around=1', 'conflicting_cursors'],
    ['order=desc', 'unknown_field'],
    ['after=1&after=2', 'duplicate_parameter'],
    ['after=%zz', 'bad_path'],
    ['after=%ff', 'bad_path'],
    ['__proto__=1', 'unknown_field'],
  ])('400: ?%s', async (query, code) => {
    const path = `${places[kind]}/messages?${query}`
    expect(await refusal(ada.fetch(path))).toBe(`400 ${code}`)
  })

  test('the largest page, and a cursor far beyond the head', async () => {
    const path = `${places[kind]}/messages`
    expect((await ada.fetch(`${path}?limit=1000`)).status).toBe(200)
    const beyond = await ada.fetch(`${path}?after=${Number.MAX_SAFE_INTEGER}`)
    expect(await beyond.json()).toEqual([])
    expect(beyond.headers.get('parley-recovered')).toBe('false')
    const foreign = await ada.fetch(`${path}?after=0&epoch=another`)
    expect(await foreign.json()).toEqual([])
    expect(foreign.headers.get('parley-recovered')).toBe('false')
    const epoch = foreign.headers.get('parley-epoch')
    const fitting = await ada.fetch(`${path}?after=0&epoch=${epoch}`)
    expect(fitting.headers.get('parley-recovered')).toBeNull()
    expect(fitting.headers.get('parley-epoch')).toBe(beyond.headers.get('parley-epoch'))
  })

  test.each(['0', '-1', '1e3', '01', '999999', '9007199254740993', 'x', '%31'])(
    '404: message %s',
    async (seq) => {
      const path = `${places[kind]}/messages/${seq}`
      expect(await refusal(ada.fetch(path))).toBe('404 no_such_message')
    },
  )
})

describe('who may read', () => {
  test('both see one conversation, each from their own side', async () => {
    const eve = await signUp(server.url)
    await ada.post(`/user/${eve.id}`, 'from ada')
    await eve.post(`/user/${ada.id}`, 'from eve')
    const [adas, eves] = [await ada.list(`/user/${eve.id}`), await eve.list(`/user/${ada.id}`)]
    expect(adas.map(({ user }) => user)).toEqual([eve.id, eve.id])
    expect(eves.map(({ user }) => user)).toEqual([ada.id, ada.id])
    const shared = ({ user: _, ...rest }: Message) => rest
    expect(adas.map(shared)).toEqual(eves.map(shared))
    expect(await refusal(bob.fetch(`/user/${eve.id}/messages/1`))).toBe('404 no_such_message')
  })

  test('a conversation with oneself is one of its own', async () => {
    const place = `/user/${ada.id}`
    const note = await ada.post(place, 'a note to myself')
    expect(await ada.list(place)).toEqual([note])
    expect(note).toMatchObject({ seq: 1, user: ada.id })
    expect(await bob.list(place)).not.toContainEqual(note)
  })
})
