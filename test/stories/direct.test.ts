/** People write to each other directly, leave, and come back to what they have not read. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import {
  type InboxEntry,
  type Message,
  newName,
  type Person,
  type ServerProcess,
  signIn,
  signUp,
} from '../harness.ts'
import { Socket, Stream } from '../live.ts'
import { onEachBackend } from '../services/backends.ts'

await onEachBackend((start) => {
  let server: ServerProcess

  beforeAll(async () => {
    server = await start()
  })

  afterAll(() => server.stopAndForget())

  const inboxOf = (person: Person, query = '') => person.get<InboxEntry[]>(`/messages${query}`)
  const textsOf = (entries: InboxEntry[]) => entries.map(({ message }) => message.text)

  /** Finds somebody by the beginning of their name, as the page's search does. */
  async function find(seeker: Person, name: string): Promise<string> {
    const [found] = await seeker.get<{ id: string; name: string }[]>(`/users?name=${name}`)
    expect(found?.name).toBe(name)
    return `/user/${found!.id}`
  }

  test('two people find each other and talk; each sees it from their side', async () => {
    const ada = await signUp(server.url)
    const bob = await signUp(server.url)
    const [toBob, toAda] = [await find(ada, bob.name), await find(bob, ada.name)]

    await ada.post(toBob, 'Hello Bob!')
    await bob.post(toAda, 'Hello Ada!')
    await ada.post(toBob, 'How are you?')

    const talk = (messages: Message[]) => messages.map(({ from, text }) => [from.name, text])
    const expected = [
      [ada.name, 'Hello Bob!'],
      [bob.name, 'Hello Ada!'],
      [ada.name, 'How are you?'],
    ]
    expect(talk(await ada.list(toBob))).toEqual(expected)
    expect(talk(await bob.list(toAda))).toEqual(expected)
  })

  test('the inbox has what was sent to its owner, from whom, and where it stands', async () => {
    const [ada, bob, eve] = [
      await signUp(server.url),
      await signUp(server.url),
      await signUp(server.url),
    ]
    const first = await ada.post(`/user/${bob.id}`, 'from ada')
    const second = await eve.post(`/user/${bob.id}`, 'from eve')
    await bob.post(`/user/${ada.id}`, 'an answer is not in my own inbox')
    const third = await ada.post(`/user/${bob.id}`, 'from ada again')

    const seenByBob = (message: Message, from: Person) => ({ ...message, user: from.id })
    expect(await inboxOf(bob)).toEqual([
      { seq: 1, type: 'direct', message: seenByBob(first, ada) },
      { seq: 2, type: 'direct', message: seenByBob(second, eve) },
      { seq: 3, type: 'direct', message: seenByBob(third, ada) },
    ])
    // The entry leads to the conversation, where the message stands at its seq.
    const [, , { message }] = (await inboxOf(bob)) as [InboxEntry, InboxEntry, InboxEntry]
    const path = `/user/${message.user}/messages/${message.seq}`
    expect(await bob.get<Message>(path)).toEqual(message)
    expect(textsOf(await inboxOf(ada))).toEqual(['an answer is not in my own inbox'])
    expect(await inboxOf(eve)).toEqual([])
  })

  test('a replay rings once: the inbox never has a message twice', async () => {
    const [ada, bob] = [await signUp(server.url), await signUp(server.url)]
    const key = newName('key')
    for (let i = 0; i < 3; i++) await ada.post(`/user/${bob.id}`, 'only once', key)
    expect(textsOf(await inboxOf(bob))).toEqual(['only once'])
  })

  test('unread across sign-ins: the last seq one has seen is all one needs', async () => {
    const ada = await signUp(server.url)
    const bob = await signUp(server.url)
    await ada.post(`/user/${bob.id}`, 'one')
    const seen = (await inboxOf(bob)).at(-1)!.seq
    await bob.signOut()

    await ada.post(`/user/${bob.id}`, 'two')
    await ada.post(`/user/${bob.id}`, 'three')
    const onPhone = await signIn(server.url, bob.name)
    expect(textsOf(await inboxOf(onPhone, `?after=${seen}`))).toEqual(['two', 'three'])
    const unread = (await inboxOf(onPhone)).at(-1)!.seq - seen
    expect(unread).toBe(2)

    // Another device of his starts from what it has seen itself.
    const onLaptop = await signIn(server.url, bob.name)
    expect(textsOf(await inboxOf(onLaptop, '?after=0'))).toEqual(['one', 'two', 'three'])
  })

  test('it rings on every device that is signed in, whatever it listens with', async () => {
    const ada = await signUp(server.url)
    const bob = await signUp(server.url)
    const onPhone = await signIn(server.url, bob.name)
    const socket = await Socket.of(onPhone)
    await socket.ask('subscribe', { inbox: true })
    const [sse, lines] = [
      await Stream.sse(bob, '/subscribe'),
      await Stream.open(onPhone, '/subscribe'),
    ]
    const polled = inboxOf(bob, '?after=0&wait=60')

    await ada.post(`/user/${bob.id}`, 'ring!')

    const [entry] = (await inboxOf(bob)) as [InboxEntry]
    expect(entry.message.text).toBe('ring!')
    expect(await polled).toEqual([entry])
    expect((await socket.events.next()).event).toEqual(entry as never)
    expect(await sse.events.next()).toEqual(entry as never)
    expect(await lines.events.next()).toEqual(entry as never)
    for (const one of [socket, sse, lines]) one.close()
  })
})
