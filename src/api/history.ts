/** Listing messages over HTTP: pages, their links, and the long-poll. */
import type { Place, Target } from '../chat/access.ts'
import type { Cursor, Page } from '../chat/messages.ts'
import type { Viewer } from '../chat/sessions.ts'
import { deferred } from '../clock.ts'
import { problem } from '../errors.ts'
import type { Feed } from '../live/feed.ts'
import { type Format, linesFormat } from '../live/format.ts'
import { Reader } from '../live/reader.ts'
import type { Slice } from '../live/slice.ts'
import type { Seq } from '../types.ts'
import { notSignedIn } from './auth.ts'
import type { Connection, EndCause } from './connections.ts'
import type { Call, Reply } from './operation.ts'

export interface HistoryQuery extends Cursor {
  limit?: number | undefined
  wait?: number | undefined
}

export async function listMessages(call: Call<HistoryQuery>, target: Target): Promise<Reply> {
  const { chat, query, config } = call
  const given = [query.before, query.after, query.around].filter((one) => one !== undefined)
  if (given.length > 1) throw problem('conflicting_cursors')
  if (query.wait !== undefined && query.after === undefined) throw problem('wait_without_after')
  const place = await chat.access.place(call.viewer.user, target)
  const limit = query.limit ?? config.pageDefault
  let page = await chat.messages.list(place, query, limit)
  if (query.wait && query.after !== undefined && page.events.length === 0 && page.recovered) {
    await waitForNews(call, place, query.after, query.wait * 1_000)
    page = await chat.messages.list(place, query, limit)
  }
  return replyOf(call, page, limit)
}

function replyOf(call: Call<HistoryQuery>, page: Page, limit: number): Reply {
  const links = linksOf(call, page, limit)
  return {
    status: 200,
    body: `[${page.events.join(',')}]`,
    headers: {
      'Parley-Epoch': call.chat.epoch,
      ...(links !== '' && { Link: links }),
      ...(!page.recovered && { 'Parley-Recovered': 'false' }),
    },
  }
}

/** `prev` is the page of older messages, `next` the newer one; left out where there can be none. */
function linksOf(call: Call<HistoryQuery>, { first, last, events }: Page, limit: number): string {
  const { origin, path, query } = call
  const link = (cursor: string, seq: Seq, rel: string) =>
    `<${origin}${path}?${cursor}=${seq}&limit=${limit}>; rel="${rel}"`
  const links: string[] = []
  if (first !== undefined && first > 1) links.push(link('before', first, 'prev'))
  const newest = query.before === undefined && query.around === undefined
  const atEnd = newest && (query.after === undefined || events.length < limit)
  if (last !== undefined && !atEnd) links.push(link('after', last, 'next'))
  return links.join(', ')
}

/**
 * Resolves when the place has an event after `after`, when the time is up, or when the client has
 * gone. It reads through a feed like every other transport. Throws `not_signed_in` if the session
 * ends meanwhile, and `too_many_connections`.
 */
async function waitForNews(call: Call, place: Place, after: Seq, waitMs: number): Promise<void> {
  const { chat, connections, viewer } = call
  const { signal } = call.request
  const poll = new LongPoll(place, viewer)
  const wake = () => poll.wake('news')
  const timer = setTimeout(wake, waitMs)
  signal.addEventListener('abort', wake)
  connections.add(poll)
  let feed: Feed | undefined
  try {
    feed = await chat.messages.follow(place, { after }, poll)
    feed.run()
    if ((await poll.woken.promise) === 'signed_out') throw notSignedIn()
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', wake)
    poll.ended = true
    if (feed !== undefined) chat.hub.unsubscribe(feed.timeline, poll)
    connections.remove(poll)
  }
}

/** A reader that wants to know of the first news only; the page is then read as any other. */
class LongPoll extends Reader implements Connection {
  readonly transport = 'long-poll'
  readonly format: Format
  readonly viewer: Viewer
  readonly ready = true
  readonly woken = deferred<EndCause | 'news'>()
  ended = false

  constructor(place: Place, viewer: Viewer) {
    super()
    this.format = linesFormat(place.label)
    this.viewer = viewer
  }

  wake(by: EndCause | 'news'): void {
    this.woken.resolve(by)
  }

  end(cause: EndCause): void {
    this.wake(cause)
  }

  write(slices: readonly Slice[]): number {
    this.wake('news')
    return slices.length
  }

  failed(error: unknown): void {
    this.woken.reject(error)
  }

  drained(): Promise<void> {
    return Promise.resolve()
  }

  caughtUp(): void {}
  beat(): void {}
  sweep(): void {}
}
