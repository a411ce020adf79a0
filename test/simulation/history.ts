/**
 * What is noted of a run, and what is wrong with it. The checker that judges real servers judges
 * simulated ones, too; what only a simulation can see is complained of at once.
 *
 * A restored backup begins another era: what was posted after the backup may be gone then. Each era
 * is judged by the log as it stood at its end.
 */
import { inboxTimeline } from '../../src/chat/ids.ts'
import type { Id, StoredEvent, TimelineId } from '../../src/types.ts'
import { faultsOf } from '../../src/verify/checker.ts'
import type { Attempt, Reading } from '../../src/verify/history.ts'
import type { Disk } from './disk.ts'

export interface Complaint {
  kind: string
  what: string
}

/** Beside each post to a person stands its entry in that person's inbox. */
export interface Posting extends Attempt {
  inboxOf: Id | undefined
}

export class History {
  attempts: Posting[] = []
  readings: Reading[] = []
  readonly complaints: Complaint[] = []
  readonly members = new Map<TimelineId, string[]>()
  era = 1
  operations = 0
  deliveries = 0
  /** Of all that people were sent, and when: two runs that agree in it have been the same. */
  digest = 0

  sent(text: string, at: number): void {
    this.digest = (Math.imul(this.digest ^ text.length, 0x01000193) + Math.floor(at * 1_000)) | 0
  }

  complain(kind: string, what: string): void {
    this.complaints.push({ kind, what })
  }

  /** Judges everything so far by the log. */
  judge(disk: Disk): void {
    const log = new Map([...disk.log.timelines].map((id) => [id, textsOf(disk.log.log(id))]))
    const attempts = this.attempts.flatMap(withInboxEntry)
    const { readings, members } = this
    const faults = faultsOf({ attempts, readings, members, log })
    for (const { kind, timeline, what } of faults) this.complain(kind, `${timeline}: ${what}`)
    this.#checkKeys(log)
  }

  /** The same key twice in a timeline, though with different texts. */
  #checkKeys(log: ReadonlyMap<TimelineId, readonly { text: string }[]>): void {
    const keys = new Map(this.attempts.map(({ text, client, key }) => [text, `${client} ${key}`]))
    for (const [timeline, events] of log) {
      const used = events.flatMap(({ text }) => keys.get(text) ?? [])
      if (new Set(used).size < used.length) this.complain('duplicate', `${timeline}: a key twice`)
    }
  }

  /** After a restore: what the log does not know any more has never been. */
  beginEra(disk: Disk): void {
    this.era += 1
    const kept = new Set<string>()
    for (const id of disk.log.timelines)
      for (const { text } of textsOf(disk.log.log(id))) kept.add(text)
    this.attempts = this.attempts.filter(({ text }) => kept.has(text))
    // Whoever goes on reading says so: what they have seen must then be in this log as well.
    this.readings = []
  }
}

function withInboxEntry(attempt: Posting): Attempt[] {
  const { inboxOf, text, outcome } = attempt
  if (inboxOf === undefined) return [attempt]
  const { seq: _, ...rest } = attempt
  const entry: Attempt = {
    ...rest,
    timeline: inboxTimeline(inboxOf),
    text: inboxText(text),
    // Where it stands in the inbox is told to nobody but its owner.
    outcome: outcome === 'ok' ? 'unknown' : outcome,
  }
  return [attempt, entry]
}

/** An entry in an inbox goes by a text of its own, for its message stands elsewhere as well. */
function inboxText(text: string): string {
  return `in the inbox: ${text}`
}

/** By which an event is recognised. */
export function textOf(event: { text?: string; message?: { text: string } }): string {
  return event.message ? inboxText(event.message.text) : (event.text ?? '')
}

function textsOf(events: readonly StoredEvent[]) {
  return events.map(({ seq, body }) => ({ seq, text: textOf(JSON.parse(body)) }))
}
