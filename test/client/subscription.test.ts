/** Subscriptions: where they start, what they do about holes, and what they keep in memory. */
import { expect, test } from 'bun:test'
import * as limits from '../../client/limits.ts'
import type { InboxEntry, Message } from '../../client/types.ts'
import { CALM } from './sim/network.ts'
import { live, loseEvent, pages, say, signedIn, subscribes } from './sim/scene.ts'

test('after a cursor comes everything, with the place that the wire leaves out', async () => {
  const scene = await signedIn()
  say(scene, 30)
  const subscription = scene.parley.room('r1').subscribe({ after: 10, epoch: 'E1' })
  const got: Message[] = []
  subscription.on('events', (events) => got.push(...events))
  await scene.clock.advance(1_000)
  expect(got.map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, i) => i + 11))
  expect(got.every(({ room }) => room === 'r1')).toBe(true)
  expect(subscription.cursor).toEqual({ seq: 30, epoch: 'E1' })
  expect(subscribes(scene)).toMatchObject([{ room: 'r1', after: 10, epoch: 'E1' }])
  expect(pages(scene)).toEqual([])
})

test('without a cursor comes what is new, from wherever the server was', async () => {
  const scene = await signedIn()
  say(scene, 5)
  const subscription = scene.parley.room('r1').subscribe()
  const seqs: number[] = []
  subscription.on('events', (events) => seqs.push(...events.map(({ seq }) => seq)))
  expect(subscription.cursor).toBeUndefined()
  await scene.clock.advance(1_000)
  expect(subscription.cursor).toEqual({ seq: 5, epoch: 'E1' })
  say(scene, 2)
  await scene.clock.advance(1_000)
  expect(seqs).toEqual([6, 7])
})

test('a new connection goes on from where the last one was', async () => {
  const scene = await live()
  say(scene, 4)
  await scene.clock.advance(1_000)
  scene.network.cut()
  say(scene, 2)
  await scene.clock.advance(3_000)
  expect(subscribes(scene)[1]).toMatchObject({ room: 'r1', after: 4, epoch: 'E1' })
  expect(scene.seqs).toEqual([1, 2, 3, 4, 5, 6])
  expect(pages(scene)).toEqual([])
})

test('whoever joins while events are told is live like those before, and so is the client', async () => {
  const scene = await live()
  const room = scene.parley.room('r1')
  const window = room.open({ pageSize: 5 })
  let late: ReturnType<typeof room.subscribe> | undefined
  window.onChange(() => {
    if (window.events.length === 0 || late !== undefined) return
    late = room.subscribe()
    late.on('events', () => {})
  })
  await scene.clock.advance(1_000)
  say(scene, 1)
  await scene.clock.advance(1_000)
  expect([late?.state, scene.parley.status.state]).toEqual(['live', 'live'])
})

test('a hole is filled from history, by one request for all who have it', async () => {
  const scene = await live()
  const other: number[] = []
  const second = scene.parley.room('r1').subscribe()
  second.on('events', (events) => other.push(...events.map(({ seq }) => seq)))
  await scene.clock.advance(100)
  expect(subscribes(scene)).toHaveLength(1)
  loseEvent(scene, 2)
  say(scene, 3)
  await scene.clock.advance(25)
  expect(scene.parley.status.state).toBe('catching-up')
  await scene.clock.advance(200)
  expect([scene.seqs, other]).toEqual([
    [1, 2, 3],
    [1, 2, 3],
  ])
  expect(pages(scene).filter((path) => path.includes('after=1&'))).toHaveLength(2)
  expect(scene.parley.status.state).toBe('live')
})

