/**
 * Unsent posts where they survive a reload: one item for each, so that tabs do not overwrite each
 * other's. Two tabs may both send a post; its key sees to it that it is there once. A storage that
 * is full, or forbidden, costs this safety and nothing else.
 */
import type { Problem } from './errors.ts'
import type { Place, Post, PostStorage } from './types.ts'

/** What a post is, and what has become of it. */
export interface KeptPost {
  /** The first key it had: its name for good. */
  id: string
  /** Whose it is: a user's id. */
  owner: string
  place: Place
  text: string
  key: string
  createdAt: number
  attempts?: number
  /** The head as it was known at the first attempt: the post's event can only be beyond. */
  headBefore?: number | undefined
  state?: Post['state']
  error?: Problem | undefined
}

const PREFIX = 'parley.post.'

function nameOf({ owner, createdAt, id }: KeptPost): string {
  return `${PREFIX}${owner}.${createdAt}.${id}`
}

export function keep(storage: PostStorage | undefined, post: KeptPost): void {
  attempt(() => storage?.setItem(nameOf(post), JSON.stringify(post)))
}

export function forget(storage: PostStorage | undefined, post: KeptPost): void {
  attempt(() => storage?.removeItem(nameOf(post)))
}

/** Those of one person. What cannot be read is left alone. */
export function readKept(storage: PostStorage | undefined, owner: string): KeptPost[] {
  const kept: KeptPost[] = []
  // Without a storage this ends like one that is forbidden.
  attempt(() => {
    for (let i = 0; i < storage!.length; i++) {
      const name = storage!.key(i)!
      if (name.startsWith(`${PREFIX}${owner}.`))
        attempt(() => kept.push(JSON.parse(storage!.getItem(name)!)))
    }
  })
  return kept
}

function attempt(work: () => void): void {
  try {
    work()
  } catch {
    // In memory it still is.
  }
}
