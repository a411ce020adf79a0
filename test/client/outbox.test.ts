/** Posts: their order, their keys, what is tried again and what is not, and where they are kept. */
import { expect, test } from 'bun:test'
import * as limits from '../../client/limits.ts'
import { Parley } from '../../client/parley.ts'
import type { PostStorage } from '../../client/types.ts'
import { MemoryStorage } from './sim/person.ts'
import { textOf } from './sim/readers.ts'
import { live, type Scene, signedIn, stage, TOKEN } from './sim/scene.ts'
import { TOO_LONG } from './sim/server.ts'

function texts({ server }: Scene, room = 'r1'): string[] {
  return server.log(room).map(textOf)
}

function postFrames({ network }: Scene) {
  return network.sent.filter(({ op }) => op === 'post')
}

test('posts to one place go one after the other, places side by side', async () => {
  const scene = await live()
  const { parley, clock, network } = scene
  network.swallows = ({ op, text }) => op === 'post' && text === 'first'
  for (const text of ['first', 'second', 'third']) parley.room('r1').post(text)
  parley.room('r2').post('elsewhere')
  await clock.advance(5_000)
  expect(texts(scene)).toEqual([])
  expect(texts(scene, 'r2')).toEqual(['elsewhere'])
  network.swallows = undefined
  await clock.advance(20_000)
  expect(texts(scene)).toEqual(['first', 'second', 'third'])
})

test('a post is sending, then sent, with its seq and its time', async () => {
  const scene = await live()
  const post = scene.parley.room('r1').post('hello', { key: 'mine' })
  expect(post).toMatchObject({ key: 'mine', text: 'hello', state: 'sending', seq: undefined })
  expect(scene.parley.outbox.posts()).toEqual([post] as never)
  await scene.clock.advance(500)
  expect(await post.sent).toEqual({ seq: 1, at: post.at! })
  expect(post).toMatchObject({ state: 'sent', seq: 1, attempts: 1, error: undefined })
  expect(scene.parley.outbox.posts()).toEqual([])
})

test('a refusal that will pass is tried again, as the server says and with the same key', async () => {
  const scene = await live({ random: 0.5 })
  scene.server.refusals = 4
  const post = scene.parley.room('r1').post('hello')
  await scene.clock.advance(60)
  expect(post).toMatchObject({ state: 'sending', attempts: 1, error: { code: 'rate_limited' } })
  await scene.clock.advance(2_000)
  expect(post.attempts).toBe(1)
  await scene.clock.advance(400)
  expect(post).toMatchObject({ attempts: 2, error: { code: 'store_unavailable' } })
  await scene.clock.advance(30_000)
  expect(post).toMatchObject({ state: 'sent', attempts: 5, error: undefined })
  expect(new Set(postFrames(scene).map(({ key }) => key)).size).toBe(1)
  expect(texts(scene)).toEqual(['hello'])
})

test('a refusal for good is a failure, and those behind it go on', async () => {
  const scene = await live()
  const failing = scene.parley.room('r1').post(`far ${TOO_LONG}`)
  const next = scene.parley.room('r1').post('next')
  let changes = 0
  scene.parley.outbox.onChange(() => (changes += 1))
  await scene.clock.advance(1_000)
  expect(failing).toMatchObject({ state: 'failed', error: { code: 'text_too_long', status: 413 } })
  expect(await failing.sent.catch((error) => error.code)).toBe('text_too_long')
  expect(next.state).toBe('sent')
  expect(scene.parley.outbox.posts()).toEqual([failing] as never)
  expect(changes).toBeGreaterThan(0)
  failing.discard()
  expect(scene.parley.outbox.posts()).toEqual([])
})

test('a full disk is a failure; retry() sends it again with the same key', async () => {
  const scene = await live()
  scene.server.isFull = true
  const post = scene.parley.room('r1').post('hello')
  await scene.clock.advance(1_000)
  expect(post).toMatchObject({ state: 'failed', error: { status: 507 } })
  scene.server.isFull = false
  post.retry()
  expect(post.state).toBe('sending')
  await scene.clock.advance(1_000)
  expect((await post.sent).seq).toBe(1)
  const [first, second] = postFrames(scene)
  expect(second!.key).toBe(first!.key as string)
})

