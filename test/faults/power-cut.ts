/**
 * The power is cut. A disk then keeps what was synced, and of the rest whatever it likes: all,
 * nothing, some writes and not those before them, half a write. This keeps account of a traced
 * server's files, and rebuilds them as a disk might have them at any moment.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { DiskEvent } from './disk-trace.ts'

/** What a disk writes whole, or not at all. */
const SECTOR_BYTES = 512

type Change = { at: number; bytes: Buffer } | { size: number }

/** What has become of what was not synced. */
export type Fate = 'nothing kept' | 'all kept' | 'the first ones kept' | 'some kept' | 'torn'

/** The bytes of a file, growing. */
class Content {
  #bytes = Buffer.alloc(1 << 16)
  size = 0

  static of(other: Content): Content {
    const copy = new Content()
    copy.apply({ at: 0, bytes: other.bytes })
    return copy
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.size)
  }

  apply(change: Change): void {
    const size = 'size' in change ? change.size : change.at + change.bytes.length
    if (size > this.#bytes.length) {
      const larger = Buffer.alloc(2 * size)
      this.bytes.copy(larger)
      this.#bytes = larger
    }
    if ('bytes' in change) {
      change.bytes.copy(this.#bytes, change.at)
      this.size = Math.max(this.size, size)
    } else {
      if (size < this.size) this.#bytes.fill(0, size, this.size)
      this.size = size
    }
  }
}

class File {
  readonly synced = new Content()
  pending: Change[] = []

  sync(): void {
    for (const change of this.pending) this.synced.apply(change)
    this.pending = []
  }

  /** As it might be on the disk. */
  content(fate: Fate, random: () => number): Buffer {
    const kept = keptOf(this.pending, fate, random)
    if (kept.length === 0) return this.synced.bytes
    const content = Content.of(this.synced)
    for (const change of kept) content.apply(change)
    return content.bytes
  }
}

function keptOf(pending: readonly Change[], fate: Fate, random: () => number): readonly Change[] {
  if (fate === 'nothing kept') return []
  if (fate === 'all kept') return pending
  if (fate === 'the first ones kept')
    return pending.slice(0, Math.floor(random() * (pending.length + 1)))
  const all = fate === 'torn' ? pending.flatMap(sectorsOf) : pending
  const share = random()
  return all.filter(() => random() < share)
}

/** A write, cut where the disk's sectors end. */
function sectorsOf(change: Change): Change[] {
  if ('size' in change) return [change]
  const { at, bytes } = change
  const pieces: Change[] = []
  for (let from = 0; from < bytes.length; ) {
    const to = Math.min(bytes.length, from + SECTOR_BYTES - ((at + from) % SECTOR_BYTES))
    pieces.push({ at: at + from, bytes: bytes.subarray(from, to) })
    from = to
  }
  return pieces
}

/** SQLite's index of its log is made anew from the log, and the lock says nothing. */
const LEFT_OUT = /\.db-shm$|\.lock(-journal)?$/

export class PowerCutDisk {
  /** Everything below this folder, which was there before. */
  readonly #root: string
  readonly #files = new Map<string, File>()
  readonly #folders = new Set<string>()
  /** What is found under which name once its folder is synced; a name may be gone by now. */
  readonly #entries = new Map<string, File>()
  readonly #syncedFolders = new Set<string>()

  constructor(root: string) {
    this.#root = root
  }

  apply(event: DiskEvent): void {
    if (event.kind === 'sent' || !event.path.startsWith(this.#root)) return
    if (LEFT_OUT.test(event.path)) return
    const { path } = event
    if (event.kind === 'folder') this.#folders.add(path)
    else if (event.kind === 'unlinked') this.#files.delete(path)
    else if (event.kind === 'created') {
      if (!this.#files.has(path)) this.#files.set(path, new File())
    } else if (event.kind === 'synced') this.#sync(path)
    else {
      const file = this.#files.get(path)
      // Nothing here knows what becomes of the file then.
      if (file === undefined || event.kind === 'other')
        throw new Error(`${path}: ${event.kind} by ${'call' in event ? event.call : 'a call'}`)
      file.pending.push(event)
    }
  }

  #sync(path: string): void {
    const file = this.#files.get(path)
    if (file !== undefined) {
      file.sync()
      return
    }
    for (const folder of this.#folders)
      if (dirname(folder) === path) this.#syncedFolders.add(folder)
    for (const name of this.#entries.keys())
      if (dirname(name) === path && !this.#files.has(name)) this.#entries.delete(name)
    for (const [name, one] of this.#files) if (dirname(name) === path) this.#entries.set(name, one)
  }

  /** Writes the files of one folder as the disk might have them, into an empty one. */
  rebuild(folder: string, into: string, fate: Fate, random: () => number): void {
    rmSync(into, { recursive: true, force: true })
    mkdirSync(into)
    if (!this.#isReached(folder, fate)) return
    for (const [name, file] of this.#found(fate, random))
      if (dirname(name) === folder)
        writeFileSync(join(into, basename(name)), file.content(fate, random))
  }

  /** Whether all folders on the way to it are there. */
  #isReached(folder: string, fate: Fate): boolean {
    const known = fate === 'all kept' ? this.#folders : this.#syncedFolders
    const parent = dirname(folder)
    return !this.#folders.has(folder) || (known.has(folder) && this.#isReached(parent, fate))
  }

  #found(fate: Fate, random: () => number): Map<string, File> {
    if (fate === 'all kept') return this.#files
    if (fate === 'nothing kept') return this.#entries
    const found = new Map(this.#entries)
    for (const [name, file] of this.#files) if (random() < 0.5) found.set(name, file)
    for (const name of this.#entries.keys())
      if (!this.#files.has(name) && random() < 0.5) found.delete(name)
    return found
  }
}
