/**
 * The generator's own event loop: epoll, and timers by its timeout. It never returns to the
 * runtime's loop, so nothing of the runtime's (fetch, setTimeout, streams) works in this process;
 * promises do, for `run` lets all that can go on do so before it sleeps.
 */
import { ptr } from 'bun:ffi'
import { drainMicrotasks } from 'bun:jsc'
import { libc, wouldWait } from './libc.ts'

const EPOLLIN = 1
const EPOLLOUT = 4
const EPOLLERR = 8
const EPOLLHUP = 16
const EPOLL_CLOEXEC = 0o2000000
const EPOLL_CTL = { add: 1, del: 2, mod: 3 } as const

/** Few, so that a planned post never waits for more than these. */
const EVENTS_PER_TURN = 64
const IDLE_MS_MAX = 1_000
/**
 * So long after the last event the loop asks again instead of sleeping. Over loopback it is the
 * server that pays for waking a sleeping receiver, several microseconds a write, which no server
 * with a network between does; with this neither Parley nor a peer pays for it.
 */
const AWAKE_MS = 0.2
/** `struct epoll_event` in 32-bit words: packed on x86-64 only. */
const EVENT_WORDS = process.arch === 'x64' ? 3 : 4
const DATA_WORD = process.arch === 'x64' ? 1 : 2

export interface Watcher {
  readable(): void
  writable(): void
}

interface Timer {
  atMs: number
  callback: () => void
}

export class Loop {
  readonly #epoll = libc.epoll_create1(EPOLL_CLOEXEC)
  readonly #events = words(EVENTS_PER_TURN * EVENT_WORDS)
  readonly #eventsAt = ptr(this.#events)
  readonly #change = words(EVENT_WORDS)
  readonly #changeAt = ptr(this.#change)
  /** By file. */
  readonly #watchers: (Watcher | undefined)[] = []
  /** The next one last. */
  readonly #timers: Timer[] = []
  /** When there last was something. */
  #eventAtMs = Number.NEGATIVE_INFINITY
  #stopped = false

  watch(file: number, watcher: Watcher, writable: boolean): void {
    this.#watchers[file] = watcher
    this.#control(EPOLL_CTL.add, file, writable)
  }

  /** Whether to tell when the file can be written to, too. */
  rewatch(file: number, writable: boolean): void {
    this.#control(EPOLL_CTL.mod, file, writable)
  }

  unwatch(file: number): void {
    this.#watchers[file] = undefined
    this.#control(EPOLL_CTL.del, file, false)
  }

  #control(operation: number, file: number, writable: boolean): void {
    this.#change[0] = writable ? EPOLLIN | EPOLLOUT : EPOLLIN
    this.#change[DATA_WORD] = file
    if (libc.epoll_ctl(this.#epoll, operation, file, this.#changeAt) < 0)
      throw new Error(`epoll_ctl failed for file ${file}`)
  }

  /** Calls back at a time of `performance.now()`, or as soon after it as the loop gets there. */
  at(atMs: number, callback: () => void): void {
    let i = this.#timers.length
    while (i > 0 && this.#timers[i - 1]!.atMs <= atMs) i -= 1
    this.#timers.splice(i, 0, { atMs, callback })
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.at(performance.now() + ms, resolve))
  }

  /** Until `stop`. */
  run(): void {
    while (!this.#stopped) {
      // To the end of every chain: one that is left half-way would sleep as long as the loop does.
      drainMicrotasks()
      this.#turn()
    }
  }

  stop(): void {
    this.#stopped = true
  }

  #turn(): void {
    const isAwake = performance.now() - this.#eventAtMs < AWAKE_MS
    const timeoutMs = isAwake ? 0 : this.#timeoutMs()
    const count = libc.epoll_wait(this.#epoll, this.#eventsAt, EVENTS_PER_TURN, timeoutMs)
    if (count < 0 && !wouldWait()) throw new Error('epoll_wait failed')
    if (count > 0) this.#eventAtMs = performance.now()
    for (let i = 0; i < count; i++) {
      const at = i * EVENT_WORDS
      const bits = this.#events[at]!
      const watcher = this.#watchers[this.#events[at + DATA_WORD]!]
      if (watcher === undefined) continue
      if ((bits & (EPOLLOUT | EPOLLERR)) !== 0) watcher.writable()
      if ((bits & (EPOLLIN | EPOLLHUP)) !== 0) watcher.readable()
    }
    const timers = this.#timers
    for (let next = timers.at(-1); next && next.atMs <= performance.now(); next = timers.at(-1)) {
      timers.pop()
      next.callback()
    }
  }

  #timeoutMs(): number {
    const next = this.#timers.at(-1)
    if (next === undefined) return IDLE_MS_MAX
    return Math.max(0, Math.min(IDLE_MS_MAX, Math.ceil(next.atMs - performance.now())))
  }
}

/** Never moved, so that its address holds (see `block` in `tcp.ts`). */
function words(count: number): Int32Array {
  return new Int32Array(new ArrayBuffer(count * Int32Array.BYTES_PER_ELEMENT))
}
