/** Subscriptions over HTTP: one path in three forms, resumed by one cursor. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type InboxEntry, type Person, ServerProcess, signUp, until } from '../harness.ts'
import { Socket, Stream } from '../live.ts'
import { refusal } from './codes.ts'

let server: ServerProcess
let ada: Person
let bob: Person
let epoch: string

beforeAll(async () => {
  server = await ServerProcess.start()
  ada = await signUp(server.url)
  bob = await signUp(server.url)
  epoch = (await ada.fetch('/messages')).headers.get('parley-epoch')!
})

afterAll(() => server.stopAndForget())

async function newPlace(count: number): Promise<string> {
  const place = `/room/${(await ada.createRoom()).id}`
  for (let n = 1; n <= count; n++) await ada.post(place, `message ${n}`)
  return place
}

const seqs = (events: { seq: number }[]) => events.map(({ seq }) => seq)
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)

const forms: [string, Record<string, string>, number, string][] = [
  ['an event stream', { accept: 'text/event-stream' }, 200, 'text/event-stream'],
  [
    'an event stream among others',
    { accept: 'text/html, text/event-stream;q=0.9' },
    200,
    'text/event-stream',
  ],
  ['lines', { accept: '*/*' }, 202, 'application/x-ndjson'],
  ['lines, asked for', { accept: 'application/x-ndjson' }, 202, 'application/x-ndjson'],
]

describe.each(forms)('%s', (_, headers, status, type) => {
  test('is answered at once, and never stored by anybody on the way', async () => {
    const stream = await Stream.open(bob, `${await newPlace(0)}/subscribe`, headers)
    expect(stream.response.status).toBe(status)
    expect(stream.response.headers.get('content-type')).toBe(type)
    expect(stream.response.headers.get('cache-control')).toBe('no-store')
    expect(stream.response.headers.get('x-accel-buffering')).toBe('no')
    expect(stream.response.headers.get('parley-epoch')).toBe(epoch)
    stream.close()
  })

  test('starts after the cursor, else at the head', async () => {
    const place = await newPlace(3)
    const behind = await Stream.open(bob, `${place}/subscribe?after=1`, headers)
    const whole = await Stream.open(bob, `${place}/subscribe?after=0&epoch=${epoch}`, headers)
    const fresh = await Stream.open(bob, `${place}/subscribe`, headers)
    await whole.events.count(3)
    const posted = await ada.post(place, 'message 4')
    expect(seqs(await behind.events.count(3))).toEqual([2, 3, 4])
    expect(await whole.events.count(4)).toEqual(await ada.list(place))
    expect(await fresh.events.count(1)).toEqual([posted])
    for (const one of [behind, whole, fresh]) one.close()
  })

  test('events are what history says, in rooms, with people and in the inbox', async () => {
    const eve = await signUp(server.url)
    const room = await newPlace(2)
    await ada.post(`/user/${eve.id}`, 'for eve')
    for (const [path, list] of [
      [room, await eve.list(room)],
      [`/user/${ada.id}`, await eve.list(`/user/${ada.id}`)],
      ['', await eve.get<InboxEntry[]>('/messages')],
    ] as const) {
      const stream = await Stream.open(eve, `${path}/subscribe?after=0`, headers)
      expect(await stream.events.count(list.length)).toEqual(list as never)
      stream.close()
    }
  })

  test('a cursor that cannot be honoured is told so; then comes what is new', async () => {
    const place = await newPlace(2)
    for (const query of ['after=3', 'after=1&epoch=another', 'after=9007199254740991']) {
      const stream = await Stream.open(bob, `${place}/subscribe?${query}`, headers)
      expect(stream.response.status).toBe(status)
      expect(stream.response.headers.get('parley-recovered')).toBe('false')
      const { head } = await ada.get<{ head: number }>(place)
      const reset = await stream.controls.next('the reset')
      expect(reset).toMatchObject({ recovered: false, epoch, head })
      const posted = await ada.post(place, 'new')
      expect(await stream.events.next()).toEqual(posted)
      stream.close()
    }
    const fine = await Stream.open(bob, `${place}/subscribe?after=2`, headers)
    expect(fine.response.headers.get('parley-recovered')).toBeNull()
    fine.close()
  })
})

test('heartbeats keep streams alive and are no events', async () => {
  const beating = await ServerProcess.start({ heartbeatMs: 200 })
  try {
    const eve = await signUp(beating.url)
    const place = `/room/${(await eve.createRoom()).id}`
    const open = ([, headers]: (typeof forms)[number]) =>
      Stream.open(eve, `${place}/subscribe`, headers)
    const streams = await Promise.all(forms.map(open))
    for (const [index, [, , , type]] of forms.entries()) {
      const heartbeat = type.includes('event-stream') ? ': still here\n\n' : ' '
      // The opening of a stream of lines is a blank as well.
      const beats = type.includes('event-stream') ? 2 : 3
      const isBeating = () => streams[index]!.raw.split(heartbeat).length > beats
      await until(isBeating, 'heartbeats come')
    }
    const posted = await eve.post(place, 'between two heartbeats')
    for (const stream of streams) {
      expect(await stream.events.next()).toEqual(posted)
      expect(stream.events.all).toHaveLength(1)
      stream.close()
    }
  } finally {
    await beating.stopAndForget()
  }
})

