/**
 * Order, privacy and revocation under load, without a fault: everyone posts everywhere at once, by
 * HTTP and WebSocket, everything is followed by every transport, and somebody signs out in between.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { faultsOf } from '../../src/verify/checker.ts'
import {
  type InboxEntry,
  type Message,
  type Person,
  type ServerProcess,
  signIn,
  signUp,
  until,
} from '../harness.ts'
import { Socket } from '../live.ts'
import { onEachBackend } from '../services/backends.ts'
import { expectSoon } from '../soon.ts'
import { Follower, follow, Run, roomSpot, type Spot, VIAS } from './run.ts'

await onEachBackend((start) => {
  let server: ServerProcess
  let people: Person[]

  beforeAll(async () => {
    server = await start()
    people = await Promise.all([1, 2, 3, 4].map(() => signUp(server.url)))
  })

  afterAll(() => server.stopAndForget())

  const epochOf = async (person: Person) =>
    (await person.fetch('/messages')).headers.get('parley-epoch')!

  /** The conversation of two people, as one of them says it; its id is told on subscribing. */
  async function directSpot(me: Person, other: Person): Promise<Spot> {
    const socket = await Socket.of(me)
    const { ok } = await socket.ask('subscribe', { user: other.id })
    socket.close()
    return { timeline: ok.timeline, path: `/user/${other.id}`, frame: { user: other.id } }
  }

  test('concurrent posts are ordered, gapless, in real-time order, and seen by all alike', async () => {
    const [ada, bob, cyd, eve] = people as [Person, Person, Person, Person]
    const epoch = await epochOf(ada)
    const run = new Run(server)
    const rooms = [roomSpot((await ada.createRoom()).id), roomSpot((await ada.createRoom()).id)]
    const [toBob, toAda] = [await directSpot(ada, bob), await directSpot(bob, ada)]
    expect(toBob.timeline).toBe(toAda.timeline)
    const followers = [
      ...rooms.flatMap((spot) => VIAS.map((via) => new Follower(run, eve, spot, via, epoch))),
      ...VIAS.map((via) => new Follower(run, ada, toBob, via, epoch)),
      ...VIAS.map((via) => new Follower(run, bob, toAda, via, epoch)),
    ]
    const eves = await Promise.all(
      [ada, bob].map(async (other) => ({ other, spot: await directSpot(eve, other) })),
    )
    const outsiders = await Promise.all(
      eves.map(({ spot }) => follow(eve, spot, 'socket', 0, epoch)),
    )
    const work = rooms.flatMap((spot) => [
      ...[ada, bob, cyd].map((author) => run.postHttp(author, spot)),
      ...[ada, cyd].map((author) => run.postSocket(author, spot, 4)),
    ])
    work.push(run.postHttp(ada, toBob), run.postHttp(bob, toAda), run.postSocket(bob, toAda, 3))
    await until(() => run.attempts.length > 3_000, 'enough was posted', 30_000)
    run.stopping = true
    await Promise.all(work)

    const spots = [...rooms, toBob]
    const heads = new Map<string, number>()
    for (const { timeline, path } of spots) heads.set(timeline, (await run.log(ada, path)).length)
    for (const follower of followers) await follower.finish(heads.get(follower.timeline)!)
    expect(await run.faults(ada, spots)).toEqual([])
    for (const outsider of outsiders) {
      expect(outsider.seen()).toEqual([])
      outsider.close()
    }
    await inboxesMirror(run, toBob, [ada, bob])
  }, 60_000)

  /** An inbox holds, without a hole, what was posted to its owner, with where it stands. */
  async function inboxesMirror(run: Run, direct: Spot, pair: [Person, Person]): Promise<void> {
    for (const [owner, other] of [pair, [pair[1], pair[0]] as const]) {
      const inbox = await owner.get<InboxEntry[]>('/messages?after=0&limit=1000')
      expect(inbox.map((entry) => entry.seq)).toEqual(inbox.map((_, index) => index + 1))
      const log: Message[] = await run.log(owner, `/user/${other.id}`)
      const theirs = log.filter((message) => message.from.id === other.id)
      expect(theirs.length).toBeGreaterThan(20)
      expect(inbox.map((entry) => entry.message)).toEqual(theirs)
    }
    expect(direct.timeline).not.toBe('')
  }

  test('a post sent after another was acknowledged, by whatever way, stands after it', async () => {
    const [ada, bob] = people as [Person, Person]
    const run = new Run(server)
    const spot = roomSpot((await ada.createRoom()).id)
    const socket = await Socket.of(bob)
    for (let i = 0; i < 40; i++) {
      await run.tryHttp(ada, spot, run.draft(ada.name))
      const draft = run.draft(bob.name)
      const invokedAt = run.now()
      const { ok } = await socket.ask('post', { ...spot.frame, text: draft.text, key: draft.key })
      run.note(draft, spot, invokedAt, ok)
    }
    socket.close()
    expect(await run.faults(ada, [spot])).toEqual([])
    const seqs = run.attempts.map((attempt) => attempt.seq)
    expect(seqs).toEqual(seqs.map((_, index) => index + 1))
  })

  test('one connection’s posts stand in the order they were sent, without waiting for answers', async () => {
    const [ada] = people as [Person]
    const spot = roomSpot((await ada.createRoom()).id)
    const socket = await Socket.of(ada)
    const texts = Array.from({ length: 300 }, (_, index) => `number ${index}`)
    for (const [id, text] of texts.entries()) socket.send({ id, op: 'post', ...spot.frame, text })
    await socket.frames.count(texts.length)
    expect(socket.frames.all.map(({ re, ok }) => [re, ok.seq])).toEqual(
      texts.map((_, index) => [index, index + 1]),
    )
    expect((await ada.list(spot.path, '?after=0&limit=1000')).map(({ text }) => text)).toEqual(
      texts,
    )
    socket.close()
  })

  /** How long transports go on after a sign-out; for ever, if one was given something too late. */
  async function endAfterSignOut(): Promise<number> {
    const [ada, , , eve] = people as [Person, Person, Person, Person]
    const epoch = await epochOf(ada)
    const run = new Run(server)
    const spot = roomSpot((await ada.createRoom()).id)
    const leaving = await signIn(server.url, eve.name)
    const held = await Promise.all(VIAS.map((via) => follow(leaving, spot, via, 0, epoch)))
    const staying = await follow(eve, spot, 'socket', 0, epoch)
    const work = [run.postHttp(ada, spot), run.postSocket(ada, spot, 2)]
    await until(() => held.every((one) => (one.last() ?? 0) > 20), 'all hear')
    await leaving.signOut()
    const signedOutAt = run.now()
    await Promise.all(held.map((one) => one.ended))
    const tookMs = run.now() - signedOutAt
    const heard = staying.last()!
    await until(() => staying.last()! > heard + 50, 'the other session goes on')
    run.stopping = true
    await Promise.all(work)
    const log = new Map([[spot.timeline, await run.log(ada, spot.path)]])
    await until(() => staying.last() === log.get(spot.timeline)!.length, 'it has all')
    const common = { timeline: spot.timeline, reader: eve.name, after: 0 }
    const readings = [
      ...held.map((one, index) => ({
        ...{ ...common, via: VIAS[index]!, events: one.seen(), toTheEnd: false, signedOutAt },
      })),
      { ...common, via: 'socket', events: staying.seen(), toTheEnd: true },
    ]
    staying.close()
    const faults = faultsOf({ attempts: run.attempts, log, readings })
    expect(faults.filter(({ kind }) => kind !== 'zombie')).toEqual([])
    return faults.length === 0 ? tookMs : Number.POSITIVE_INFINITY
  }

  test('who signs out in the midst of it hears nothing more after a second, by any transport', async () => {
    await expectSoon(1_000, 'it ends with the sign-out', endAfterSignOut)
  })
})
