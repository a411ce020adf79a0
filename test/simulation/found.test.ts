/** What simulated stories have found, each told once more in as few words as it takes. */
import { expect, test } from 'bun:test'
import { takeOver } from './scheduler.ts'
import { World } from './world.ts'

const SETTING = { seed: 1, nodes: 1, people: 1, slow: 0, kernelBytes: 4_000, config: {} }

test('who leaves while their first subscription is being looked up leaves nothing behind', () => {
  const world = new World(SETTING)
  const giveBack = takeOver(world.scheduler)
  try {
    world.begin()
    const [person] = world.people
    person!.come()
    world.scheduler.pass(1_000)
    world.weather.store.latencyMs = 2_000
    person!.follow({ room: world.rooms[0]! }, 0)
    world.scheduler.pass(5)
    person!.leave()
    world.scheduler.pass(60_000)
    expect(world.nodes[0]!.leftovers()).toEqual([])
    expect(world.history.complaints).toEqual([])
  } finally {
    giveBack()
  }
})
