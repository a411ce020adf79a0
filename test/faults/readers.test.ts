/**
 * Readers that misbehave: they stop reading, or are gone without a word. They are ended, memory
 * stays bounded, everyone else is served, and whoever was too slow resumes whole.
 */
import { afterEach, expect, test } from 'bun:test'
import { type Person, ServerProcess, signUp, until, within } from '../harness.ts'
import { Socket, Stream } from '../live.ts'
import { expectSoon } from '../soon.ts'
import { metric, upTo } from './crowd.ts'
import { PING, RawConnection } from './raw-socket.ts'

const MIB = 1 << 20
/** Messages in the room before the trouble begins. */
const START = 100
let server: ServerProcess

afterEach(() => server.stopAndForget())

const dropped = (cause: string) => metric(server.url, `connections_dropped_total{cause="${cause}"}`)

/** Posts so many messages of 16 kB, eight at a time. */
async function flood(author: Person, place: string, count: number): Promise<void> {
  const text = 'x'.repeat(16_000)
  let left = count
  const one = async () => {
    while (left-- > 0) await author.post(place, text)
  }
  await Promise.all(Array.from({ length: 8 }, one))
}

const seqsOf = (events: readonly { seq: number }[]) => events.map(({ seq }) => seq)
test('readers that stop reading are cut off, cost little memory, and resume whole', async () => {
  server = await ServerProcess.start({ slowReaderBytesMax: 512 * 1_024, closeGraceMs: 500 })
  const [ada, bob] = [await signUp(server.url), await signUp(server.url)]
  const place = `/room/${(await ada.createRoom()).id}`
  await flood(ada, place, START)
  const idle = await metric(server.url, 'resident_memory_bytes')
  const slow = await stalled(bob, `${place}/subscribe?after=${START}`)
  const path = `${place}/subscribe?after=0`
  const well = await Promise.all([
    Socket.of(ada, path),
    Stream.sse(ada, path),
    Stream.open(ada, path),
  ])
  let most = 0
  for (let round = 0; round < 6; round++) {
    await flood(ada, place, 150)
    most = Math.max(most, await metric(server.url, 'resident_memory_bytes'))
  }
  const head = START + 900
  for (const { events } of well) await events.count(head, 'those who read have all', 20_000)
  await until(async () => (await dropped('too_slow')) === slow.length, 'the slow are cut off')
  // Kept whole, what they have not read would be more than 150 MiB.
  expect((most - idle) / MIB).toBeLessThan(100)
  const [socket, ...streams] = well
  expect(seqsOf(socket.events.all.map(({ event }) => event))).toEqual(upTo(head))
  for (const { events } of streams) expect(seqsOf(events.all)).toEqual(upTo(head))

  for (const { connection } of slow) connection.readOn()
  await within(Promise.all(slow.map(({ connection }) => connection.closed)), 'all are closed')
  for (const { connection, isSocket, eventsOf } of slow) {
    // What came before the cut has no hole, and then there is an end, not silence.
    const had = eventsOf()
    expect(seqsOf(had)).toEqual(upTo(START + had.length, START))
    expect(had.length).toBeLessThan(900)
    if (isSocket) expect([4008, undefined]).toContain(connection.closeCode)
  }
  for (const { eventsOf } of [slow[0]!, slow.at(-1)!])
    await resumesWhole(bob, place, eventsOf().at(-1)?.seq ?? START, head)
  for (const each of well) each.close()
}, 60_000)

/**
 * Twelve readers, a third on each transport, that have read the beginning and then nothing more.
 */
async function stalled(reader: Person, path: string) {
  const open = async (isSocket: boolean, opening: Promise<RawConnection>) => {
    const connection = await opening
    connection.stopReading()
    const eventsOf = () => (isSocket ? connection.socketEvents : connection.streamEvents)
    return { connection, isSocket, eventsOf }
  }
  const sse = { accept: 'text/event-stream' }
  return Promise.all(
    upTo(4).flatMap(() => [
      open(true, RawConnection.socket(reader, path)),
      open(false, RawConnection.get(reader, path, sse)),
      open(false, RawConnection.get(reader, path)),
    ]),
  )
}

