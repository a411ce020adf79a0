/** Rooms over HTTP: every row of the table, with exactly its answers. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Person, type Room, ServerProcess, signUp } from '../harness.ts'
import { refusal } from './codes.ts'

let server: ServerProcess
let ada: Person
let bob: Person

beforeAll(async () => {
  server = await ServerProcess.start()
  ada = await signUp(server.url)
  bob = await signUp(server.url)
})

afterAll(() => server.stopAndForget())

const create = (json: unknown) => ada.fetch('/rooms', { method: 'POST', json })

test('GET /rooms: an empty array while there are none', async () => {
  const response = await ada.fetch('/rooms')
  expect([response.status, await response.text()]).toEqual([200, '[]'])
})

describe('POST /rooms', () => {
  test('201: the room, and where it is', async () => {
    const response = await create({ name: 'Salon' })
    expect(response.status).toBe(201)
    const room = (await response.json()) as Room
    expect(room).toEqual({
      id: expect.stringMatching(/^[\w-]{17}$/) as never,
      name: 'Salon',
      head: 0,
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as never,
      createdBy: ada.id,
    })
    expect(response.headers.get('location')).toBe(`${server.url}/room/${room.id}`)
    expect(await bob.get<Room>(`/room/${room.id}`)).toEqual(room)
  })

  test.each([
    ['itself', 'Ça va', 'Ça va'],
    ['in another case', 'Kitchen', 'kITCHEN'],
    ['decomposed', 'Caf\u00e9', 'Cafe\u0301'],
    ['folded', 'Straße', 'STRASSE'],
  ])('409: a name that is taken, %s', async (_, first, second) => {
    expect((await create({ name: first })).status).toBe(201)
    expect(await refusal(create({ name: second }))).toBe('409 name_taken')
  })

  test('409: of many at the same moment one gets the name', async () => {
    const all = await Promise.all([1, 2, 3, 4].map(() => create({ name: 'Rush' })))
    expect(all.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409])
  })

  test('a name is kept as given, but composed', async () => {
    const room = (await (await create({ name: 'Zu\u0308rich 東京 😀' })).json()) as Room
    expect(room.name).toBe('Z\u00fcrich 東京 😀')
  })

  test.each<[unknown, string]>([
    [{}, 'name_missing'],
    [{ name: 1 }, 'name_wrong_type'],
    [{ name: '' }, 'name_too_short'],
    [{ name: '   ' }, 'name_too_short'],
    [{ name: '\u200b\ufeff' }, 'name_too_short'],
    [{ name: ' a' }, 'name_invalid'],
    [{ name: 'a ' }, 'name_invalid'],
    [{ name: 'a\nb' }, 'name_invalid'],
    [{ name: 'a\u0000b' }, 'name_invalid'],
    [{ name: 'a', topic: 'b' }, 'unknown_field'],
  ])('400: %j', async (json, code) => {
    expect(await refusal(create(json))).toBe(`400 ${code}`)
  })

  test('a name of 80 characters passes, of 81 does not, however many bytes they take', async () => {
    for (const one of ['a', 'é', '東', '😀']) {
      expect((await create({ name: one.repeat(80) })).status).toBe(201)
      expect(await refusal(create({ name: one.repeat(81) }))).toBe('400 name_too_long')
    }
    // Composed it has 80.
    expect((await create({ name: 'u\u0308'.repeat(80) })).status).toBe(201)
  })
})

describe('GET', () => {
  test('/rooms tells of every room where it stands', async () => {
    const room = await ada.createRoom()
    await bob.post(`/room/${room.id}`, 'one')
    await ada.post(`/room/${room.id}`, 'two')
    const rooms = await bob.get<Room[]>('/rooms')
    expect(rooms.find(({ id }) => id === room.id)).toEqual({ ...room, head: 2 })
    expect(await bob.get<Room>(`/room/${room.id}`)).toEqual({ ...room, head: 2 })
  })

  test('/rooms sorts by folded name', async () => {
    const names = (await ada.get<Room[]>('/rooms?name=')).map(({ name }) => name.toLowerCase())
    expect(names).toEqual([...names].sort((a, b) => (a < b ? -1 : 1)))
    expect(names.length).toBeGreaterThan(5)
  })

  test.each(['r'.repeat(17), 'nowhere', 'u', '%00'])('/room/%s: 404', async (id) => {
    expect(await refusal(ada.fetch(`/room/${id}`))).toBe('404 no_such_room')
  })

  test('a user’s id is no room’s', async () => {
    expect(await refusal(ada.fetch(`/room/${bob.id}`))).toBe('404 no_such_room')
  })
})
