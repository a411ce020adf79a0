/** What a timeline is asked without following it. */
import { expect, test } from 'bun:test'
import { say, signedIn } from './sim/scene.ts'

test('the seq of a time is found by halving', async () => {
  const scene = await signedIn()
  const times: number[] = []
  for (let i = 0; i < 40; i++) {
    await scene.clock.advance(1_000)
    times.push(scene.clock.now())
    say(scene, 1)
  }
  const find = async (at: number) => {
    const found = scene.parley.room('r1').findSeq(new Date(at))
    await scene.clock.advance(1_000)
    return found
  }
  expect(await find(0)).toBe(1)
  expect(await find(times[19]!)).toBe(20)
  expect(await find(times[19]! + 1)).toBe(21)
  expect(await find(times[39]! + 1)).toBe(41)
  const { requests } = scene.network
  expect(requests.length).toBeLessThan(4 * 8 + 2)
})
