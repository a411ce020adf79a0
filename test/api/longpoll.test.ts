/** The long-poll: `?after=N&wait=S`. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import {
  type InboxEntry,
  type Message,
  type Person,
  ServerProcess,
  signIn,
  signUp,
  until,
  within,
} from '../harness.ts'
import { expectSoon, msOf } from '../soon.ts'
import { refusal } from './codes.ts'

let server: ServerProcess
let ada: Person
let bob: Person

beforeAll(async () => {
  server = await ServerProcess.start()
  ada = await signUp(server.url)
  bob = await signUp(server.url)
})

afterAll(() => server.stopAndForget())

/** Resolves once so many long-polls are being held open. */
async function held(count: number): Promise<void> {
  await until(async () => {
    const text = await (await fetch(`${server.url}/metrics`)).text()
    const found = /parley_connections\{transport="long-poll"\} (\d+)/.exec(text)?.[1] ?? '0'
    return Number(found) === count
  }, `${count} long-polls are held`)
}

test('whoever is behind is answered at once, with everything missed', async () => {
  const place = `/room/${(await ada.createRoom()).id}`
  const posted = [await ada.post(place, 'one'), await ada.post(place, 'two')]
  const missed = bob.list(place, '?after=0&wait=60')
  expect(await within(missed, 'all that was missed is there')).toEqual(posted)
  const last = bob.list(place, '?after=1&wait=60')
  expect(await within(last, 'the last one is there')).toEqual(posted.slice(1))
})

test('who is at the head waits for what is next: in rooms, from people, in the inbox', async () => {
  const room = `/room/${(await ada.createRoom()).id}`
  const eve = await signUp(server.url)
  await ada.post(room, 'before')
  const inRoom = eve.list(room, '?after=1&wait=60')
  const direct = eve.list(`/user/${ada.id}`, '?after=0&wait=60')
  const inbox = eve.get<InboxEntry[]>('/messages?after=0&wait=60')
  await held(3)

  const posted = await ada.post(room, 'after')
  expect(await inRoom).toEqual([posted])
  // The other two go on waiting for what is theirs.
  await held(2)
  const sent = await ada.post(`/user/${eve.id}`, 'for you')
  const received: Message = { ...sent, user: ada.id }
  expect(await direct).toEqual([received])
  expect(await inbox).toEqual([{ seq: 1, type: 'direct', message: received }])
  await held(0)
})

test('when nothing comes the answer is empty, once the time is up and not before', async () => {
  const place = `/room/${(await ada.createRoom()).id}`
  const nothingAfter = (waitS: number) =>
    msOf(async () => {
      const nothing = bob.list(place, `?after=0&wait=${waitS}`)
      expect(await within(nothing, 'the time is up')).toEqual([])
    })
  const waitedMs = await expectSoon(5_000, 'the time is up', () => nothingAfter(1))
  expect(waitedMs).toBeGreaterThan(950)
  expect(waitedMs).toBeLessThan(5_000)
  await expectSoon(900, 'it is answered', () => nothingAfter(0))
})

test('a cursor beyond the head is told so at once: what it waits for cannot come', async () => {
  const place = `/room/${(await ada.createRoom()).id}`
  const beyond = bob.fetch(`${place}/messages?after=5&wait=60`)
  const response = await within(beyond, 'it is told')
  expect(response.headers.get('parley-recovered')).toBe('false')
  expect(await response.json()).toEqual([])
})

test('signing out ends the wait with 401, and only that session’s', async () => {
  const place = `/room/${(await ada.createRoom()).id}`
  const ending = async (): Promise<number> => {
    const other = await signIn(server.url, bob.name)
    const { head } = await bob.get<{ head: number }>(place)
    const ended = bob.fetch(`${place}/messages?after=${head}&wait=60`)
    const staying = other.list(place, `?after=${head}&wait=60`)
    await held(2)
    const tookMs = await msOf(() => Promise.all([bob.signOut(), ended]))
    expect(await refusal(ended)).toBe('401 not_signed_in')
    const posted = await ada.post(place, 'still there?')
    expect(await staying).toEqual([posted])
    bob = other
    return tookMs
  }
  await expectSoon(1_000, 'it is answered', ending)
})

test('a client that goes away is not waited for', async () => {
  const place = `/room/${(await ada.createRoom()).id}`
  const abort = new AbortController()
  const gone = bob.fetch(`${place}/messages?after=0&wait=60`, { signal: abort.signal })
  await held(1)
  abort.abort()
  expect(await gone.catch((error) => error.name)).toBe('AbortError')
  await held(0)
})