test('readers that pause in their backfill are waited for, and then get it whole', async () => {
  server = await ServerProcess.start({ slowReaderBytesMax: 512 * 1_024 })
  const [ada, bob] = [await signUp(server.url), await signUp(server.url)]
  const place = `/room/${(await ada.createRoom()).id}`
  await flood(ada, place, 600)
  const slow = await stalled(bob, `${place}/subscribe?after=0`)
  await flood(ada, place, 300)
  expect(await dropped('too_slow')).toBe(0)
  for (const { connection } of slow) connection.readOn()
  for (const { eventsOf } of slow) {
    await until(() => eventsOf().length === 900, 'it has all', 20_000)
    expect(seqsOf(eventsOf())).toEqual(upTo(900))
  }
  for (const { connection } of slow) connection.destroy()
}, 60_000)

async function resumesWhole(reader: Person, place: string, last: number, head: number) {
  const again = await Socket.of(reader, `${place}/subscribe?after=${last}`)
  await again.events.count(head - last)
  expect(seqsOf(again.events.all.map(({ event }) => event))).toEqual(upTo(head, last))
  again.close()
}

test('a reader of a quiet room that takes no bytes at all is ended after a while', async () => {
  const limits = { slowReaderMs: 300, closeGraceMs: 200 }
  server = await ServerProcess.start(limits)
  const [ada, bob] = [await signUp(server.url), await signUp(server.url)]
  const place = `/room/${(await ada.createRoom()).id}`
  // More than the kernel takes on its own, less than what counts as too far behind.
  await flood(ada, place, 500)
  const slow = await RawConnection.socket(bob, `${place}/subscribe?after=0`)
  slow.stopReading()
  await until(async () => (await dropped('too_slow')) === 1, 'it is ended')
  slow.destroy()
})

test('a peer that answers no ping is reaped within three heartbeats, also while it is sent to', async () => {
  const heartbeatMs = 400
  server = await ServerProcess.start({ heartbeatMs, closeGraceMs: 200 })
  const [ada, bob] = [await signUp(server.url), await signUp(server.url)]
  // Who stands still together with the machine answers late, too: then it is tried again.
  await expectSoon(3 * heartbeatMs + 1_000, 'it is reaped, and who answers stays', async () => {
    const place = `/room/${(await ada.createRoom()).id}`
    const path = `${place}/subscribe?after=0`
    const well = await Socket.of(bob, path)
    let wellIsOpen = true
    void well.closed.then(() => {
      wellIsOpen = false
    })
    const before = await dropped('dead')
    const openedAt = performance.now()
    const reading = await RawConnection.socket(bob, path)
    const deaf = await RawConnection.socket(bob, path)
    deaf.stopReading()
    let talking = true
    const talk = (async () => {
      while (talking) await ada.post(place, 'is anybody there?')
    })()

    await within(reading.closed, 'it is reaped')
    const livedMs = performance.now() - openedAt
    // Not before a ping has gone unanswered for a whole heartbeat.
    expect(livedMs).toBeGreaterThanOrEqual(heartbeatMs)
    expect(reading.frames.some(({ opcode }) => opcode === PING)).toBe(true)
    const areDropped = async () => (await dropped('dead')) >= before + 2
    await until(areDropped, 'the one that does not read as well')
    talking = false
    await talk
    const had = reading.socketEvents
    expect(had.length).toBeGreaterThan(0)
    expect(seqsOf(had)).toEqual(upTo(had.length))
    const { seq } = await ada.post(place, 'you are')
    const hears = () => well.events.all.some(({ event }) => event.seq === seq)
    await until(() => hears() || !wellIsOpen, 'who answers hears on')
    const isWell = wellIsOpen && (await dropped('dead')) === before + 2
    for (const connection of [reading, deaf]) connection.destroy()
    well.close()
    return isWell ? livedMs : Number.POSITIVE_INFINITY
  })
})
