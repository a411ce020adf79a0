/**
 * F11: ten thousand readers of one room, of whom five hundred stop reading. They follow a second
 * room, too, which is talked in at length, so that what they do not take piles up. The others
 * notice nothing, memory stays bounded, the slow are closed, and resume whole.
 *
 * 1. *Alone.* The others are measured, while the five hundred read both rooms as they should.
 * 2. *Among.* The same, while the five hundred read nothing, until the last of them is closed.
 * 3. *Back.* Some of them read on, find their end, and get the rest by their cursor.
 */
import { metric, upTo } from '../faults/crowd.ts'
import { type Person, ServerProcess, signUp, until } from '../harness.ts'
import { Socket } from '../live.ts'
import { OPCODE, RawWebSocket, text } from '../raw.ts'
import type { Scene, Trial } from './trial.ts'

const READERS = 10_000
const LAZY_EVERY = 20
const POSTS_MIN = 40
const LONG_TEXT = 'x'.repeat(16_000)
/** A fifth more at most; what else the machine does may come on top. */
const SLOWER_MAX = 1.2
const MACHINE_MS = 50
const GROWTH_MIB_MAX = 256
const BACK = 20
const MIB = 1 << 20

export const neverRead: Trial = {
  name: 'F11',
  what: '500 of 10,000 readers never read',
  minutesMax: 10,
  async run(scene) {
    const server = await ServerProcess.start({ connectionsPerUserMax: 2 * READERS })
    scene.afterwards(() => server.stopAndForget())
    const [ada, bob] = [await signUp(server.url), await signUp(server.url)]
    const rooms = [(await ada.createRoom()).id, (await ada.createRoom()).id] as const
    const readers = scene.times(READERS, 200)
    const lazyCount = readers / LAZY_EVERY
    const crowd = new Crowd(ada, rooms)
    await crowd.join(bob, readers - lazyCount)
    const attentive: Socket[] = []
    while (attentive.length < lazyCount) attentive.push(await readBoth(bob, rooms))
    let alone = 0
    const aloneMs = await crowd.measure(() => ++alone > POSTS_MIN)
    for (const one of attentive) one.close()
    const before = await metric(server.url, 'resident_memory_bytes')

    const lazy: RawWebSocket[] = []
    while (lazy.length < lazyCount) lazy.push(await stopReading(bob, rooms))
    let most = 0
    let among = 0
    const amongMs = await crowd.measure(async () => {
      const dropped = await droppedOf(server)
      most = Math.max(most, await metric(server.url, 'resident_memory_bytes'))
      scene.progress(`${dropped} of ${lazyCount} are closed`)
      return ++among > POSTS_MIN && dropped >= lazyCount
    })
    const faults = [...crowd.faults]
    const grownMiB = Math.round((most - before) / MIB)
    if (grownMiB > GROWTH_MIB_MAX) faults.push(`memory has grown by ${grownMiB} MiB`)
    if (amongMs > SLOWER_MAX * aloneMs + MACHINE_MS) faults.push('the others were served later')
    faults.push(...(await comeBack(scene, bob, rooms[0], crowd.head, lazy)))
    crowd.leave()
    const figures =
      `${readers - lazyCount} readers' p99 was ${Math.round(aloneMs)} ms alone and ` +
      `${Math.round(amongMs)} ms among ${lazyCount} who never read, who were all closed; ` +
      `memory grew by ${grownMiB} MiB`
    return { figures, faults }
  },
}

/** Those who read, and the one who talks to them. */
class Crowd {
  readonly faults: string[] = []
  head = 0
  readonly #author: Person
  readonly #rooms: readonly [string, string]
  readonly #sockets: Socket[] = []
  #postedAt = 0
  #arrived = 0
  #tookMs: number[] = []

  constructor(author: Person, rooms: readonly [string, string]) {
    this.#author = author
    this.#rooms = rooms
  }