test('after key_reused a retry has a key of its own', async () => {
  const scene = await live()
  const { connections } = scene.server
  const [connection] = connections
  scene.network.swallows = (frame) => {
    if (frame.op !== 'post' || frame.key !== 'used') return false
    connection!.send({ re: frame.id, error: { code: 'key_reused', status: 422 } })
    return true
  }
  const post = scene.parley.room('r1').post('hello', { key: 'used' })
  await scene.clock.advance(500)
  expect(post).toMatchObject({ state: 'failed', error: { code: 'key_reused' } })
  post.retry()
  expect(post.key).not.toBe('used')
  await scene.clock.advance(500)
  expect(post.state).toBe('sent')
})

test('what is discarded is not sent, unless it is under way', async () => {
  const scene = await live()
  const [underWay, waiting] = ['one', 'two'].map((text) => scene.parley.room('r1').post(text))
  waiting!.discard()
  underWay!.discard()
  expect(await waiting!.sent.catch((error) => error.code)).toBe('discarded')
  await scene.clock.advance(1_000)
  expect(texts(scene)).toEqual(['one'])
  expect(scene.parley.outbox.posts()).toEqual([])
})

test(`there are ${limits.OUTBOX_POSTS_MAX} unsent posts at most`, async () => {
  const scene = await signedIn()
  scene.network.isDown = true
  for (let i = 0; i < limits.OUTBOX_POSTS_MAX; i++) scene.parley.room('r1').post(`${i}`)
  expect(() => scene.parley.room('r1').post('one more')).toThrow('outbox_full')
  scene.parley.outbox.posts()[0]!.discard()
  scene.parley.room('r1').post('one more')
  scene.network.isDown = false
  await scene.clock.advance(200_000)
  expect(texts(scene)).toHaveLength(limits.OUTBOX_POSTS_MAX)
})

test(`posts of up to ${limits.FRAME_POST_CHARS_MAX} characters are frames, longer ones requests`, async () => {
  const scene = await live()
  const [short, long] = [0, 1].map((more) => 'x'.repeat(limits.FRAME_POST_CHARS_MAX + more))
  scene.parley.room('r1').post(long!)
  scene.parley.room('r1').post(short!)
  await scene.clock.advance(1_000)
  expect(texts(scene)).toEqual([long!, short!])
  expect(postFrames(scene)).toHaveLength(1)
  const tooLong = scene.parley.room('r1').post(`${long}${TOO_LONG}`)
  await scene.clock.advance(1_000)
  expect(tooLong).toMatchObject({ state: 'failed', error: { code: 'text_too_long' } })
  expect(scene.network.sockets).toBe(1)
})

test('a post needs a place to go and somebody who writes it', async () => {
  const scene = stage()
  expect(() => scene.parley.room('r1').post('hello')).toThrow('not_signed_in')
  const { parley, clock } = await signedIn()
  const post = parley.inbox.post('hello')
  await clock.advance(1_000)
  expect(post).toMatchObject({ state: 'failed', error: { status: 400 } })
})

/** Another page of the same person, or of another, on the same storage. */
async function nextPage(
  scene: Scene,
  storage: PostStorage,
  { token = TOKEN, ms = 200 } = {},
): Promise<Parley> {
  const { network, clock } = scene
  const { fetch, WebSocket } = network
  const parley = new Parley({ url: 'http://sim', token, fetch, WebSocket, clock, storage })
  const resumed = parley.resume()
  await clock.advance(ms)
  await resumed
  return parley
}

test('what is unsent, or failed, survives the page, in order and with its keys', async () => {
  const storage = new MemoryStorage()
  const scene = await signedIn({ storage })
  const failing = scene.parley.room('r1').post(TOO_LONG)
  await scene.clock.advance(1_000)
  scene.network.swallows = ({ op }) => op === 'post'
  const posts = ['a', 'b', 'c'].map((text) => scene.parley.room('r1').post(text))
  expect(storage.length).toBe(4)
  expect([...storage.items.keys()].every((name) => name.startsWith('parley.post.ann.'))).toBe(true)
  await scene.clock.advance(100)
  scene.parley.close()
  scene.network.swallows = undefined
  const parley = await nextPage(scene, storage, { ms: 45 })
  const [kept, ...others] = parley.outbox.posts()
  expect(kept).toMatchObject({ key: failing.key, state: 'failed', error: { status: 413 } })
  expect(others.map(({ key }) => key)).toEqual(posts.map(({ key }) => key))
  expect(others[0]).toMatchObject({ state: 'sending', text: 'a', place: { room: 'r1' } })
  await scene.clock.advance(2_000)
  expect(texts(scene)).toEqual(['a', 'b', 'c'])
  expect(storage.length).toBe(1)
  kept!.discard()
  expect(storage.length).toBe(0)
})