test('frames that come twice, or in another order, are told once and in order', async () => {
  const scene = await live()
  scene.network.weather = { ...CALM, repeat: 1, delayMs: 5 }
  for (let i = 0; i < 5; i++) {
    say(scene, 2)
    await scene.clock.advance(10)
  }
  expect(scene.seqs).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  expect(pages(scene)).toEqual([])
  const loop: number[] = []
  const slow = scene.parley.room('r1').subscribe()
  await scene.clock.advance(100)
  const [connection] = scene.server.connections
  const frames: object[] = []
  const { send } = connection!
  connection!.send = (frame) => {
    frames.push(frame)
    send(frame)
  }
  for (let i = 0; i < 2; i++) {
    say(scene, 1)
    await scene.clock.advance(10)
  }
  for (const frame of frames) send(frame)
  await scene.clock.advance(100)
  const read = async () => {
    for await (const event of slow) if ('seq' in event) loop.push(event.seq)
  }
  void read()
  await scene.clock.advance(100)
  expect(loop).toEqual([11, 12])
  scene.network.weather = { ...CALM, reorders: true, delayMs: 500 }
  say(scene, 30)
  await scene.clock.advance(5_000)
  expect(scene.seqs).toEqual(Array.from({ length: 42 }, (_, i) => i + 1))
  expect(scene.parley.status.state).toBe('live')
})

test('a page as large as the server gives is asked for from then on', async () => {
  const scene = await live()
  loseEvent(scene, 1)
  say(scene, 2)
  await scene.clock.advance(200)
  loseEvent(scene, 3)
  say(scene, 2)
  await scene.clock.advance(200)
  expect(scene.seqs).toEqual([1, 2, 3, 4])
  expect(pages(scene)).toEqual([
    `GET /room/r1/messages?limit=${limits.HEAL_PAGE}&after=0&epoch=E1`,
    'GET /room/r1/messages?after=0&epoch=E1',
    'GET /room/r1/messages?after=2&epoch=E1',
  ])
})

test('a head that stays beyond what has come is a lost tail', async () => {
  const scene = await live()
  loseEvent(scene, 1)
  say(scene, 1)
  await scene.clock.advance(1_000)
  expect(scene.parley.status.state).toBe('live')
  scene.server.beat()
  await scene.clock.advance(30)
  expect(scene.parley.status.state).toBe('catching-up')
  await scene.clock.advance(limits.HEAD_GRACE_MS - 40)
  expect(pages(scene)).toEqual([])
  await scene.clock.advance(200)
  expect(scene.seqs).toEqual([1])
  expect(scene.parley.status.state).toBe('live')
})

test('a post of ours that does not come back is missed without anybody saying so', async () => {
  const scene = await live()
  loseEvent(scene, 1)
  scene.parley.room('r1').post('hello')
  await scene.clock.advance(limits.HEAD_GRACE_MS)
  expect(scene.parley.status.state).toBe('live')
  await scene.clock.advance(500)
  expect(scene.seqs).toEqual([1])
})

test('what cannot be filled now is tried again, and the status does not hide it', async () => {
  const scene = await live()
  loseEvent(scene, 1)
  scene.network.answers = () => ({ status: 503, headers: { 'Retry-After': '5' } })
  say(scene, 2)
  await scene.clock.advance(4_000)
  expect([pages(scene).length, scene.parley.status.state]).toEqual([1, 'catching-up'])
  scene.network.answers = undefined
  await scene.clock.advance(3_000)
  expect([scene.seqs, scene.parley.status.state]).toEqual([[1, 2], 'live'])
})

test(`a slow loop has at most ${limits.QUEUE_MAX} events waiting; the rest is in the history`, async () => {
  for (const count of [limits.QUEUE_MAX, limits.QUEUE_MAX + 1]) {
    const scene = await signedIn()
    const subscription = scene.parley.room('r1').subscribe()
    await scene.clock.advance(1_000)
    say(scene, count)
    await scene.clock.advance(1_000)
    expect(pages(scene)).toEqual([])
    // With one more than fits in memory it does not have everything at hand.
    const isWhole = count <= limits.QUEUE_MAX
    expect(subscription.state).toBe(isWhole ? 'live' : 'catching-up')
    const seqs: number[] = []
    const loop = async () => {
      for await (const event of subscription) if ('seq' in event) seqs.push(event.seq)
    }
    void loop()
    await scene.clock.advance(5_000)
    expect(seqs).toEqual(Array.from({ length: count }, (_, i) => i + 1))
    expect(pages(scene).length > 0).toBe(!isWhole)
    expect(subscription.state).toBe('live')
  }
})

