/** One timeline that a person follows, over all of their connections. */
import type { Seq, TimelineId } from '../../src/types.ts'
import type { Reading } from '../../src/verify/history.ts'
import { type History, textOf } from './history.ts'

/** As a frame names it. */
export type Target = { room: string } | { user: string } | { inbox: true }

export interface SubscribeReply {
  timeline: TimelineId
  epoch: string
  head: Seq
  recovered: boolean
}

interface Event {
  seq: Seq
  text?: string
  message?: { text: string }
}

export class Follow {
  readonly target: Target
  /** Still wanted: whoever comes back subscribes again. */
  wanted = true
  state: 'off' | 'asked' | 'on' | 'leaving' = 'off'
  timeline: TimelineId | undefined
  /** Where to begin; undefined for the head. */
  cursor: Seq | undefined
  /** Undefined until the server has told it. */
  epoch: string | undefined
  /** Told once for each subscription. */
  #caughtUp = false
  #reading: Reading | undefined
  #era = 0
  readonly #who: string
  readonly #history: History

  constructor(who: string, history: History, target: Target, after: Seq | undefined) {
    this.#who = who
    this.#history = history
    this.target = target
    this.cursor = after
  }

  /** What it asks for now. */
  get start(): { after?: Seq; epoch?: string } {
    const { cursor, epoch } = this
    if (cursor === undefined) return {}
    return epoch === undefined ? { after: cursor } : { after: cursor, epoch }
  }

  began(start: { after?: Seq; epoch?: string }, reply: SubscribeReply): void {
    const { after, epoch } = start
    const mayGoOn =
      after === undefined || (after <= reply.head && (epoch ?? reply.epoch) === reply.epoch)
    if (reply.recovered !== mayGoOn)
      this.#complain('wrong-start', `${JSON.stringify(start)} got ${JSON.stringify(reply)}`)
    // Its cursor is of an event that it was given, and given events are in the log.
    if (epoch === reply.epoch && !reply.recovered) this.#complain('false-restart', `at ${after}`)
    this.state = this.state === 'asked' ? 'on' : this.state
    this.timeline = reply.timeline
    this.epoch = reply.epoch
    this.#caughtUp = false
    const goesOn = reply.recovered && after !== undefined
    if (!goesOn) this.cursor = reply.head
    if (!goesOn || this.#reading === undefined) this.#begin(this.cursor!)
    else if (this.#era !== this.#history.era) this.#keepReading()
  }

  #begin(after: Seq): void {
    if (this.#reading) this.#reading.toTheEnd = false
    const { timeline } = this
    this.#reading = {
      ...{ reader: this.#who, via: 'websocket', timeline: timeline!, after },
      ...{ events: [], toTheEnd: false },
    }
    this.#keepReading()
  }

  #keepReading(): void {
    this.#era = this.#history.era
    this.#history.readings.push(this.#reading!)
  }

  take(events: readonly Event[], at: number): void {
    for (const event of events) {
      this.#reading!.events.push({ seq: event.seq, text: textOf(event), at })
      this.cursor = event.seq
    }
    this.#history.deliveries += events.length
  }

  caughtUp(seq: Seq): void {
    if (seq !== this.cursor) this.#complain('caught-up', `at ${seq} with ${this.cursor}`)
    if (this.#caughtUp) this.#complain('caught-up', 'twice')
    this.#caughtUp = true
  }

  /** The server says that it has everything up to there. */
  headIs(seq: Seq): void {
    if (seq > this.cursor!) this.#complain('false-head', `${seq} with ${this.cursor}`)
  }

  /** It is there to the end: everything must have come. */
  stays(): void {
    if (this.state === 'on' && this.#reading) this.#reading.toTheEnd = true
    else this.#complain('unseen', `is ${this.state} in the end`)
  }

  #complain(kind: string, what: string): void {
    this.#history.complain(kind, `${this.#who} in ${this.timeline}: ${what}`)
  }
}
