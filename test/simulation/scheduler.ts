/**
 * Time that passes from one task to the next, and nothing else that happens. While a run is under
 * way the scheduler stands in for the process's timers, so that the real code runs on it as it is;
 * whoever asks the machine for the time, or for chance, gets an error or the seed's.
 *
 * 1. The task that is due first is run, and with it all promises that it settles.
 * 2. What it leaves for later belongs to the same life: a node from its start to its end. When that
 *    ends, nothing of it runs any more, as when a process is killed.
 */
import { drainMicrotasks } from 'bun:jsc'
import { createRandom } from '../client/sim/clock.ts'

/** A node from its start to its end. */
export interface Life {
  ended: boolean
}

export interface Task {
  at: number
  id: number
  work: () => void
  /** Null for what goes on whatever becomes of the nodes. */
  life: Life | null
}

/** Far more than any run needs: one that gets there would go on for ever. */
const TASKS_MAX = 2_000_000

export class Scheduler {
  readonly random: () => number
  /** What a task threw, or a promise that nobody looked at: either would end the process. */
  onUncaught: (error: unknown) => void = () => {}
  now = 0
  /** The life that the code which runs now belongs to. */
  life: Life | null = null
  #heap: Task[] = []
  #lastId = 0
  #ran = 0

  constructor(seed: number) {
    this.random = createRandom(seed)
  }

  /** From 0 to just below `max`. */
  below(max: number): number {
    return this.random() * max
  }

  chance(part: number): boolean {
    return part > 0 && this.random() < part
  }

  after(ms: number, work: () => void, life: Life | null = this.life): Task {
    this.#lastId += 1
    const task = { at: this.now + Math.max(0, ms), id: this.#lastId, work, life }
    this.#push(task)
    return task
  }

  cancel(task: Task): void {
    task.work = nothing
  }

  /** Runs `work` now, as a part of that life, with all the promises that it settles. */
  within(life: Life | null, work: () => void): void {
    if (life?.ended) return
    const before = this.life
    this.life = life
    try {
      work()
      drainMicrotasks()
    } catch (error) {
      this.onUncaught(error)
    } finally {
      this.life = before
    }
  }

  pass(ms: number): void {
    const until = this.now + ms
    for (let task = this.#heap[0]; task !== undefined && task.at <= until; task = this.#heap[0]) {
      this.#pop()
      this.now = Math.max(this.now, task.at)
      if (task.life?.ended || task.work === nothing) continue
      this.#ran += 1
      if (this.#ran > TASKS_MAX) throw new Error('the simulation does not come to rest')
      this.within(task.life, task.work)
    }
    this.now = Math.max(this.now, until)
  }

  #push(task: Task): void {
    const heap = this.#heap
    let place = heap.length
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (!isBefore(task, heap[parent]!)) break
      heap[place] = heap[parent]!
      place = parent
    }
    heap[place] = task
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let place = 0
    for (;;) {
      let child = 2 * place + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1
      if (!isBefore(heap[child]!, last)) break
      heap[place] = heap[child]!
      place = child
    }
    heap[place] = last
  }
}

function nothing(): void {}

function isBefore(one: Task, other: Task): boolean {
  return one.at < other.at || (one.at === other.at && one.id < other.id)
}

/** What the real code knows of a timer. */
class Timer {
  readonly #scheduler: Scheduler
  readonly #everyMs: number | undefined
  readonly #work: () => void
  #task: Task

  constructor(scheduler: Scheduler, ms: number, work: () => void, repeats: boolean) {
    this.#scheduler = scheduler
    this.#everyMs = repeats ? Math.max(1, ms) : undefined
    this.#work = work
    this.#task = scheduler.after(ms, () => this.#ring())
  }

  #ring(): void {
    if (this.#everyMs !== undefined)
      this.#task = this.#scheduler.after(this.#everyMs, () => this.#ring())
    this.#work()
  }

  clear(): void {
    this.#scheduler.cancel(this.#task)
  }

  unref(): this {
    return this
  }
}

function forbidden(): never {
  throw new Error('The simulation has no time but its own: take it from the clock.')
}

/** Puts the scheduler in the place of the process's timers; what it returns takes it away. */
export function takeOver(scheduler: Scheduler): () => void {
  const { setTimeout, setInterval, setImmediate } = globalThis
  const { clearTimeout, clearInterval, clearImmediate } = globalThis
  const before = { setTimeout, setInterval, setImmediate }
  const clears = { clearTimeout, clearInterval, clearImmediate }
  const { random } = Math
  const dateNow = Date.now
  const performanceNow = performance.now
  const timer =
    (repeats: boolean) =>
    (work: () => void, ms = 0) =>
      new Timer(scheduler, ms, work, repeats)
  const clear = (given?: Timer) => given?.clear()
  Object.assign(globalThis, {
    ...{ setTimeout: timer(false), setInterval: timer(true) },
    setImmediate: (work: () => void) => timer(false)(work),
    ...{ clearTimeout: clear, clearInterval: clear, clearImmediate: clear },
  })
  Math.random = scheduler.random
  Date.now = forbidden
  performance.now = forbidden
  return () => {
    Object.assign(globalThis, before, clears)
    Math.random = random
    Date.now = dateNow
    performance.now = performanceNow
  }
}
