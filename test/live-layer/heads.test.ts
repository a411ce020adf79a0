/** Heads that are asked for in one turn are read in one query. */
import { expect, test } from 'bun:test'
import { HEADS_AT_ONCE, Heads } from '../../src/live/heads.ts'
import type { Store } from '../../src/store/store.ts'
import { failureOf, firstSeqs } from '../contracts/store-home.ts'
import { turn } from './world.ts'

/** Of a store where the head of `r7` is 7; notes how many each query asked for. */
function headsOf(state = { isAway: false }) {
  const queries: number[] = []
  const store = {
    heads: async (ids: string[]) => {
      queries.push(ids.length)
      if (state.isAway) throw new Error('the store is away')
      await turn()
      return ids.map((id) => Number(id.slice(1)))
    },
  }
  return { heads: new Heads(store as unknown as Store), queries }
}

test.each([
  [1, [1]],
  [HEADS_AT_ONCE, [HEADS_AT_ONCE]],
  [HEADS_AT_ONCE + 1, [HEADS_AT_ONCE, 1]],
  [2 * HEADS_AT_ONCE + 1, [HEADS_AT_ONCE, HEADS_AT_ONCE, 1]],
])('%d in one turn: each is given its own', async (count, expected) => {
  const { heads, queries } = headsOf()
  const seqs = firstSeqs(count)
  expect(await Promise.all(seqs.map((n) => heads.read(`r${n}`)))).toEqual(seqs)
  expect(queries).toEqual(expected)
})

test('what is asked later, while a query is under way or after it, is a query of its own', async () => {
  const { heads, queries } = headsOf()
  const first = heads.read('r1')
  await Promise.resolve()
  await Promise.resolve()
  expect(queries).toEqual([1])
  expect(await Promise.all([first, heads.read('r2')])).toEqual([1, 2])
  expect(await heads.read('r3')).toBe(3)
  expect(queries).toEqual([1, 1, 1])
})

test('a query that fails, fails for all who asked in it, and for nobody else', async () => {
  const state = { isAway: true }
  const { heads } = headsOf(state)
  const failures = await Promise.all([1, 2].map((n) => failureOf(heads.read(`r${n}`))))
  expect(failures.map(String)).toEqual(Array(2).fill('Error: the store is away'))
  state.isAway = false
  expect(await heads.read('r3')).toBe(3)
})