  async join(reader: Person, count: number): Promise<void> {
    const path = `/room/${this.#rooms[0]}/subscribe?after=0`
    while (this.#sockets.length < count) {
      const socket = await Socket.of(reader, path)
      socket.raw.onmessage = ({ data }) => this.#hear(data as string)
      this.#sockets.push(socket)
    }
  }

  #hear(frame: string): void {
    for (const { seq } of JSON.parse(frame).events ?? []) {
      // The next message is posted when everyone has this one, so there is no other.
      if (seq !== this.head + 1) this.faults.push(`${seq} came after ${this.head}`)
      this.#arrived += 1
      this.#tookMs.push(performance.now() - this.#postedAt)
    }
  }

  /** Posts until told that it is over; how long the slowest hundredth of deliveries took, in ms. */
  async measure(isOver: () => boolean | Promise<boolean>): Promise<number> {
    this.#tookMs = []
    const [room, loud] = this.#rooms
    do {
      await this.#author.post(`/room/${loud}`, LONG_TEXT)
      this.#arrived = 0
      this.#postedAt = performance.now()
      const { seq } = await this.#author.post(`/room/${room}`, 'can you all hear me?')
      await until(() => this.#arrived >= this.#sockets.length, 'everyone hears it', 30_000)
      this.head = seq
    } while (!(await isOver()))
    const sorted = Float64Array.from(this.#tookMs).sort()
    return sorted[Math.floor(sorted.length * 0.99)]!
  }

  leave(): void {
    for (const socket of this.#sockets) socket.close()
  }
}

const subscriptions = (rooms: readonly string[]) =>
  rooms.map((room, id) => JSON.stringify({ id, op: 'subscribe', room, after: 0 }))

/** Takes what comes, and keeps nothing of it. */
async function readBoth(reader: Person, rooms: readonly string[]): Promise<Socket> {
  const socket = await Socket.of(reader)
  socket.raw.onmessage = null
  for (const frame of subscriptions(rooms)) socket.send(frame)
  return socket
}

async function stopReading(reader: Person, rooms: readonly string[]): Promise<RawWebSocket> {
  const socket = await RawWebSocket.open(reader.url, reader.token)
  socket.send(...subscriptions(rooms).map(text))
  socket.connection.pause()
  return socket
}

async function droppedOf({ url }: ServerProcess): Promise<number> {
  const causes = ['too_slow', 'dead']
  const counts = causes.map((cause) => metric(url, `connections_dropped_total{cause="${cause}"}`))
  return (await Promise.all(counts)).reduce((sum, one) => sum + one, 0)
}

/** Some of them read what has come, up to the end that the server made, then ask for the rest. */
async function comeBack(
  scene: Scene,
  reader: Person,
  room: string,
  head: number,
  lazy: readonly RawWebSocket[],
): Promise<string[]> {
  const faults: string[] = []
  for (const one of lazy.slice(BACK)) one.connection.cut()
  for (const one of lazy.slice(0, BACK)) {
    one.connection.resume()
    const had = await readToEnd(one, room)
    if (had.some((seq, i) => seq !== i + 1)) faults.push(`before its end somebody had ${had}`)
    const again = await Socket.of(reader, `/room/${room}/subscribe?after=${had.length}`)
    const rest = await again.events.count(head - had.length, 'all the rest')
    const seqs = rest.map(({ event }) => event.seq)
    if (`${seqs}` !== `${upTo(head, had.length)}`) faults.push(`after ${had.length} came ${seqs}`)
    again.close()
    scene.progress('those who were closed come back')
  }
  return faults
}

async function readToEnd(socket: RawWebSocket, room: string): Promise<number[]> {
  const seqs: number[] = []
  for (;;) {
    const frame = await socket.next(30_000)
    if (frame === undefined || frame.opcode === OPCODE.close) return seqs
    if (frame.opcode !== OPCODE.text) continue
    const { timeline, events } = JSON.parse(frame.payload.toString())
    if (timeline === room) for (const { seq } of events ?? []) seqs.push(seq)
  }
}
