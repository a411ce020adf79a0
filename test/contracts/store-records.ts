/** The store contract: users, rooms, and lists that are sorted by name. */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import type { NamePage, Store } from '../../src/store/store.ts'
import type { Account, Room } from '../../src/types.ts'
import { type MakeStoreHome, message, withStore } from './store-home.ts'

/** Below every name: the start of a list that is read forwards. */
const START = ''
/** Above every name: the start of one that is read backwards. */
const END = '\u{10ffff}\u{10ffff}'

const page = (more: Partial<NamePage> = {}): NamePage => ({
  prefix: '',
  after: more.backwards ? END : START,
  backwards: false,
  limit: 1_000,
  ...more,
})

const account = (name: string, more: Partial<Account> = {}): Account => ({
  id: `u-${name}`,
  name,
  passwordHash: `hash of ${name}`,
  createdAt: 1_234,
  ...more,
})

const room = (name: string, more: Partial<Room> = {}): Room => ({
  id: `r-${name}`,
  name,
  createdAt: 5_678,
  createdBy: 'u-ada',
  ...more,
})

export function testRecords(makeHome: MakeStoreHome): void {
  testUsers(makeHome)
  testRooms(makeHome)
  testNamePages(makeHome)
}

function testUsers(makeHome: MakeStoreHome): void {
  test('a user is found by id and by name, and only an account has the hash', () =>
    withStore(makeHome, async (store, reopen) => {
      const ada = account('ada')
      expect(await store.createUser(ada)).toBe(true)
      const { passwordHash: _, ...user } = ada
      expect(await store.findUser(ada.id)).toEqual(user)
      expect(await store.findAccount('ada')).toEqual(ada)
      for (const unknown of ['Ada', 'ad', 'ada ', ada.id])
        expect(await store.findAccount(unknown)).toBeUndefined()
      expect(await store.findUser('ada')).toBeUndefined()
      expect(await store.listUsers(page())).toEqual([user])

      const again = await reopen()
      expect(await again.findAccount('ada')).toEqual(ada)
    }))

  test('a name that is taken is refused, and nothing changes, also at the same moment', () =>
    withStore(makeHome, async (store) => {
      const ada = account('ada')
      await store.createUser(ada)
      const usurper = account('ada', { id: 'u-other', passwordHash: 'other', createdAt: 9 })
      expect(await store.createUser(usurper)).toBe(false)
      expect(await store.findAccount('ada')).toEqual(ada)
      expect(await store.findUser('u-other')).toBeUndefined()

      const rivals = Array.from({ length: 8 }, (_, n) => account('bob', { id: `u-bob-${n}` }))
      const won = await Promise.all(rivals.map((rival) => store.createUser(rival)))
      expect(won.filter(Boolean)).toHaveLength(1)
      expect((await store.findAccount('bob'))?.id).toBe(rivals[won.indexOf(true)]!.id)
    }))
}

function testRooms(makeHome: MakeStoreHome): void {
  test('a room is found by id and listed with its key and its head', () =>
    withStore(makeHome, async (store, reopen) => {
      const [tea, ale] = [room('Tea'), room('Ale')]
      expect(await store.createRoom(tea, 'tea')).toBe(true)
      expect(await store.createRoom(ale, 'ale')).toBe(true)
      await store.append([message(tea.id, 'one'), message(tea.id, 'two')])
      const listed = [
        { ...ale, nameKey: 'ale', head: 0 },
        { ...tea, nameKey: 'tea', head: 2 },
      ]
      expect(await store.listRooms(page())).toEqual(listed)
      expect(await store.findRoom(tea.id)).toEqual(tea)
      expect(await store.findRoom('tea')).toBeUndefined()

      const again = await reopen()
      expect(await again.listRooms(page())).toEqual(listed)
    }))

  test('a key that is taken is refused, whatever the name, and nothing changes', () =>
    withStore(makeHome, async (store) => {
      const tea = room('Tea')
      await store.createRoom(tea, 'tea')
      expect(await store.createRoom(room('TEA', { id: 'r-other' }), 'tea')).toBe(false)
      expect(await store.findRoom('r-other')).toBeUndefined()
      expect(await store.listRooms(page())).toEqual([{ ...tea, nameKey: 'tea', head: 0 }])
      expect(await store.createRoom(room('Tea', { id: 'r-third' }), 'tea 2')).toBe(true)
    }))
}

/** Names on both sides of every border that an order by UTF-16 units would get wrong. */
const NAMES = [
  ...['!', 'A', 'a', 'aa', 'ab', 'abc', 'abd', 'b', 'é', 'ß', '中', '\ud7ff'],
  ...['\ue000', '\ufffd', '\uffff', '😀', '😀a', '😁', '\u{fffff}', '\u{10ffff}'],
  ...['a\ud7ff', 'a\uffff', 'a😀', 'a\u{10ffff}', 'a\u{10ffff}a', 'a\u{10ffff}\u{10ffff}'],
]

/** By code point, which is also the order of the bytes of UTF-8. */
function inOrder(names: readonly string[]): string[] {
  return [...names].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
}

function expectedPage({ prefix, after, backwards, limit }: NamePage): string[] {
  const above = (name: string) => Buffer.compare(Buffer.from(name), Buffer.from(after))
  const fitting = inOrder(NAMES).filter(
    (name) => name.startsWith(prefix) && (backwards ? above(name) < 0 : above(name) > 0),
  )
  return backwards ? fitting.slice(-limit) : fitting.slice(0, limit)
}

function testNamePages(makeHome: MakeStoreHome): void {
  const filled = async (store: Store) => {
    for (const [index, name] of NAMES.entries()) {
      await store.createUser(account(name, { id: `u${index}` }))
      // The name itself says nothing of the order: the key does.
      await store.createRoom(room(`Room ${index}`, { id: `r${index}` }), name)
    }
  }
  const keysOf = async (store: Store, given: NamePage) => [
    (await store.listUsers(given)).map((user) => user.name),
    (await store.listRooms(given)).map((one) => one.nameKey),
  ]

  test('pages, forwards and backwards, of every prefix, put together are the whole list', () =>
    withStore(makeHome, async (store) => {
      await filled(store)
      for (const prefix of ['', 'a', 'ab', 'a\u{10ffff}', '\u{10ffff}', '😀', '\ud7ff', 'zz'])
        for (const backwards of [false, true]) {
          const whole = expectedPage(page({ prefix, backwards }))
          const seen: string[] = []
          for (;;) {
            const after = backwards ? (seen[0] ?? END) : (seen.at(-1) ?? START)
            const [users, rooms] = await keysOf(store, page({ prefix, backwards, after, limit: 3 }))
            expect(rooms).toEqual(users!)
            if (users!.length === 0) break
            if (backwards) seen.unshift(...users!)
            else seen.push(...users!)
          }
          expect(seen).toEqual(whole)
        }
    }))

  test('any page is what sorting and filtering by code points gives', () =>
    withStore(makeHome, async (store) => {
      await filled(store)
      const name = fc.constantFrom(...NAMES, START, END)
      const given = fc.record({
        prefix: fc.oneof(fc.constant(''), name, fc.string({ unit: 'binary', maxLength: 2 })),
        after: fc.oneof(name, fc.string({ unit: 'binary', maxLength: 2 })),
        backwards: fc.boolean(),
        limit: fc.integer({ min: 1, max: NAMES.length + 1 }),
      })
      await fc.assert(
        fc.asyncProperty(given, async (one) => {
          const expected = expectedPage(one)
          expect(await keysOf(store, one)).toEqual([expected, expected])
        }),
        { numRuns: 120 },
      )
    }))
}