test('the cursor of a loop is that of the event it has just been given', async () => {
  const scene = await signedIn()
  say(scene, 3)
  const cursors: unknown[] = []
  const subscription = scene.parley.room('r1').subscribe({ after: 0 })
  const loop = async () => {
    for await (const event of subscription) {
      cursors.push(subscription.cursor)
      if ('seq' in event && event.seq === 2) break
    }
  }
  const done = loop()
  await scene.clock.advance(1_000)
  await done
  expect(cursors).toEqual([1, 2].map((seq) => ({ seq, epoch: 'E1' })))
  expect(subscription.cursor).toEqual({ seq: 2, epoch: 'E1' })
})

test('leaving the loop closes the subscription, and the wire follows', async () => {
  const scene = await signedIn()
  const subscription = scene.parley.room('r1').subscribe({ after: 0 })
  const ended: unknown[] = []
  subscription.on('end', (error) => ended.push(error))
  const loop = async () => {
    for await (const _ of subscription) break
  }
  const done = loop()
  say(scene, 1)
  await scene.clock.advance(1_000)
  await done
  expect([subscription.state, ended]).toEqual(['ended', [undefined]])
  expect(scene.network.sent.at(-1)).toMatchObject({ op: 'unsubscribe', timeline: 'r1' })
  expect(scene.parley.status.state).toBe('idle')
})

test('a loop throws what its subscription ends with', async () => {
  const scene = await signedIn()
  const loop = async () => {
    for await (const _ of scene.parley.room('nowhere').subscribe()) throw new Error('an event?')
  }
  const failed = loop().catch((error) => error.code)
  await scene.clock.advance(1_000)
  expect(await failed).toBe('no_such_room')
})

test('a subscription that is closed before it began leaves nothing behind', async () => {
  const scene = await live()
  scene.parley.room('r2').subscribe().close()
  const again = scene.parley.room('r2').subscribe()
  await scene.clock.advance(1_000)
  expect(again.state).toBe('live')
  again.close()
  await scene.clock.advance(1_000)
  const [connection] = scene.server.connections
  expect([...connection!.subscriptions.keys()]).toEqual(['r1'])
})

test('a subscription the server has and we do not is a sign of a lost frame', async () => {
  const scene = await live()
  const [connection] = scene.server.connections
  connection!.subscriptions.set('r2', 0)
  const subscription = scene.parley.room('r2').subscribe()
  await scene.clock.advance(5_000)
  expect([subscription.state, scene.network.sockets]).toEqual(['live', 2])
})

test('what a listener throws is reported, and stops nobody else', async () => {
  const scene = await live()
  const reported: (() => void)[] = []
  const seqs: number[] = []
  scene.subscription.on('events', () => {
    throw new Error('mine')
  })
  scene.subscription.on('events', (events) => seqs.push(events.length))
  say(scene, 1)
  const { queueMicrotask } = globalThis
  // Where it is thrown again, nobody can catch it; so it is caught on its way there.
  globalThis.queueMicrotask = (work) => {
    if (String(work).includes('throw')) reported.push(work)
    else queueMicrotask(work)
  }
  await scene.clock.advance(1_000)
  globalThis.queueMicrotask = queueMicrotask
  expect(seqs).toEqual([1])
  expect(reported).toHaveLength(1)
  expect(reported[0]).toThrow('mine')
})

test('direct conversations and the inbox go by the names the server gives them', async () => {
  const scene = await signedIn()
  const direct: Message[] = []
  const inbox: InboxEntry[] = []
  scene.parley
    .user('cat')
    .subscribe({ after: 0 })
    .on('events', (events) => direct.push(...events))
  scene.parley.inbox.subscribe({ after: 0 }).on('events', (events) => inbox.push(...events))
  await scene.clock.advance(1_000)
  scene.server.commit('cat', { user: 'ann' }, 'psst')
  await scene.clock.advance(1_000)
  expect(direct).toMatchObject([{ seq: 1, text: 'psst', user: 'cat' }])
  expect(inbox).toMatchObject([{ seq: 1, type: 'direct', message: { text: 'psst' } }])
  expect(inbox[0]).not.toHaveProperty('inbox')
})
