/** Timelines read as history, page by page: forwards it is the log, backwards the same again. */
import type { TimelineId } from '../types.ts'
import { ask } from './accounts.ts'
import type { Logged, Reading } from './history.ts'
import { pause } from './people.ts'
import type { Seat } from './places.ts'
import { loggedOf, type Received } from './transports.ts'

const PAGE = 1_000
/** Into about so many pages a timeline is cut, so that there are ends of pages in short ones. */
const PAGES_BACK = 7
/** A node's newest page may lag behind what another has recorded; see `HEAD_CHECK_MS`. */
const LAG_MS_MAX = 5_000

export type Log = Map<TimelineId, Logged[]>

export async function readLog(url: string, seats: readonly Seat[]): Promise<Log> {
  const log: Log = new Map()
  for (const seat of seats) {
    const events: Logged[] = []
    log.set(seat.timeline, events)
    // To the first page that is empty, for a short one may be what a node has in memory.
    for (let size = 1; size > 0; ) {
      const page = await readPage(url, seat, `after=${events.at(-1)?.seq ?? 0}&limit=${PAGE}`)
      events.push(...page)
      size = page.length
    }
  }
  return log
}

/** A reading of each timeline from its end to its beginning. */
export async function readBackwards(
  url: string,
  seats: readonly Seat[],
  log: Log,
  now: () => number,
): Promise<Reading[]> {
  const readings: Reading[] = []
  for (const seat of seats) {
    const head = log.get(seat.timeline)!.length
    const limit = Math.min(PAGE, Math.ceil((head + 1) / PAGES_BACK))
    const pages = [await readNewest(url, seat, head, limit)]
    for (let first = pages[0]![0]?.seq ?? 1; first > 1; ) {
      const page = await readPage(url, seat, `before=${first}&limit=${limit}`)
      if (page.length === 0) break
      pages.push(page)
      first = page[0]!.seq
    }
    const events = pages.reverse().flat()
    readings.push({
      ...{ reader: seat.owner.name, via: `pages of ${url}`, timeline: seat.timeline, after: 0 },
      ...{ events: events.map((event) => ({ ...event, at: now() })), toTheEnd: true },
    })
  }
  return readings
}

async function readNewest(url: string, seat: Seat, head: number, limit: number): Promise<Logged[]> {
  const untilMs = performance.now() + LAG_MS_MAX
  for (;;) {
    const page = await readPage(url, seat, `limit=${limit}`)
    if ((page.at(-1)?.seq ?? 0) >= head || performance.now() > untilMs) return page
    await pause(100)
  }
}

async function readPage(url: string, { path, owner }: Seat, query: string): Promise<Logged[]> {
  const page = await ask<Received[]>(url, `${path}/messages?${query}`, owner.token)
  return page.map(loggedOf)
}
