/** A log so plain that it is obviously right: a list for each timeline and a map of keys. */
import { INBOX_ENTRY, inboxBody } from '../../src/events.ts'
import type { Appended, Range } from '../../src/store/store.ts'
import type { NewEvent, StoredEvent, TimelineId } from '../../src/types.ts'

export class ModelLog {
  readonly #timelines = new Map<TimelineId, StoredEvent[]>()
  readonly #keys = new Map<string, StoredEvent>()

  append(given: NewEvent): Appended {
    const { timeline, type, author, body, key } = given
    const scope = JSON.stringify([timeline, author, key])
    const original = key === undefined ? undefined : this.#keys.get(scope)
    if (original !== undefined)
      return original.type === type && original.body === body
        ? { outcome: 'replayed', event: original }
        : { outcome: 'key_reused' }
    const log = this.log(timeline)
    const at = Math.max(given.at, log.at(-1)?.at ?? 0)
    const event: StoredEvent = { timeline, seq: log.length + 1, type, author, at, body }
    log.push(event)
    if (key !== undefined) this.#keys.set(scope, event)
    return { outcome: 'recorded', event, inboxEntry: this.#enter(given, event) }
  }

  #enter(given: NewEvent, { seq, at }: StoredEvent): StoredEvent | null {
    if (given.inbox === undefined) return null
    const log = this.log(given.inbox)
    const body = inboxBody(given, seq, at)
    const place = { timeline: given.inbox, seq: log.length + 1 }
    const entry: StoredEvent = { ...place, type: INBOX_ENTRY, author: null, at, body }
    log.push(entry)
    return entry
  }

  list(timeline: TimelineId, range: Range): StoredEvent[] {
    const log = this.log(timeline)
    return 'after' in range
      ? log.filter((event) => event.seq > range.after).slice(0, range.limit)
      : log.filter((event) => event.seq < range.before).slice(-range.limit)
  }

  log(timeline: TimelineId): StoredEvent[] {
    const known = this.#timelines.get(timeline)
    if (known !== undefined) return known
    const log: StoredEvent[] = []
    this.#timelines.set(timeline, log)
    return log
  }

  get timelines(): IterableIterator<TimelineId> {
    return this.#timelines.keys()
  }

  copy(): ModelLog {
    const copy = new ModelLog()
    for (const [id, log] of this.#timelines) copy.#timelines.set(id, [...log])
    for (const [scope, event] of this.#keys) copy.#keys.set(scope, event)
    return copy
  }
}
