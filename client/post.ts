/** One post, from when it is written until it stands in its timeline. */
import { ParleyError } from './errors.ts'
import { failure } from './failures.ts'
import { keyOf } from './history.ts'
import type { PostOutbox } from './outbox.ts'
import type { KeptPost } from './post-storage.ts'
import type { Place, Post } from './types.ts'

type Sent = { seq: number; at: string }

export class OutboxPost implements Post, KeptPost {
  declare readonly id: string
  declare readonly owner: string
  declare readonly place: Place
  declare readonly text: string
  declare readonly createdAt: number
  declare key: string
  declare headBefore?: number | undefined
  state: Post['state'] = 'sending'
  attempts = 0
  seq: number | undefined
  at: string | undefined
  error: ParleyError | undefined
  sent!: Promise<Sent>
  readonly placeKey: string
  /** Posts of one person to one place go one after the other. */
  readonly lane: string
  readonly #outbox: PostOutbox
  #resolve!: (sent: Sent) => void
  #reject!: (error: unknown) => void

  constructor(outbox: PostOutbox, kept: KeptPost) {
    Object.assign(this, kept)
    this.#outbox = outbox
    this.placeKey = keyOf(kept.place)
    this.lane = `${kept.owner} ${this.placeKey}`
    this.#promise()
    if (kept.error) this.error = new ParleyError(kept.error)
    if (this.state === 'failed') this.hasFailed()
  }

  /** Nobody needs to wait for it, so nobody is blamed for not doing so. */
  #promise(): void {
    this.sent = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.sent.catch(() => {})
  }

  wasSent({ seq, at }: Sent): void {
    this.state = 'sent'
    this.seq = seq
    this.at = at
    this.error = undefined
    this.#resolve({ seq, at })
  }

  hasFailed(): void {
    this.state = 'failed'
    this.#reject(this.error)
  }

  retry(): void {
    if (this.state !== 'failed') return
    if (this.error?.code === 'key_reused') this.key = randomKey()
    this.state = 'sending'
    this.#promise()
    this.#outbox.retried(this)
  }

  discard(): void {
    if (this.state === 'sending') {
      this.error = failure('discarded', 400)
      this.hasFailed()
    }
    this.#outbox.remove(this)
  }
}

/** Not `crypto.randomUUID`, which pages over plain HTTP do not have. */
export function randomKey(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join('-')
}
