/** The library against the real server: by token and by cookie, through a death and a sign-out. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import type { InboxEntry, Message, ParleyOptions, Post } from '../../client/index.ts'
import { Parley, ParleyError } from '../../client/index.ts'
import { newName, PASSWORD, ServerProcess, until, within } from '../harness.ts'
import { Arrivals } from '../live.ts'
import { expectSoon, msOf } from '../soon.ts'

let server: ServerProcess
const clients: Parley[] = []
beforeAll(async () => {
  server = await ServerProcess.start()
})
afterAll(async () => {
  for (const client of clients) client.close()
  await server.stopAndForget()
})

/** Somebody new, signed in. */
async function join(options: ParleyOptions = {}): Promise<Parley> {
  const client = new Parley({ url: server.url, ...options })
  clients.push(client)
  const name = newName()
  await client.signUp(name, PASSWORD)
  await client.signIn(name, PASSWORD)
  return client
}

function addAll<T>(arrivals: Arrivals<T>): (items: T[]) => void {
  return (items) => {
    for (const item of items) arrivals.add(item)
  }
}

function isLive(client: Parley): Promise<true> {
  return until(() => client.status.state === 'live', 'the client is live')
}

test('signing up, in, and out again', async () => {
  const client = new Parley({ url: server.url })
  const name = newName()
  expect(client.status.state).toBe('signed-out')
  const user = await client.signUp(name, PASSWORD)
  expect(client.me).toBeUndefined()
  expect(await client.signIn(name, PASSWORD)).toEqual(user)
  expect(client.me).toEqual(user)
  const { token } = client
  const again = new Parley({ url: server.url, token: token! })
  expect(await again.resume()).toEqual(user)
  expect((await again.listSessions()).map(({ current }) => current)).toEqual([true])
  await client.signOut()
  expect([client.me, client.token, client.status.state]).toEqual([
    undefined,
    undefined,
    'signed-out',
  ])
  expect(await again.resume()).toBeUndefined()
  expect(again.token).toBeUndefined()
})

test('a refusal is an error with everything the server says', async () => {
  const client = await join()
  const room = await client.createRoom(newName('room'))
  const error = await client.createRoom(room.name).catch((thrown) => thrown)
  expect(error).toBeInstanceOf(ParleyError)
  expect(error).toMatchObject({ code: 'name_taken', status: 409, temporary: false })
  expect(error.hint).toContain('another')
  const limit = await client.listUsers('', 5_000).catch((thrown) => thrown)
  expect(limit).toMatchObject({ code: 'limit_out_of_range', field: 'limit' })
  const wrong = await client.signIn(client.me!.name, 'wrong').catch((thrown) => thrown)
  expect(wrong.code).toBe('wrong_credentials')
  expect(client.me).toBeDefined()
  const nowhere = new Parley({ url: 'http://127.0.0.1:1' })
  const unreachable = await nowhere.resume().catch((thrown) => thrown)
  expect(unreachable).toMatchObject({ code: 'unreachable', status: 0, temporary: true })
})

test('rooms, people and pages', async () => {
  const [ada, bob] = [await join(), await join()]
  const room = await ada.createRoom(newName('room'))
  expect(await bob.getRoom(room.id)).toEqual(room)
  expect(await bob.listRooms({ prefix: room.name, limit: 5 })).toEqual([room])
  expect((await bob.listRooms()).length).toBeGreaterThan(0)
  expect(await bob.listUsers(ada.me!.name)).toEqual([ada.me!])
  expect(await bob.getUser(ada.me!.id)).toEqual(ada.me!)
  const posts = Array.from({ length: 25 }, (_, i) => ada.room(room.id).post(`${i + 1}`))
  await Promise.all(posts.map(({ sent }) => sent))
  const timeline = bob.room(room.id)
  const newest = await timeline.history({ limit: 10 })
  expect(newest.events.map(({ seq }) => seq)).toEqual(Array.from({ length: 10 }, (_, i) => i + 16))
  expect(newest).toMatchObject({ recovered: true, hasOlder: true, hasNewer: false })
  const older = await timeline.history({ before: 4, limit: 10 })
  expect([older.hasOlder, older.hasNewer, older.events.length]).toEqual([false, true, 3])
  const other = await timeline.history({ after: 3, epoch: 'another' })
  expect(other).toMatchObject({ events: [], recovered: false, epoch: newest.epoch })
  expect((await timeline.get(7)).text).toBe('7')
  expect(await timeline.get(99).catch(({ code }) => code)).toBe('no_such_message')
  expect(await timeline.findSeq(new Date(newest.events[3]!.at))).toBeLessThanOrEqual(19)
  expect(await timeline.findSeq(new Date(Date.now() + 60_000))).toBe(26)
})

