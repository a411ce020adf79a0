/** When a cursor cannot be honoured: who is told, what comes then, and what comes no more. */
import { expect, test } from 'bun:test'
import type { Message, Reset } from '../../client/types.ts'
import { live, loseEvent, pages, say, signedIn } from './sim/scene.ts'

test.each([
  ['of another epoch', { after: 3, epoch: 'E0' }],
  ['beyond the head', { after: 99, epoch: 'E1' }],
  ['beyond the head, of no known epoch', { after: 99 }],
])('a cursor %s is told to start over, and goes on after the head', async (_, cursor) => {
  for (const isLate of [false, true]) {
    const scene = isLate ? await live() : await signedIn()
    say(scene, 5)
    await scene.clock.advance(100)
    const subscription = scene.parley.room('r1').subscribe(cursor)
    const told: (Reset | number)[] = []
    subscription.on('reset', (reset) => told.push(reset))
    subscription.on('events', (events) => told.push(...events.map(({ seq }) => seq)))
    await scene.clock.advance(1_000)
    say(scene, 2)
    await scene.clock.advance(1_000)
    expect(told).toEqual([{ type: 'reset', epoch: 'E1', head: 5 }, 6, 7])
    expect(scene.parley.status.state).toBe('live')
  }
})

test('a loop that begins later is told what happened before', async () => {
  const scene = await live()
  say(scene, 5)
  await scene.clock.advance(100)
  const subscription = scene.parley.room('r1').subscribe({ after: 3, epoch: 'E0' })
  await scene.clock.advance(1_000)
  const told: (string | number)[] = []
  const loop = async () => {
    for await (const one of subscription) told.push('seq' in one ? one.seq : one.type)
  }
  void loop()
  say(scene, 1)
  await scene.clock.advance(1_000)
  expect(told).toEqual(['reset', 6])
})

test('an older state brought back is a reset for everyone, in loops as well', async () => {
  const scene = await live()
  const inLoop: (Reset | Message)[] = []
  const loop = async () => {
    for await (const event of scene.parley.room('r1').subscribe()) inLoop.push(event)
  }
  void loop()
  let reset: Reset | undefined
  scene.subscription.on('reset', (told) => (reset = told))
  await scene.clock.advance(100)
  say(scene, 4)
  await scene.clock.advance(1_000)
  scene.server.closeAll(1012, '{"retryMs":100}')
  scene.server.restore(0.5)
  await scene.clock.advance(5_000)
  expect(reset).toEqual({ type: 'reset', epoch: 'E2', head: 2 })
  say(scene, 1)
  await scene.clock.advance(1_000)
  expect(scene.seqs).toEqual([1, 2, 3, 4, 3])
  expect(inLoop.map((one) => ('seq' in one ? one.seq : one.type))).toEqual([1, 2, 3, 4, 'reset', 3])
})

test('a page that was asked for before a reset does not count after it', async () => {
  const scene = await live()
  loseEvent(scene, 1)
  scene.network.historyDelayMs = 3_000
  say(scene, 4)
  await scene.clock.advance(100)
  expect(pages(scene)).toHaveLength(1)
  scene.server.closeAll(1012, '{"retryMs":100}')
  scene.server.restore(0)
  await scene.clock.advance(2_000)
  expect(scene.subscription.cursor).toEqual({ seq: 0, epoch: 'E2' })
  await scene.clock.advance(2_000)
  expect(scene.seqs).toEqual([])
  expect(scene.subscription.cursor).toEqual({ seq: 0, epoch: 'E2' })
})

test('a connection to a server that is no more is given up as soon as history tells', async () => {
  const scene = await live()
  say(scene, 3)
  await scene.clock.advance(100)
  // The restore goes unseen: the old connection is as quiet as it may be.
  scene.server.restore(0.5)
  scene.server.connections.clear()
  const late = scene.parley.room('r1').subscribe({ after: 1, epoch: 'E1' })
  const resets: Reset[] = []
  late.on('events', () => {})
  late.on('reset', (reset) => resets.push(reset))
  await scene.clock.advance(3_000)
  expect(resets).toEqual([{ type: 'reset', epoch: 'E2', head: 1 }])
  expect([scene.network.sockets, scene.parley.status.state]).toEqual([2, 'live'])
})