test('a post under way when its page ended is hidden by its event in the next page', async () => {
  const storage = new MemoryStorage()
  const scene = await live({ storage })
  const [connection] = scene.server.connections
  connection!.send = () => {}
  scene.parley.room('r1').post('hello')
  await scene.clock.advance(100)
  scene.parley.close()
  scene.network.swallows = ({ op }) => op === 'post'
  const parley = await nextPage(scene, storage)
  const window = parley.room('r1').open({ pageSize: 5 })
  await scene.clock.advance(1_000)
  expect(window.events.map(textOf)).toEqual(['hello'])
  expect(parley.outbox.posts()).toMatchObject([{ state: 'sending', attempts: 2 }])
  expect(window.posts).toEqual([])
})

test('two pages may send the same posts: each is there once', async () => {
  const storage = new MemoryStorage()
  const scene = await signedIn({ storage })
  for (const text of ['a', 'b', 'c']) scene.parley.room('r1').post(text)
  const other = await nextPage(scene, storage)
  await scene.clock.advance(3_000)
  expect(texts(scene)).toEqual(['a', 'b', 'c'])
  expect([storage.length, other.outbox.posts().length]).toEqual([0, 0])
})

test('posts belong to their author, whoever else signs in', async () => {
  const storage = new MemoryStorage()
  const scene = await live({ storage })
  scene.network.swallows = ({ op }) => op === 'post'
  const post = scene.parley.room('r1').post('mine')
  await scene.clock.advance(100)
  scene.network.swallows = undefined
  scene.server.endSession(TOKEN)
  await scene.clock.advance(100)
  expect(scene.parley.outbox.posts()).toEqual([])
  scene.server.tokens.set('other', 'bob')
  const bob = await nextPage(scene, storage, { token: 'other' })
  const user = { id: 'bob', name: 'bob' }
  scene.network.answers = (_, path) =>
    path === '/sessions' ? { status: 201, body: { token: 'other', user } } : undefined
  void scene.parley.signIn('bob', 'secret')
  await scene.clock.advance(1_000)
  expect(scene.parley.me!.name).toBe('bob')
  for (const one of [bob, scene.parley]) {
    expect(one.outbox.posts()).toEqual([])
    one.room('r2').post('of bob')
  }
  await scene.clock.advance(5_000)
  expect(texts(scene, 'r2')).toEqual(['of bob', 'of bob'])
  expect([texts(scene), post.state]).toEqual([[], 'sending'])
  scene.server.tokens.set(TOKEN, 'ann')
  await nextPage(scene, storage)
  await scene.clock.advance(5_000)
  expect(texts(scene)).toEqual(['mine'])
})

test('signing out forgets what was unsent', async () => {
  const storage = new MemoryStorage()
  storage.setItem('somebody else’s', 'thing')
  const scene = await live({ storage })
  scene.network.swallows = ({ op }) => op === 'post'
  const post = scene.parley.room('r1').post('mine')
  scene.network.answers = (method) => (method === 'DELETE' ? { status: 204 } : undefined)
  const out = scene.parley.signOut()
  await scene.clock.advance(200)
  await out
  expect([...storage.items.keys()]).toEqual(['somebody else’s'])
  expect(await post.sent.catch((error) => error.code)).toBe('discarded')
  expect(scene.parley.status.state).toBe('signed-out')
})

test('a sign-out that does not reach the server has not happened', async () => {
  const scene = await live()
  scene.network.isDown = true
  const failed = scene.parley.signOut().catch((error) => error.code)
  await scene.clock.advance(200)
  expect(await failed).toBe('unreachable')
  scene.network.isDown = false
  await scene.clock.advance(5_000)
  expect([scene.parley.me?.name, scene.parley.status.state]).toEqual(['ann', 'live'])
})

test('a storage that is full, or forbidden, stops nothing', async () => {
  const forbid = (): never => {
    throw new Error('QuotaExceededError')
  }
  const storage = { key: forbid, getItem: forbid, setItem: forbid, removeItem: forbid }
  const scene = await live({
    storage: Object.defineProperty(storage, 'length', { get: forbid }) as never,
  })
  const post = scene.parley.room('r1').post('hello')
  await scene.clock.advance(1_000)
  expect(post.state).toBe('sent')
})
