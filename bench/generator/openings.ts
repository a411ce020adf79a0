/** Opens many connections, a bounded number at once. */

/** Fewer than the shortest listen queue can hold. */
const OPENING_MAX = 200

export class Openings {
  readonly #count: number
  readonly #begin: (index: number) => void
  readonly #done = Promise.withResolvers<void>()
  #begun = 0
  #opened = 0

  /** `begin` begins to open one; whoever sees it open calls `opened`, or else `failed`. */
  constructor(count: number, begin: (index: number) => void) {
    this.#count = count
    this.#begin = begin
  }

  /** Resolves when all are open. Rejects with what `failed` was told. */
  run(): Promise<void> {
    while (this.#begun < Math.min(OPENING_MAX, this.#count)) this.#beginNext()
    return this.#done.promise
  }

  opened(): void {
    this.#opened += 1
    if (this.#opened === this.#count) this.#done.resolve()
    else if (this.#begun < this.#count) this.#beginNext()
  }

  failed(why: string): void {
    this.#done.reject(new Error(`connection ${this.#opened} of ${this.#count}: ${why}`))
  }

  #beginNext(): void {
    const index = this.#begun
    this.#begun += 1
    this.#begin(index)
  }
}
