/** One connection that follows no room, and posts in all of them in turn. */
import type { Dialect } from './dialect.ts'
import type { Loop } from './loop.ts'
import { type Audience, Member } from './member.ts'

/**
 * Posts in flight: half of what the server lets one connection have waiting, and no more than one
 * in a room, so that posts of a round are acknowledged before the next but one begins.
 */
const IN_FLIGHT_MAX = 512

export interface RoundPosterOptions {
  /** Among the connections of its dialect. */
  index: number
  rooms: number
  /** Posts in each room. */
  rounds: number
  /** Of each post that has been acknowledged: how many are by now. */
  onAcknowledged: (count: number) => void
  fault: (text: string) => void
}

export class RoundPoster implements Audience {
  /** Resolves when all has been posted and acknowledged. */
  readonly done: Promise<void>
  /** Resolves when the connection has ended. */
  readonly gone: Promise<void>
  readonly #options: RoundPosterOptions
  readonly #dialect: Dialect
  readonly #member: Member
  readonly #opened = Promise.withResolvers<void>()
  readonly #done = Promise.withResolvers<void>()
  readonly #gone = Promise.withResolvers<void>()
  #posted = 0
  #acknowledged = 0

  constructor(dialect: Dialect, options: RoundPosterOptions) {
    this.#options = options
    this.#dialect = dialect
    this.#member = new Member(options.index, [], dialect, this)
    this.done = this.#done.promise
    this.gone = this.#gone.promise
  }

  get #all(): number {
    return this.#options.rounds * this.#options.rooms
  }

  /** Rejects if it is not let in. */
  open(loop: Loop, port: number): Promise<void> {
    this.#member.open(loop, port)
    return this.#opened.promise
  }

  joined(): void {
    this.#opened.resolve()
  }

  begin(): void {
    for (let i = 0; i < Math.min(IN_FLIGHT_MAX, this.#options.rooms); i++) this.#post()
  }

  #post(): void {
    if (this.#posted === this.#all) return
    const { rooms } = this.#options
    const n = Math.floor(this.#posted / rooms)
    this.#member.send(this.#dialect.post(this.#posted % rooms, n))
    this.#posted += 1
  }

  acknowledged(room: number, n: number, seq?: number): void {
    const { onAcknowledged, fault } = this.#options
    if (seq !== n + 1) fault(`post ${n} in room ${room} was given seq ${seq}`)
    this.#acknowledged += 1
    onAcknowledged(this.#acknowledged)
    if (this.#acknowledged === this.#all) this.#done.resolve()
    this.#post()
  }

  lost(_: Member, why: string): void {
    const error = new Error(`the poster was cut off: ${why}`)
    this.#opened.reject(error)
    if (this.#acknowledged < this.#all) this.#done.reject(error)
    this.#gone.resolve()
  }

  delivered(room: number): void {
    this.#options.fault(`the poster was told of room ${room}, which it does not follow`)
  }

  outOfSequence(_: Member, room: number): void {
    this.delivered(room)
  }

  fault(text: string): void {
    this.#options.fault(text)
  }
}
