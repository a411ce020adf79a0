import { expect, test } from 'bun:test'
import { shrink } from './shrink.ts'

const steps = Array.from({ length: 40 }, (_, i) => i)

test('what is needed is left, in its order', () => {
  expect(shrink(steps, (some) => [3, 17, 38].every((step) => some.includes(step)))).toEqual([
    3, 17, 38,
  ])
})

test('any one of several is enough, and one is left', () => {
  expect(shrink(steps, (some) => some.includes(5) || some.includes(30))).toHaveLength(1)
})

test('nothing is left of what fails by itself', () => {
  expect(shrink(steps, () => true)).toEqual([])
})
