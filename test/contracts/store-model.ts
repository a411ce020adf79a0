/**
 * The store contract: random batches and reads against a model so plain that it is obviously right.
 */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Range, Store } from '../../src/store/store.ts'
import { ModelLog } from './model-log.ts'
import { ADA, BOB, type MakeStoreHome, message, type StoreHome } from './store-home.ts'

const TIMELINES = ['room', 'other', 'direct', 'inbox-a', 'inbox-b']

const event = fc
  .record({
    timeline: fc.constantFrom('room', 'other', 'direct'),
    text: fc.constantFrom('x', 'y', 'grüße 🦜'),
    author: fc.constantFrom(ADA, BOB),
    at: fc.integer({ min: 0, max: 4_102_444_800_000 }),
    key: fc.option(fc.constantFrom('k', 'l', 'm'), { nil: undefined }),
  })
  .map(({ timeline, text, author, at, key }) =>
    message(timeline, text, {
      ...{ author, at },
      ...(key !== undefined && { key }),
      ...(timeline === 'direct' && { inbox: author === ADA ? 'inbox-b' : 'inbox-a' }),
    }),
  )

const seq = fc.integer({ min: 0, max: 60 })
const limit = fc.integer({ min: 1, max: 20 })
const range: fc.Arbitrary<Range> = fc.oneof(
  fc.record({ after: seq, limit }),
  fc.record({ before: seq, limit }),
)

const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ append: fc.array(event, { maxLength: 12 }) }) },
  { weight: 5, arbitrary: fc.record({ list: fc.constantFrom(...TIMELINES), range }) },
  { weight: 2, arbitrary: fc.record({ heads: fc.array(fc.constantFrom(...TIMELINES)) }) },
  { weight: 1, arbitrary: fc.record({ reopen: fc.constant(true) }) },
)

type Action = typeof action extends fc.Arbitrary<infer One> ? One : never

async function play(home: StoreHome, actions: readonly Action[]): Promise<void> {
  const model = new ModelLog()
  let store: Store = await home.open()
  for (const one of actions)
    if ('append' in one) {
      const expected = one.append.map((given) => model.append(given))
      expect(await store.append(one.append)).toEqual(expected)
    } else if ('list' in one) {
      expect(await store.list(one.list, one.range)).toEqual(model.list(one.list, one.range))
    } else if ('heads' in one) {
      expect(await store.heads(one.heads)).toEqual(one.heads.map((id) => model.log(id).length))
    } else {
      await store.close()
      store = await home.open()
    }
  for (const id of TIMELINES)
    expect(await store.list(id, { after: 0, limit: 1_000 })).toEqual(model.log(id))
  await store.close()
}

export function testModel(makeHome: MakeStoreHome): void {
  test('whatever is appended and read, in any order, agrees with the model', () =>
    fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 4, maxLength: 30 }), async (actions) => {
        const home = await makeHome()
        try {
          await play(home, actions)
        } finally {
          await home.remove()
        }
      }),
      { numRuns: 15 },
    ))
}