describe('Last-Event-ID', () => {
  test('every id is a cursor: from each one exactly the events after it', async () => {
    const place = await newPlace(4)
    const first = await Stream.sse(bob, `${place}/subscribe?after=0`)
    await first.events.count(4)
    const ids = first.ids.slice(0, 4)
    expect(ids).toEqual(upTo(4).map((seq) => `${epoch}:${seq}`))
    await ada.post(place, 'message 5')
    for (const [index, id] of ids.entries()) {
      const again = await Stream.sse(bob, `${place}/subscribe`, { 'last-event-id': id })
      const after = await again.events.count(4 - index)
      expect(seqs(after)).toEqual(upTo(5).slice(index + 1))
      again.close()
    }
    first.close()
  })

  test('it knows more than `after`, which a browser repeats from the first time', async () => {
    const place = await newPlace(3)
    const id = `${epoch}:2`
    const stream = await Stream.sse(bob, `${place}/subscribe?after=0`, { 'last-event-id': id })
    expect(seqs(await stream.events.count(1))).toEqual([3])
    stream.close()
  })

  test('before the first event there is a cursor already', async () => {
    const place = await newPlace(2)
    const stream = await Stream.sse(bob, `${place}/subscribe`)
    expect(stream.raw.startsWith('retry: ') || stream.raw === '').toBe(true)
    await ada.post(place, 'message 3')
    await stream.events.count(1)
    expect(stream.ids).toEqual([`${epoch}:2`, `${epoch}:3`])
    stream.close()
  })

  test.each([
    ['of another epoch', () => 'another:1'],
    ['beyond the head', () => `${epoch}:99`],
  ])('%s: told to start over, with a cursor to go on from', async (_, id) => {
    const place = await newPlace(3)
    const stream = await Stream.sse(bob, `${place}/subscribe`, { 'last-event-id': id() })
    expect(await stream.controls.next()).toEqual({
      event: 'reset',
      recovered: false,
      epoch,
      head: 3,
    })
    expect(stream.ids[0]).toBe(`${epoch}:3`)
    stream.close()
  })

  test.each([
    'garbage',
    '5',
    ':5',
    'epoch:',
    'epoch:-1',
    'epoch:1e3',
    'epoch:9007199254740992',
    `${'e'.repeat(65)}:1`,
    'a b:1',
  ])('%s: 400', async (id) => {
    const place = await newPlace(0)
    const headers = { 'last-event-id': id, accept: 'text/event-stream' }
    const refused = bob.fetch(`${place}/subscribe`, { headers })
    expect(await refusal(refused)).toBe('400 last_event_id_invalid')
  })
})

test.each(['after=-1', 'after=x', 'limit=5', 'epoch=', 'after=1&after=2'])(
  '400: ?%s, in all three forms',
  async (query) => {
    const path = `${await newPlace(0)}/subscribe?${query}`
    for (const accept of ['text/event-stream', '*/*'])
      expect((await bob.fetch(path, { headers: { accept } })).status).toBe(400)
    expect(await Socket.of(bob, path).catch(() => 'refused')).toBe('refused')
  },
)

test('a WebSocket on the path is subscribed from its first frame', async () => {
  const place = await newPlace(3)
  const room = place.split('/')[2]!
  const socket = await Socket.of(bob, `${place}/subscribe?after=1`)
  const told = await socket.frames.next()
  expect(told).toEqual({ re: 0, ok: { timeline: room, epoch, head: 3, recovered: true } })
  await socket.events.count(2)
  expect(socket.events.all.map(({ event }) => event.seq)).toEqual([2, 3])
  // It is a connection like any other.
  expect((await socket.ask('post', { room, text: 'from here' })).ok.seq).toBe(4)
  expect((await socket.events.find(({ event }) => event.seq === 4)).timeline).toBe(room)
  const lost = await Socket.of(bob, `${place}/subscribe?after=9`)
  expect((await lost.frames.next()).ok.recovered).toBe(false)
  for (const one of [socket, lost]) one.close()
})

test('who joins a busy room gets everything once and in order, over every transport', async () => {
  const place = await newPlace(0)
  const room = place.split('/')[2]!
  const total = 1_500
  const talking = (async () => {
    // Many at once, so that batches, pages of the store and frames all hold several.
    for (let n = 0; n < total; n += 50)
      await Promise.all(Array.from({ length: 50 }, () => ada.post(place, 'noise')))
  })()
  const streams: Stream[] = []
  const sockets: Socket[] = []
  for (let i = 0; i < 4; i++) {
    streams.push(await Stream.sse(bob, `${place}/subscribe?after=0`))
    streams.push(await Stream.open(bob, `${place}/subscribe?after=0`))
    const socket = await Socket.of(bob)
    sockets.push(socket)
    await socket.ask('subscribe', { room, after: 0 })
    // The next ones come while the room is at another point.
    await streams[0]!.events.count((i + 1) * 150)
  }
  await talking
  for (const { events } of streams) expect(seqs(await events.count(total))).toEqual(upTo(total))
  for (const { events } of sockets) {
    const all = (await events.count(total)).map(({ event }) => event)
    expect(seqs(all)).toEqual(upTo(total))
  }
  for (const one of [...streams, ...sockets]) one.close()
})
