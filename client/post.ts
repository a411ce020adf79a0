/** One post, from when it is written until it stands in its timeline. */
import { ParleyError } from './errors.ts'
import { keyOf } from './history.ts'
import type { PostOutbox } from './outbox.ts'
import type { KeptPost } from './post-storage.ts'
import type { Place, Post } from './types.ts'

type Sent = { seq: number; at: string }

export class OutboxPost implements Post {
  readonly owner: string
  readonly place: Place
  /** Which timeline it goes to, as a key. */
  readonly lane: string
  readonly text: string
  readonly createdAt: number
  key: string
  state: Post['state'] = 'sending'
  attempts: number
  seq: number | undefined
  at: string | undefined
  error: ParleyError | undefined
  sent!: Promise<Sent>
  /** The head as it was known at the first attempt: its event can only be beyond. */
  headBefore: number | undefined
  readonly #outbox: PostOutbox
  #resolve!: (sent: Sent) => void
  #reject!: (error: unknown) => void

  constructor(outbox: PostOutbox, kept: KeptPost) {
    const { owner, place, text, key, createdAt, attempts = 0, headBefore, failed } = kept
    this.#outbox = outbox
    this.owner = owner
    this.place = place
    this.lane = keyOf(place)
    this.text = text
    this.key = key
    this.createdAt = createdAt
    this.attempts = attempts
    this.headBefore = headBefore
    this.#promise()
    if (!failed) return
    this.error = new ParleyError(failed)
    this.hasFailed()
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
      this.error = new ParleyError({ code: 'discarded', status: 400 })
      this.hasFailed()
    }
    this.#outbox.remove(this)
  }
}

/** Not `crypto.randomUUID`, which pages over plain HTTP do not have. */
export function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
