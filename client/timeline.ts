/** A place as the application sees it. */
import type { AnyEvent } from './channel.ts'
import type { Core } from './core.ts'
import { failure } from './failures.ts'
import { readPage } from './history.ts'
import { PlaceSubscription } from './subscription.ts'
import type {
  HistoryOptions,
  Message,
  Page,
  Place,
  Post,
  Timeline,
  WindowOptions,
} from './types.ts'
import { PlaceWindow } from './window.ts'

export class PlaceTimeline<E extends AnyEvent> implements Timeline<E> {
  readonly place: Place
  readonly #core: Core

  constructor(core: Core, place: Place) {
    this.#core = core
    this.place = place
  }

  history(options: HistoryOptions = {}): Promise<Page<E>> {
    return readPage(this.#core, this.place, options)
  }

  async get(seq: number): Promise<E> {
    const { events } = await this.history({ after: seq - 1, limit: 1 })
    if (events[0]?.seq !== seq) throw failure('no_such_message', 404)
    return events[0]
  }

  async findSeq(at: Date): Promise<number> {
    const { events } = await this.history({ limit: 1 })
    // The answer is in [low, high].
    let low = 1
    let high = (events[0]?.seq ?? 0) + 1
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if (timeOf(await this.get(middle)) < at.getTime()) low = middle + 1
      else high = middle
    }
    return low
  }

  subscribe({ after, epoch }: { after?: number; epoch?: string } = {}): PlaceSubscription<E> {
    this.#core.requireMe()
    const at = after === undefined ? undefined : { seq: after, epoch }
    return new PlaceSubscription<E>(this.#core.channel(this.place), at)
  }

  open(options: WindowOptions = {}): PlaceWindow<E> {
    this.#core.requireMe()
    return new PlaceWindow<E>(this.#core.channel(this.place), options)
  }

  post(text: string, { key }: { key?: string } = {}): Post {
    return this.#core.outbox.post(this.place, text, key)
  }
}

function timeOf(event: AnyEvent): number {
  const { at, message } = event as Partial<Message> & { message?: Message }
  return Date.parse((at ?? message?.at)!)
}
