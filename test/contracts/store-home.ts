/** What the parts of the store contract speak in: data to open, messages to append. */
import type { Store } from '../../src/store/store.ts'
import type { Id, NewEvent, Seq, StoredEvent, TimelineId } from '../../src/types.ts'

/** Data of its own that can be opened again and again, by one store at a time. */
export interface StoreHome {
  open(onFatal?: (error: Error) => void): Promise<Store>
  remove(): Promise<void>
}

export type MakeStoreHome = () => Promise<StoreHome>

/** Closes the store, if it is open, and opens it on the same data. */
export type Reopen = (onFatal?: (error: Error) => void) => Promise<Store>

/** Runs `work` on a fresh store, then closes it and removes its data. */
export async function withStore(
  makeHome: MakeStoreHome,
  work: (store: Store, reopen: Reopen) => Promise<void>,
): Promise<void> {
  const home = await makeHome()
  let store = await home.open()
  try {
    await work(store, async (onFatal) => {
      await store.close()
      store = await home.open(onFatal)
      return store
    })
  } finally {
    await store.close()
    await home.remove()
  }
}

export const ADA: Id = 'uAAAAAAAAAAAAAAAA'
export const BOB: Id = 'uBBBBBBBBBBBBBBBB'

/** A message as `chat` hands it over. */
export function message(
  timeline: TimelineId,
  text: string,
  more: Partial<NewEvent> = {},
): NewEvent {
  const author = more.author ?? ADA
  const body = `{"from":{"id":"${author}","name":"ada"},"text":${JSON.stringify(text)}}`
  return { timeline, type: 'message', author, body, at: 1_000, ...more }
}

export function textOf(event: StoredEvent): string {
  return JSON.parse(event.body).text
}

/** Every event of a timeline, read by pages of an odd size. */
export async function readAll(store: Store, timeline: TimelineId): Promise<StoredEvent[]> {
  const all: StoredEvent[] = []
  for (;;) {
    const page = await store.list(timeline, { after: all.at(-1)?.seq ?? 0, limit: 7 })
    all.push(...page)
    if (page.length < 7) return all
  }
}

/** 1, 2, 3 … n. */
export function firstSeqs(n: number): Seq[] {
  return Array.from({ length: n }, (_, index) => index + 1)
}

/** What the promise rejects with; undefined if it resolves. */
export function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error) => error,
  )
}
