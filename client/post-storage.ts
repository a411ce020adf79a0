/**
 * Unsent posts where they survive a reload: one item for each, so that tabs do not overwrite each
 * other's. Two tabs may both send a post; its key sees to it that it is there once. A storage that
 * is full, or forbidden, costs this safety and nothing else.
 */
import type { ParleyError, Problem } from './errors.ts'
import type { OutboxPost } from './post.ts'
import type { Place, PostStorage } from './types.ts'

export interface KeptPost {
  owner: string
  place: Place
  text: string
  key: string
  createdAt: number
  attempts?: number
  headBefore?: number | undefined
  failed?: Problem | undefined
}

const PREFIX = 'parley.post.'

/** The name does not change with the key, so that a post that is tried again stays one item. */
function nameOf({ owner, createdAt, key }: KeptPost): string {
  return `${PREFIX}${owner}.${createdAt}.${key}`
}

export function keep(storage: PostStorage | undefined, post: OutboxPost): void {
  const { owner, place, text, key, createdAt, attempts, headBefore, state, error } = post
  const failed = state === 'failed' ? problemOf(error!) : undefined
  const kept: KeptPost = { owner, place, text, key, createdAt, attempts, headBefore, failed }
  attempt(() => storage?.setItem(nameOf(kept), JSON.stringify(kept)))
}

export function forget(storage: PostStorage | undefined, post: OutboxPost): void {
  attempt(() => storage?.removeItem(nameOf(post)))
}

/** Those of one person, in the order written. What cannot be read is left alone. */
export function readKept(storage: PostStorage | undefined, owner: string): KeptPost[] {
  const kept: KeptPost[] = []
  attempt(() => {
    for (let i = 0; i < (storage?.length ?? 0); i++) {
      const name = storage!.key(i)!
      if (name.startsWith(`${PREFIX}${owner}.`))
        attempt(() => kept.push(JSON.parse(storage!.getItem(name)!)))
    }
  })
  return kept.sort((one, other) => one.createdAt - other.createdAt)
}

function problemOf({ code, status, message, detail, hint, field }: ParleyError): Problem {
  return { code, status, title: message, detail, hint, field }
}

function attempt(work: () => void): void {
  try {
    work()
  } catch {
    // In memory it still is.
  }
}
