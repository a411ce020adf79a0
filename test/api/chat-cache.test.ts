/** The bounded map of things that never change. */
import { expect, test } from 'bun:test'
import { Cache } from '../../src/chat/cache.ts'

function cacheOf(max: number, known: Record<string, string> = {}) {
  const asked: string[] = []
  const cache = new Cache<string>(max, async (id) => {
    asked.push(id)
    const found = known[id]
    await new Promise((resolve) => setImmediate(resolve))
    return found
  })
  return { cache, asked, known }
}

test('what is known is given at once, what is not is asked for once', async () => {
  const { cache, asked } = cacheOf(10, { a: 'A' })
  const first = cache.find('a')
  expect(first).toBeInstanceOf(Promise)
  expect(await first).toBe('A')
  expect(cache.find('a')).toBe('A')
  expect(asked).toEqual(['a'])
})

test('who asks while it is being looked for waits for the same answer, unless that is none', async () => {
  const { cache, asked, known } = cacheOf(10, { a: 'A' })
  expect(await Promise.all([1, 2, 3].map(() => cache.find('a')))).toEqual(['A', 'A', 'A'])
  expect(asked).toEqual(['a'])
  const early = cache.find('b')
  known.b = 'B'
  const late = cache.find('b')
  expect(await Promise.all([early, late])).toEqual([undefined, 'B'])
  expect(asked).toEqual(['a', 'b', 'b'])
})

test('what does not exist is asked for again, because it may come to be', async () => {
  const { cache, asked, known } = cacheOf(10)
  expect(await cache.find('a')).toBeUndefined()
  expect(cache.size).toBe(0)
  known.a = 'A'
  expect(await cache.find('a')).toBe('A')
  expect(asked).toEqual(['a', 'a'])
})

test('as many as the limit stay; one more sends the oldest away, and only that one', () => {
  const { cache } = cacheOf(3)
  for (const id of ['a', 'b', 'c']) cache.set(id, id)
  expect(['a', 'b', 'c'].map((id) => cache.find(id))).toEqual(['a', 'b', 'c'])
  cache.set('d', 'd')
  expect(cache.size).toBe(3)
  expect(['b', 'c', 'd'].map((id) => cache.find(id))).toEqual(['b', 'c', 'd'])
  expect(cache.find('a')).toBeInstanceOf(Promise)
})

test('setting what is there already sends nobody away', () => {
  const { cache } = cacheOf(2)
  cache.set('a', 'a')
  cache.set('b', 'b')
  cache.set('b', 'B')
  expect([cache.find('a'), cache.find('b')]).toEqual(['a', 'B'])
})
