/** Windows on a timeline: what they show, where they end, and how little they do. */
import { expect, test } from 'bun:test'
import { HEAD_GRACE_MS } from '../../client/limits.ts'
import type { Message, TimelineWindow, WindowOptions } from '../../client/types.ts'
import { textOf } from './sim/readers.ts'
import { say, signedIn } from './sim/scene.ts'

function seqsOf({ events }: TimelineWindow<Message>): number[] {
  return events.map(({ seq }) => seq)
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

async function open(count: number, options: WindowOptions = {}) {
  const scene = await signedIn()
  say(scene, count)
  const window = scene.parley.room('r1').open({ eventsMax: 20, pageSize: 5, ...options })
  expect(window.state).toBe('loading')
  await scene.clock.advance(1_000)
  return { ...scene, window }
}

test('it opens at the end and follows it', async () => {
  const scene = await open(12)
  const { window } = scene
  expect(seqsOf(window)).toEqual(range(8, 12))
  expect(window).toMatchObject({ state: 'ready', atStart: false, atEnd: true, head: 12 })
  const before = window.events
  say(scene, 3)
  await scene.clock.advance(500)
  expect(seqsOf(window)).toEqual(range(8, 15))
  expect(window.events).not.toBe(before)
  expect(scene.parley.status.state).toBe('live')
})

test('while somebody reads further up nothing is dropped there, and no more is taken', async () => {
  const scene = await open(30, { pageSize: 10 })
  const { window, clock, network } = scene
  window.follow(false)
  say(scene, 10)
  await clock.advance(500)
  expect([seqsOf(window), window.atEnd]).toEqual([range(21, 40), true])
  say(scene, 3)
  await clock.advance(500)
  expect([seqsOf(window), window.atEnd, window.head]).toEqual([range(21, 40), false, 43])
  expect(scene.parley.status.state).toBe('live')
  network.cut()
  say(scene, 30)
  await clock.advance(5_000)
  expect([seqsOf(window), window.head]).toEqual([range(21, 40), 73])
  window.follow(true)
  await Promise.all([window.jumpToEnd(), clock.advance(500)])
  say(scene, 12)
  await clock.advance(500)
  expect(seqsOf(window)).toEqual(range(66, 85))
})

test('a gap is filled no further than there is room while somebody reads further up', async () => {
  const scene = await open(10)
  scene.window.follow(false)
  scene.network.cut()
  say(scene, 30)
  await scene.clock.advance(5_000)
  expect(seqsOf(scene.window)).toEqual(range(6, 25))
  expect([scene.window.atEnd, scene.window.head]).toEqual([false, 40])
})

test('an empty timeline starts and ends at once', async () => {
  const { window } = await open(0)
  expect(window).toMatchObject({ state: 'ready', atStart: true, atEnd: true, head: 0, events: [] })
})

test('following, it holds eventsMax and drops at the older end', async () => {
  const scene = await open(10)
  say(scene, 15)
  await scene.clock.advance(500)
  expect(seqsOf(scene.window)).toEqual(range(6, 25))
  say(scene, 1)
  await scene.clock.advance(500)
  expect(seqsOf(scene.window)).toEqual(range(7, 26))
  expect(scene.window.atEnd).toBe(true)
})

test('older pages drop at the newer end, newer ones come back to it', async () => {
  const scene = await open(60)
  const { window, clock } = scene
  const load = async (how: 'loadOlder' | 'loadNewer') => {
    const loading = window[how]()
    await clock.advance(200)
    await loading
  }
  for (let i = 0; i < 3; i++) await load('loadOlder')
  expect(seqsOf(window)).toEqual(range(41, 60))
  expect(window.atEnd).toBe(true)
  await load('loadOlder')
  expect(seqsOf(window)).toEqual(range(36, 55))
  expect(window.atEnd).toBe(false)
  say(scene, 2)
  await clock.advance(500)
  expect(seqsOf(window)).toEqual(range(36, 55))
  expect(window.head).toBe(62)
  expect(scene.parley.status.state).toBe('live')
  await load('loadNewer')
  expect([window.atEnd, window.events.at(-1)!.seq]).toEqual([false, 60])
  await load('loadNewer')
  expect([window.atEnd, window.events.at(-1)!.seq]).toEqual([true, 62])
  say(scene, 1)
  await clock.advance(500)
  expect(seqsOf(window)).toEqual(range(44, 63))
})

test('it jumps anywhere, stays where it is until it is there, and comes back', async () => {
  const scene = await open(60)
  const { window, clock } = scene
  const jump = window.jumpTo(20)
  expect([window.state, window.atEnd]).toEqual(['ready', true])
  await clock.advance(200)
  await jump
  expect(seqsOf(window)).toContain(20)
  expect(window.atEnd).toBe(false)
  await Promise.all([window.loadOlder(), window.loadOlder(), clock.advance(200)])
  expect(seqsOf(window)).toEqual(range(seqsOf(window)[0]!, seqsOf(window)[0]! + 9))
  await Promise.all([window.jumpToEnd(), clock.advance(200)])
  expect([window.atEnd, window.events.at(-1)!.seq]).toEqual([true, 60])
})

test('it may start around a seq; at the very end it follows', async () => {
  expect(seqsOf((await open(60, { around: 20 })).window)).toContain(20)
  const { window } = await open(60, { around: 60 })
  expect([window.atEnd, window.events.at(-1)!.seq]).toEqual([true, 60])
})

test('a jump that fails leaves everything as it was', async () => {
  const scene = await open(60)
  const { window, clock, network } = scene
  network.answers = () => ({ status: 400, body: { code: 'around_out_of_range' } })
  const failed = window.jumpTo(0).catch((error) => error.code)
  await clock.advance(200)
  expect(await failed).toBe('around_out_of_range')
  say(scene, 1)
  await clock.advance(200)
  expect(window).toMatchObject({ state: 'ready', atEnd: true })
  expect(seqsOf(window)).toEqual(range(56, 61))
})

test('of two jumps the second counts, whichever page comes last', async () => {
  const { window, clock, network } = await open(60)
  network.historyDelayMs = 1_000
  const first = window.jumpTo(10)
  await clock.advance(100)
  network.historyDelayMs = 0
  const second = window.jumpTo(40)
  await clock.advance(2_000)
  await Promise.all([first, second])
  expect(seqsOf(window)).toContain(40)
})

test('a jump to the end that is overtaken does not go back', async () => {
  const scene = await open(30, { around: 20 })
  const { window, clock, network, parley } = scene
  network.historyDelayMs = 2_000
  const jump = window.jumpToEnd()
  await clock.advance(100)
  network.historyDelayMs = 0
  parley.room('r1').post('hello')
  for (let i = 0; i < 3; i++) await Promise.all([window.loadNewer(), clock.advance(300)])
  expect([window.atEnd, window.events.at(-1)!.text, window.posts.length]).toEqual([
    true,
    'hello',
    0,
  ])
  for (let i = 0; i < 3; i++) await Promise.all([window.loadOlder(), clock.advance(300)])
  expect(window.atEnd).toBe(false)
  const before = window.events
  await Promise.all([jump, clock.advance(3_000)])
  expect(window.events).toBe(before)
})

test('a first page that cannot be had is a failure that passes', async () => {
  const scene = await signedIn()
  say(scene, 3)
  scene.network.answers = () => ({ status: 503 })
  const window = scene.parley.room('r1').open({ pageSize: 5 })
  await scene.clock.advance(100)
  expect(window).toMatchObject({ state: 'failed', error: { status: 503 } })
  expect(scene.parley.status.state).toBe('catching-up')
  scene.network.answers = undefined
  const reloaded = window.reload()
  await scene.clock.advance(200)
  await reloaded
  expect(seqsOf(window)).toEqual([1, 2, 3])
  scene.parley.close()

  const patient = await signedIn()
  patient.network.answers = () => ({ status: 503 })
  const other = patient.parley.room('r1').open({ pageSize: 5 })
  await patient.clock.advance(2_000)
  patient.network.answers = undefined
  await patient.clock.advance(10_000)
  expect(other.state).toBe('ready')
})

test('a gap of up to eventsMax is filled; past it the newest page is loaded instead', async () => {
  for (const missed of [20, 21]) {
    const scene = await open(10)
    scene.network.cut()
    say(scene, missed)
    await scene.clock.advance(5_000)
    const { requests, sent } = scene.network
    const last = 10 + missed
    const isFilled = missed <= 20
    expect(seqsOf(scene.window)).toEqual(range(isFilled ? last - 19 : last - 4, last))
    expect(requests.some((path) => path.includes('after=10'))).toBe(isFilled)
    // What was missed is not sent through the socket, however much it is.
    expect(sent.findLast(({ op }) => op === 'subscribe')).not.toHaveProperty('after')
    expect(scene.parley.status.state).toBe('live')
  }
})

test('after a reset it shows the newest page and follows it', async () => {
  const scene = await open(30)
  scene.server.closeAll(1012, '{"retryMs":100}')
  scene.server.restore(0.5)
  await scene.clock.advance(5_000)
  expect(seqsOf(scene.window)).toEqual(range(11, 15))
  say(scene, 1)
  await scene.clock.advance(1_000)
  expect(scene.window.events.at(-1)).toMatchObject({ seq: 16 })
  expect(scene.parley.status.state).toBe('live')
})

test('it is told at most once for each frame, and only the arrays that change are new', async () => {
  const scene = await open(5)
  let changes = 0
  scene.window.onChange(() => (changes += 1))
  const [connection] = scene.server.connections
  const { posts } = scene.window
  let frames = 0
  const { send } = connection!
  connection!.send = (frame) => {
    frames += 1
    send(frame)
  }
  say(scene, 200)
  await scene.clock.advance(1_000)
  expect(frames).toBeGreaterThan(30)
  expect(changes).toBeLessThanOrEqual(frames)
  expect(changes).toBeGreaterThan(0)
  expect(scene.window.posts).toBe(posts)
})

test('a post is shown as sending, as sent, and then as its event: never twice, never not', async () => {
  const scene = await open(5)
  const { window, parley, clock, server } = scene
  const [connection] = server.connections
  const { send } = connection!
  // As a busy server does it: the reply first.
  connection!.send = (frame) => {
    if ('events' in frame) clock.setTimeout(() => send(frame), 100)
    else send(frame)
  }
  const seen: string[] = []
  window.onChange(() => {
    const states = window.posts.map(({ state }) => state)
    const isEvent = window.events.some(({ text }) => text === 'hello')
    seen.push([...states, ...(isEvent ? ['event'] : [])].join())
  })
  parley.room('r1').post('hello')
  await clock.advance(500)
  expect([...new Set(seen)]).toEqual(['sending', 'sent', 'event'])
})

test('a post whose reply was lost is hidden by its event, and no other of the same text', async () => {
  const scene = await open(5)
  const { window, parley, clock, network, server } = scene
  server.commit('ann', { room: 'r1' }, 'ok')
  server.commit('cat', { room: 'r1' }, 'ok')
  await clock.advance(500)
  const [connection] = server.connections
  const { send } = connection!
  connection!.send = (frame) => {
    if (!('re' in frame)) send(frame)
  }
  const [first, second] = [1, 2].map(() => parley.room('r1').post('ok'))
  await clock.advance(5_000)
  expect(window.events.map(textOf).filter((text) => text === 'ok')).toHaveLength(3)
  expect(window.posts).toEqual([second!] as never)
  expect(first!.state).toBe('sending')
  network.cut()
  await clock.advance(10_000)
  expect([first!.seq, second!.seq, window.posts.length]).toEqual([8, 9, 0])
})

test('in a timeline that has lost its end a post is hidden by its event as well', async () => {
  const scene = await open(10)
  const { window, parley, clock, network, server } = scene
  network.swallows = ({ op }) => op === 'post'
  const post = parley.room('r1').post('again')
  await clock.advance(100)
  server.closeAll(1012, '{"retryMs":10}')
  server.restore(0.5)
  await clock.advance(2_000)
  // It arrives, as the sixth, and the reply does not.
  server.commit('ann', { room: 'r1' }, 'again', post.key)
  await clock.advance(100)
  expect(window.events.map(({ seq }) => seq)).toEqual(range(1, 6))
  expect([post.state, window.posts.length]).toEqual(['sending', 0])
})

test('with two windows each shows a sent post until it has the event itself', async () => {
  const scene = await open(60)
  const { parley, clock } = scene
  const past = parley.room('r1').open({ around: 10, pageSize: 5, eventsMax: 5 })
  await clock.advance(500)
  const post = parley.room('r1').post('hello')
  await clock.advance(500)
  expect(post.state).toBe('sent')
  expect([scene.window.posts.length, past.posts.length]).toEqual([0, 1])
  await Promise.all([past.jumpToEnd(), clock.advance(HEAD_GRACE_MS)])
  expect([past.posts.length, parley.outbox.posts().length]).toEqual([0, 0])
})

test('a window that is closed hears nothing more and lets go of the place', async () => {
  const scene = await open(5)
  let changes = 0
  scene.window.close()
  await scene.clock.advance(10)
  scene.window.onChange(() => (changes += 1))
  say(scene, 3)
  await scene.clock.advance(500)
  expect([changes, scene.window.events.length, scene.parley.status.state]).toEqual([0, 5, 'idle'])
})
