/** How a person reads history: a page at a time, from any node. */
import type { Cursor } from '../../src/chat/messages.ts'
import type { Seq, TimelineId } from '../../src/types.ts'
import type { Reading } from '../../src/verify/history.ts'
import type { Target } from './follow.ts'
import { textOf } from './history.ts'
import type { SimNode } from './node.ts'
import type { Person } from './person.ts'
import type { World } from './world.ts'

export interface PageWish {
  target: Target
  by: 'newest' | 'after' | 'before' | 'around'
  /** Where, as a part of what there is. */
  at: number
  limit: number
}

export class Pages {
  readonly #person: Person
  readonly #world: World

  constructor(person: Person, world: World) {
    this.#person = person
    this.#world = world
  }

  read(wish: PageWish): void {
    const { disk, history } = this.#world
    const { era } = history
    const asked: { timeline?: TimelineId; least?: Seq; cursor?: Cursor } = {}
    this.#person.request(
      async (node) => {
        const place = await node.chat.access.place(this.#person.user, wish.target)
        const { timeline } = place
        const seq = Math.ceil(wish.at * disk.log.log(timeline).length)
        const cursor = cursorOf(wish, seq, disk.epoch)
        Object.assign(asked, { timeline, cursor, least: this.#least(node, timeline, wish, cursor) })
        return node.chat.messages.list(place, cursor, wish.limit)
      },
      (_, page) => {
        if (page === undefined || history.era !== era) return
        const { timeline, least, cursor } = asked as Required<typeof asked>
        const after = page.first === undefined ? (cursor.after ?? 0) : page.first - 1
        this.#note(timeline, cursor.after ?? after, page.events)
        const { name } = this.#person.user
        if ((page.last ?? cursor.after ?? 0) < least)
          history.complain('stale', `${name} reads ${timeline} up to ${page.last}, not ${least}`)
        if (!page.recovered) history.complain('false-restart', `${name} reads ${timeline}`)
      },
    )
  }

  /** How far a page must go at the least: whatever its node has acknowledged is there. */
  #least(node: SimNode, timeline: TimelineId, { by, limit }: PageWish, cursor: Cursor): Seq {
    const acked = node.acked.get(timeline) ?? 0
    if (by === 'newest') return acked
    return by === 'after' ? Math.min(acked, cursor.after! + limit) : 0
  }

  #note(timeline: TimelineId, after: Seq, texts: readonly string[]): void {
    const at = this.#world.scheduler.now
    const events = texts.map((json) => {
      const event = JSON.parse(json)
      return { seq: event.seq, text: textOf(event), at }
    })
    const reader = this.#person.user.name
    const reading: Reading = { reader, via: 'pages', timeline, after, events, toTheEnd: false }
    this.#world.history.readings.push(reading)
    this.#world.history.deliveries += events.length
  }
}

function cursorOf({ by }: PageWish, seq: Seq, epoch: string): Cursor {
  if (by === 'newest') return {}
  if (by === 'after') return { after: seq, epoch }
  return by === 'before' ? { before: seq + 1, epoch } : { around: Math.max(1, seq), epoch }
}
