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
  #done: () => void = () => {}

  constructor(loop: Loop, port: number) {
    this.#loop = loop
    this.#port = port
  }

  /** Resolves when all of them have joined their rooms. One such call at a time. */
  open(members: readonly Member[]): Promise<void> {
    this.#waiting = members
    this.#begun = 0
    this.#joined = 0
    const all = new Promise<void>((resolve) => {
      this.#done = resolve
    })
    while (this.#begun < Math.min(UNDER_WAY_MAX, members.length)) this.#next()
    if (members.length === 0) this.#done()
    return all
  }

  /** To be told of each member that has joined. */
  joined(): void {
    this.#joined += 1
    if (this.#begun < this.#waiting.length) this.#next()
    if (this.#joined === this.#waiting.length) this.#done()
  }

  #next(): void {
    this.#waiting[this.#begun++]!.open(this.#loop, this.#port)
  }
}