test('two people talk, directly as well, and an inbox fills', async () => {
  const [ada, bob] = [await join(), await join()]
  const room = await ada.createRoom(newName('room'))
  const heard = new Arrivals<Message>()
  const inbox = new Arrivals<InboxEntry>()
  bob.room(room.id).subscribe().on('events', addAll(heard))
  bob.inbox.subscribe({ after: 0 }).on('events', addAll(inbox))
  await isLive(bob)
  const window = ada.user(bob.me!.id).open()
  ada.room(room.id).post('hello')
  expect(await heard.next()).toMatchObject({ text: 'hello', room: room.id, seq: 1 })
  const { sent } = ada.user(bob.me!.id).post('psst')
  expect(await sent).toMatchObject({ seq: 1 })
  expect((await inbox.next()).message).toMatchObject({ text: 'psst', user: ada.me!.id })
  await until(() => window.events.length === 1 && window.posts.length === 0, 'it is in the window')
  expect(window.events[0]).toMatchObject({ text: 'psst', user: bob.me!.id })
  const long = ada.user(bob.me!.id).post('x'.repeat(16_385))
  expect(await long.sent.catch(({ code }) => code)).toBe('text_too_long')
  // So many bytes as a frame that it would have cost the connection.
  const binary = ada.user(bob.me!.id).post('\u0001'.repeat(16_000))
  expect(await binary.sent.catch(({ code }) => code)).toBe('body_too_large')
  expect(ada.status.state).toBe('live')
})

test('the server dies while people post and comes back: all is there once, in order', async () => {
  const fragile = await ServerProcess.start()
  const port = new URL(fragile.url).port
  const url = fragile.url
  const [ada, bob] = [new Parley({ url }), new Parley({ url })]
  clients.push(ada, bob)
  for (const client of [ada, bob]) {
    const name = newName()
    await client.signUp(name, PASSWORD)
    await client.signIn(name, PASSWORD)
  }
  const room = await ada.createRoom('Tea room')
  const heard: Message[] = []
  const subscription = bob.room(room.id).subscribe({ after: 0 })
  subscription.on('events', (events) => heard.push(...events))
  const window = ada.room(room.id).open({ eventsMax: 2_000 })
  const posts: Post[] = []
  let current = fragile
  for (let death = 0; death < 3; death++) {
    for (let i = 0; i < 60; i++) posts.push(ada.room(room.id).post(`${posts.length + 1}`))
    await until(() => posts.filter(({ state }) => state === 'sent').length > death * 60 + 5, 'some')
    await current.stop('SIGKILL')
    await until(() => bob.status.state === 'offline', 'bob notices')
    current = await ServerProcess.start({ port }, fragile.folder)
  }
  await within(Promise.all(posts.map(({ sent }) => sent)), 'all are sent', 30_000)
  await until(() => heard.length >= posts.length, 'all are heard')
  const expected = posts.map((_, i) => `${i + 1}`)
  expect(heard.map(({ text }) => text)).toEqual(expected)
  expect(heard.map(({ seq }) => seq)).toEqual(posts.map(({ seq }) => seq!))
  await until(() => window.events.length === posts.length, 'the window has them')
  expect(window.posts).toEqual([])
  await Promise.all([isLive(ada), isLive(bob)])
  ada.close()
  bob.close()
  await current.stopAndForget()
}, 60_000)

