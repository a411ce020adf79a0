/**
 * People who sign out while a subscription of theirs is open. From a second later on nothing may
 * come by it, nor by another one that is tried with the same token.
 */
import { signIn } from './accounts.ts'
import type { Seen } from './history.ts'
import type { Journal } from './journal.ts'
import { pause, type Where } from './people.ts'
import type { Seat } from './places.ts'
import { follow, type Transport } from './transports.ts'

/** Until something has come, so that there is something to be cut off from. */
const BEGIN_MS_MAX = 2_000
/** From the sign-out on: what comes in the last part of it should not. */
const WATCH_MS = 1_500
const AGAIN_MS = 300
const RETRY_MS = 50

export class Leaver {
  signOuts = 0
  readonly #where: Where
  readonly #journal: Journal
  readonly #seat: Seat
  readonly #transport: Transport
  #cursor = 0
  #stopped = false

  /** Listens at a busy place. */
  constructor(where: Where, journal: Journal, seat: Seat, transport: Transport) {
    this.#where = where
    this.#journal = journal
    this.#seat = seat
    this.#transport = transport
  }

  stop(): void {
    this.#stopped = true
  }

  async leave(): Promise<void> {
    while (!this.#stopped) {
      const token = await signIn(this.#where(), this.#seat.owner.name).catch(() => undefined)
      if (token === undefined) await pause(RETRY_MS)
      else await this.#leaveOnce(token)
    }
  }

  async #leaveOnce(token: string): Promise<void> {
    const open = this.#follow(token)
    await Promise.race([open.begun, open.following.ended, pause(BEGIN_MS_MAX)])
    const signedOutAt = await this.#signOut(token)
    await pause(WATCH_MS)
    open.end(signedOutAt)
    const again = this.#follow(token)
    await Promise.race([again.following.ended, pause(AGAIN_MS)])
    again.end(signedOutAt)
    this.signOuts += 1
  }

  /** Asks until it is done, and tells when. */
  async #signOut(token: string): Promise<number> {
    for (;;) {
      const url = this.#where()
      const headers = { authorization: `Bearer ${token}` }
      const asked = fetch(`${url}/session`, { method: 'DELETE', headers })
      const status = await asked.then((answer) => answer.status).catch(() => 0)
      // 401: an attempt that was not answered has done it.
      if (status === 204 || status === 401) return this.#journal.now()
      await pause(RETRY_MS)
    }
  }

  #follow(token: string) {
    const { timeline, owner } = this.#seat
    const after = this.#cursor
    const events: Seen[] = []
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
    const following = follow(this.#transport, {
      ...{ url: this.#where(), token, spot: this.#seat, after },
      onEvent: (event) => {
        events.push({ ...event, at: this.#journal.now() })
        this.#cursor = Math.max(this.#cursor, event.seq)
        begin()
      },
    })
    const end = (signedOutAt: number) => {
      following.cut()
      this.#journal.readings.push({
        ...{ reader: owner.name, via: this.#transport, timeline, after, events: events.slice() },
        ...{ toTheEnd: false, signedOutAt },
      })
    }
    return { begun, following, end }
  }
}
