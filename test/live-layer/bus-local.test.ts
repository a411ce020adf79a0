/** The local bus keeps the contract, and more: alone, nothing is lost, repeated or late. */
import { expect, test } from 'bun:test'
import type { LiveEvent } from '../../src/live/bus.ts'
import { createLocalBus } from '../../src/live/bus-local.ts'
import { busContract } from '../contracts/bus.ts'

busContract('the local bus', async () => ({
  nodesMax: 1,
  join: async () => createLocalBus(),
  remove: async () => {},
}))

test('whoever listens has heard it by the time `publish` returns', () => {
  const bus = createLocalBus()
  const heard: LiveEvent[] = []
  const revoked: string[] = []
  bus.listen({
    events: (events) => heard.push(...events),
    revoked: (sessions) => revoked.push(...sessions),
    joined: () => {},
  })
  const events = [1, 2, 3].map((seq) => ({ timeline: 'room', seq, json: `{"seq":${seq}}` }))
  bus.publish(events)
  bus.revoke(['s1'])
  expect(heard).toEqual(events)
  expect(revoked).toEqual(['s1'])
})
