/**
 * Many connections to one server, each in its rooms, which post and are delivered to. Every
 * delivery is checked by its place in the room's sequence, and counted.
 */
import { Faults } from '../stats.ts'
import type { CreateDialect, Dialect } from './dialect.ts'
import type { CrowdJob, CrowdShape } from './job.ts'
import type { Loop } from './loop.ts'
import { type Audience, Member } from './member.ts'
import type { Meter, Rooms } from './meter.ts'
import { Places } from './places.ts'

/** Connections that are being opened at once: fewer than the shortest listen queue can hold. */
const OPENING_MAX = 256
/** The slowest of the servers needs some eighty seconds for ten thousand with ten rooms each. */
const OPENING_MS_MAX = 180_000
const FAULTS_KEPT = 5

export class Crowd implements Audience {
  readonly members: readonly Member[]
  readonly faults = new Faults(FAULTS_KEPT)
  posted = 0
  acknowledgements = 0
  /** Deliveries over which others came first, and deliveries that came again. */
  skipped = 0
  twice = 0
  /** Connections that ended by themselves. */
  lostConnections = 0
  readonly #loop: Loop
  readonly #job: CrowdJob
  readonly #dialect: Dialect
  readonly #meter: Meter
  readonly #places: Places
  readonly #membersOf: Member[][]
  /** By the member's index. */
  readonly #ports: number[]
  /** By room, where each has one: a member whose first room it is, if there is any. */
  readonly #onlySender: Member[] = []
  /** Posts so far, by room. */
  readonly #posts: Float64Array
  #opening: { opened: number; joined: number; done: PromiseWithResolvers<void> } | undefined

  constructor(loop: Loop, job: CrowdJob, createDialect: CreateDialect, meter: Meter) {
    this.#loop = loop
    this.#job = job
    this.#meter = meter
    this.#dialect = createDialect(job.setup)
    const rooms = job.setup.rooms.length
    this.#posts = new Float64Array(rooms)
    this.#places = new Places(rooms, (text) => this.faults.add(text))
    this.#membersOf = Array.from({ length: rooms }, () => [])
    this.#ports = job.crowd.flatMap(({ connections, port = job.port }) =>
      Array<number>(connections).fill(port),
    )
    this.members = job.crowd
      .flatMap((shape) => roomsOf(shape))
      .map((joined, index) => new Member(index, joined, this.#dialect, this))
    for (const member of this.members)
      for (const room of member.rooms) this.#membersOf[room]!.push(member)
    for (const [room, members] of this.#membersOf.entries())
      this.#onlySender[room] = (members.find(({ rooms: [first] }) => first === room) ?? members[0])!
  }

  /** Opens all, a bounded number at once. Returns how many seconds it took. */
  async open(): Promise<number> {
    const startedAt = performance.now()
    const done = Promise.withResolvers<void>()
    this.#opening = { opened: 0, joined: 0, done }
    this.#loop.at(startedAt + OPENING_MS_MAX, () => {
      const { joined } = this.#opening ?? {}
      done.reject(new Error(`${joined} of ${this.members.length} connections joined in time`))
    })
    while (this.#opening.opened < Math.min(OPENING_MAX, this.members.length)) this.#openNext()
    await done.promise
    this.#opening = undefined
    return (performance.now() - startedAt) / 1_000
  }

  #openNext(): void {
    const opening = this.#opening!
    const index = opening.opened
    opening.opened += 1
    this.members[index]?.open(this.#loop, this.#ports[index]!)
  }

  joined(): void {
    const opening = this.#opening
    if (opening === undefined) return
    opening.joined += 1
    if (opening.joined === this.members.length) opening.done.resolve()
    else this.#openNext()
  }

  /** One post, sent now by the member whose turn it is; `atMs` is when it was planned. */
  post(room: number, atMs: number): void {
    const n = this.#posts[room]!
    this.#posts[room] = n + 1
    this.posted += 1
    this.#meter.plan(room, n, atMs)
    this.#senderOf(room, n).send(this.#dialect.post(room, n))
  }

  #senderOf(room: number, n: number): Member {
    if (this.#job.senders === 'one a room') return this.#onlySender[room]!
    const members = this.#membersOf[room]!
    return members[n % members.length]!
  }

  /** Deliveries that are still to come. All must have joined before the first post. */
  behind(): number {
    let sum = 0
    for (const { rooms, start, next } of this.members)
      for (let place = 0; place < rooms.length; place++)
        sum += start[place]! + this.#posts[rooms[place]!]! - next[place]!
    return sum
  }

  /** Of each of these rooms, on average. */
  readersOf({ from, rooms }: Rooms): number {
    const members = this.#membersOf.slice(from, from + rooms)
    return members.reduce((sum, { length }) => sum + length, 0) / rooms
  }

  delivered(room: number, first: number, last: number, numbers?: Int32Array): void {
    if (numbers !== undefined) this.#places.delivered(room, first, numbers, this.#posts[room]!)
    this.#meter.count(room, first, last, numbers)
  }

  outOfSequence(
    member: Member,
    room: number,
    next: number,
    [first, last]: readonly [number, number],
    numbers?: Int32Array,
  ): void {
    const isHole = first > next
    if (isHole) {
      this.skipped += first - next
      this.#meter.count(room, first, last, numbers)
    } else this.twice += Math.min(last + 1, next) - first
    if (!this.#job.gapless) return
    this.faults.add(`reader ${member.index} got ${first} of room ${room} and not ${next}`)
  }

  acknowledged(room: number, n: number, seq?: number): void {
    this.acknowledgements += 1
    if (seq !== undefined) this.#places.enter(room, n, seq, this.#posts[room]!)
  }

  lost(member: Member, why: string): void {
    this.lostConnections += 1
    const text = `connection ${member.index} was lost: ${why}`
    this.faults.add(text)
    this.#opening?.done.reject(new Error(text))
  }

  fault(text: string): void {
    this.faults.add(text)
  }

  close(): void {
    for (const member of this.members) member.close()
  }
}

/**
 * Which rooms each connection joins. Connections are first in line for one room after the other
 * (some servers let a connection post to its first only), and the rest lie a stride apart: so all
 * rooms have as many members, and hardly two connections share all their rooms.
 */
export function roomsOf({ connections, from, rooms, roomsEach }: CrowdShape): number[][] {
  const stride = strideOf(rooms, roomsEach)
  return Array.from({ length: connections }, (_, index) =>
    Array.from({ length: roomsEach }, (_, k) => from + ((index + k * stride) % rooms)),
  )
}

/** Without a common factor, it meets every room before it meets one again. */
function strideOf(rooms: number, roomsEach: number): number {
  let stride = Math.floor(rooms / roomsEach) + 1
  while (commonFactor(stride, rooms) > 1) stride += 1
  return stride
}

function commonFactor(a: number, b: number): number {
  return b === 0 ? a : commonFactor(b, a % b)
}
