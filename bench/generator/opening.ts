/** Members come in one after the other, a bounded number of them at a time. */
import type { Loop } from './loop.ts'
import type { Member } from './member.ts'

/** Openings under way: enough to keep the server busy, few enough for any listen queue. */
const UNDER_WAY_MAX = 128

export class Opening {
  readonly #loop: Loop
  readonly #port: number
  #waiting: readonly Member[] = []
  #begun = 0
  #joined = 0
  #all = Promise.withResolvers<void>()

  constructor(loop: Loop, port: number) {
    this.#loop = loop
    this.#port = port
  }

  /** Resolves when all have joined their rooms; rejects if one cannot. One call at a time. */
  open(members: readonly Member[]): Promise<void> {
    this.#waiting = members
    this.#begun = 0
    this.#joined = 0
    this.#all = Promise.withResolvers()
    while (this.#begun < Math.min(UNDER_WAY_MAX, members.length)) this.#next()
    if (members.length === 0) this.#all.resolve()
    return this.#all.promise
  }

  /** To be told of each member that has joined. */
  joined(): void {
    this.#joined += 1
    if (this.#begun < this.#waiting.length) this.#next()
    if (this.#joined === this.#waiting.length) this.#all.resolve()
  }

  /** A member did not come in, or is gone: then it cannot be all of them. */
  failed(why: string): void {
    this.#all.reject(new Error(why))
  }

  #next(): void {
    this.#waiting[this.#begun++]!.open(this.#loop, this.#port)
  }
}
