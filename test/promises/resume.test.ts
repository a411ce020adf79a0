/**
 * Resumable: from every seq of a room, over every transport, a reader gets exactly the rest while
 * posts keep arriving; and whoever comes with a cursor that cannot be honoured is told so plainly.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { deferred } from '../../src/clock.ts'
import type { Seen } from '../../src/verify/history.ts'
import {
  type Message,
  type Person,
  type Room,
  type ServerProcess,
  signUp,
  until,
} from '../harness.ts'
import { Socket, Stream } from '../live.ts'
import { onEachBackend } from '../services/backends.ts'
import { follow, Run, roomSpot, type Spot, VIAS } from './run.ts'

const EVENTS = 60

await onEachBackend((start) => {
  let server: ServerProcess
  let ada: Person
  let bob: Person

  beforeAll(async () => {
    // A short tail, so that backfills come from memory, from the disk, and from both.
    server = await start({ tailEventsMax: 16, connectionsPerUserMax: 1_000 })
    ada = await signUp(server.url)
    bob = await signUp(server.url)
  })

  afterAll(() => server.stopAndForget())

  /** A room with so many events, its epoch, and the run that notes them. */
  async function filledRoom(): Promise<{ run: Run; spot: Spot; epoch: string }> {
    const run = new Run(server)
    const spot = roomSpot((await ada.createRoom()).id)
    const drafts = Array.from({ length: EVENTS }, () => run.draft(ada.name))
    for (const draft of drafts) await run.tryHttp(ada, spot, draft)
    const epoch = (await ada.fetch('/messages')).headers.get('parley-epoch')!
    return { run, spot, epoch }
  }

  const seenOf = (messages: readonly Message[]): Seen[] =>
    messages.map(({ seq, text }) => ({ seq, text, at: 0 }))

  /** Pages of history, or long-polls, from a seq until everything there is has been read. */
  async function page(spot: Spot, after: number, query: string, headKnown: () => Promise<number>) {
    const all: Message[] = []
    for (;;) {
      const cursor = all.at(-1)?.seq ?? after
      const events = await bob.list(spot.path, `?after=${cursor}&${query}`)
      all.push(...events)
      if (events.length === 0 && cursor >= (await headKnown())) return seenOf(all)
    }
  }

  test('from every seq, over every transport, a reader gets exactly the rest', async () => {
    const { run, spot, epoch } = await filledRoom()
    const posting = run.postHttp(ada, spot)
    const headTold = deferred<number>()
    const starts = Array.from({ length: EVENTS + 1 }, (_, after) => after)
    const headKnown = () => headTold.promise
    const note = (via: string, after: number, events: Seen[]): void => {
      run.readings.push({
        ...{ reader: bob.name, timeline: spot.timeline, via, after, events, toTheEnd: true },
      })
    }
    const reading: Promise<void>[] = starts.flatMap((after) => [
      page(spot, after, 'limit=7', headKnown).then((events) => note('history', after, events)),
      page(spot, after, 'wait=1&limit=50', headKnown).then((events) =>
        note('long-poll', after, events),
      ),
    ])
    const streamed = VIAS.map(async (via) => {
      for (const after of starts) {
        const following = await follow(bob, spot, via, after, epoch)
        reading.push(
          headKnown()
            .then((head) =>
              until(() => (following.last() ?? after) >= head, `${via} from ${after}`),
            )
            .then(() => note(via, after, following.seen()))
            .finally(() => following.close()),
        )
      }
    })
    await Promise.all(streamed)
    // A slow machine may have followed everything before much was posted.
    const arrived = async () => (await bob.get<Room>(spot.path)).head > EVENTS + 20
    await until(arrived, 'twenty more posts arrive')
    run.stopping = true
    await posting
    const head = (await run.log(ada, spot.path)).length
    headTold.resolve(head)
    await Promise.all(reading)

    expect(run.readings).toHaveLength(starts.length * (VIAS.length + 2))
    expect(await run.faults(bob, [spot])).toEqual([])
    expect(head).toBeGreaterThan(EVENTS + 20)
  }, 60_000)

  /** Cursors that cannot be honoured: of another epoch, or of a future that never was. */
  const VOID = [
    { what: 'another epoch', after: 5, epoch: 'anotherEpoch' },
    { what: 'beyond the head', after: EVENTS + 1, epoch: undefined },
    { what: 'far beyond the head', after: Number.MAX_SAFE_INTEGER, epoch: undefined },
  ]

  for (const { what, after, epoch } of VOID)
    test(`a cursor of ${what} is told plainly, and what comes next still comes`, async () => {
      const { spot, epoch: ours } = await filledRoom()
      const query = `?after=${after}${epoch ? `&epoch=${epoch}` : ''}`
      const told = { recovered: false, epoch: ours, head: EVENTS }

      const socket = await Socket.of(bob)
      const reply = await socket.ask('subscribe', { ...spot.frame, after, ...(epoch && { epoch }) })
      expect(reply.ok).toEqual({ timeline: spot.timeline, ...told })
      const onPath = await Socket.of(bob, `${spot.path}/subscribe${query}`)
      expect((await onPath.frames.next()).ok).toMatchObject(told)
      const sse = await Stream.sse(bob, `${spot.path}/subscribe${query}`)
      const lastId = { 'last-event-id': `${epoch ?? ours}:${after}` }
      const browser = await Stream.sse(bob, `${spot.path}/subscribe`, lastId)
      for (const stream of [sse, browser])
        expect(await stream.controls.next()).toEqual({ event: 'reset', ...told })
      const lines = await Stream.open(bob, `${spot.path}/subscribe${query}`)
      expect(await lines.controls.next()).toEqual({ type: 'reset', ...told })
      for (const { response } of [sse, browser, lines]) {
        expect(response.headers.get('parley-recovered')).toBe('false')
        expect(response.headers.get('parley-epoch')).toBe(ours)
      }

      const { seq } = await ada.post(spot.path, 'the next one')
      for (const { events } of [socket, onPath]) expect((await events.next()).event.seq).toBe(seq)
      for (const { events } of [sse, browser, lines]) expect((await events.next()).seq).toBe(seq)
      for (const { events } of [socket, onPath, sse, browser, lines])
        expect(events.all).toHaveLength(1)
      for (const one of [socket, onPath, sse, browser, lines]) one.close()
    })

  test('history beyond the head says so at once, long-poll or not; at the head it does not', async () => {
    const { spot, epoch } = await filledRoom()
    for (const query of [`?after=${EVENTS + 1}`, `?after=${EVENTS + 1}&wait=25`]) {
      const response = await bob.fetch(`${spot.path}/messages${query}`)
      expect(await response.json()).toEqual([])
      expect(response.headers.get('parley-recovered')).toBe('false')
      expect(response.headers.get('parley-epoch')).toBe(epoch)
    }
    const atHead = await bob.fetch(`${spot.path}/messages?after=${EVENTS}`)
    expect(atHead.headers.has('parley-recovered')).toBe(false)
  })
})