test('a restart is waited for as the server asks, and nobody is signed out', async () => {
  const own = await ServerProcess.start()
  const client = new Parley({ url: own.url })
  clients.push(client)
  await client.signUp('ada', PASSWORD)
  await client.signIn('ada', PASSWORD)
  const room = await client.createRoom('Tea room')
  const heard = new Arrivals<Message>()
  client.room(room.id).subscribe({ after: 0 }).on('events', addAll(heard))
  await isLive(client)
  const states = new Set<string>()
  client.onStatus(({ state }) => states.add(state))
  await own.stop()
  const again = await ServerProcess.start({ port: new URL(own.url).port }, own.folder)
  await isLive(client)
  client.room(room.id).post('still here')
  expect((await heard.next()).text).toBe('still here')
  expect([...states].sort()).toEqual(['catching-up', 'live', 'offline'])
  client.close()
  await again.stopAndForget()
}, 30_000)

test('a sign-out elsewhere ends it within a second or so', async () => {
  const ending = async (): Promise<number> => {
    const client = await join()
    const room = await client.createRoom(newName('room'))
    const subscription = client.room(room.id).subscribe()
    const ended = new Promise((resolve) => subscription.on('end', resolve))
    await isLive(client)
    const elsewhere = new Parley({ url: server.url })
    await elsewhere.signIn(client.me!.name, PASSWORD)
    const [session] = (await elsewhere.listSessions()).filter(({ current }) => !current)
    await elsewhere.endSession(session!.id)
    const tookMs = await msOf(async () => {
      const why = await within(ended, 'the subscription ends')
      expect(why).toMatchObject({ code: 'not_signed_in' })
    })
    expect(client.status.state).toBe('signed-out')
    return tookMs
  }
  await expectSoon(2_000, 'the client hears of it', ending)
})

/** As a browser on the server's own origin: it keeps the cookie, and no script sees it. */
class Browser {
  cookie = ''
  readonly options: ParleyOptions

  constructor(url: string) {
    const headers = () => ({ cookie: this.cookie, origin: url })
    this.options = {
      url,
      cookie: true,
      fetch: async (path, init) => {
        if (init.credentials !== 'same-origin') throw new Error('the cookie would stay at home')
        const given = init.headers as Record<string, string>
        const response = await fetch(path, { ...init, headers: { ...given, ...headers() } })
        const set = response.headers.get('set-cookie')
        if (set !== null) this.cookie = set.split(';')[0]!
        return response
      },
      WebSocket: class extends WebSocket {
        constructor(address: string) {
          super(address, { headers: headers() } as never)
        }
      } as never,
    }
  }
}

test('in a page the cookie signs in, and no token is kept', async () => {
  const browser = new Browser(server.url)
  const ada = await join(browser.options)
  expect(ada.token).toBeUndefined()
  const room = await ada.createRoom(newName('room'))
  const heard = new Arrivals<Message>()
  ada.room(room.id).subscribe().on('events', addAll(heard))
  await isLive(ada)
  ada.room(room.id).post('hello')
  expect((await heard.next()).text).toBe('hello')
  const reloaded = new Parley(browser.options)
  clients.push(reloaded)
  expect(await reloaded.resume()).toEqual(ada.me!)
  const window = reloaded.room(room.id).open()
  await until(() => window.events.length === 1, 'the page shows it')
  await reloaded.signOut()
  await until(() => ada.status.state === 'signed-out', 'the other tab is signed out as well')
  expect(browser.cookie).toBe('parley_session=')
  expect(await new Parley(browser.options).resume()).toBeUndefined()
})

test('somebody else who signs in here has an outbox of their own', async () => {
  const browser = new Browser(server.url)
  const client = await join(browser.options)
  const ada = client.me!
  const room = await client.createRoom(newName('room'))
  await client.room(room.id).post('from ada').sent
  const name = newName()
  await client.signUp(name, PASSWORD)
  await client.signIn(name, PASSWORD)
  expect(client.me!.name).toBe(name)
  await client.room(room.id).post('from another').sent
  const { events } = await client.room(room.id).history()
  expect(events.map(({ from }) => from.id)).toEqual([ada.id, client.me!.id])
})
