/**
 * The order in which one WebSocket's operations take effect: the order sent. Frames come in
 * synchronously and wait in a bounded queue (asynchronous handlers of the runtime's run side by
 * side, and finish in any order). Posts take their place in line one after the other and are
 * answered as they commit, so a client may have many in flight; any other operation runs alone.
 */
import { parseObject } from './json.ts'

export interface Frame {
  id: number
  op: string
  /** The fields besides `id` and `op`. */
  rest: Record<string, unknown>
}

/** Takes its place in line at once, and calls `answered` once, then or later. Never throws. */
export type Post = (answered: () => void) => void

export interface FrameHandler {
  /**
   * A post in two steps. This one does what may have to wait, such as looking up a room; what it
   * returns takes effect. Neither throws nor rejects.
   */
  preparePost(frame: Frame): Post | Promise<Post>
  /** Any other operation; answered when it returns, or resolves. Never throws or rejects. */
  operate(frame: Frame): void | Promise<void>
  /** The frame is no operation, so it cannot even be replied to. */
  malformed(): void
  /** Nothing waits or is under way any more. */
  idle?(): void
}

export class FrameQueue {
  readonly #handler: FrameHandler
  readonly #max: number
  /** Oldest first. The first is replaced by what was read from it. */
  #frames: (string | Frame)[] = []
  /** Posts in line or being committed. */
  #posting = 0
  /** Nothing else may begin. */
  #blocked = false
  #pumping = false
  #stopped = false

  /** `max` bounds both the frames that wait and the posts in flight. */
  constructor(handler: FrameHandler, max: number) {
    this.#handler = handler
    this.#max = max
  }

  /** False, and nothing done, if the queue is full. */
  push(text: string): boolean {
    if (this.#frames.length >= this.#max) return false
    this.#frames.push(text)
    // Those that wait already are pumped when what they wait for has ended.
    if (this.#frames.length === 1) this.#pump()
    return true
  }

  /** What waits is forgotten; what has begun goes on. */
  stop(): void {
    this.#stopped = true
    this.#frames = []
  }

  #pump(): void {
    this.#pumping = true
    let taken = 0
    while (taken < this.#frames.length && !this.#blocked) {
      const frame = this.#read(taken)
      if (frame === undefined || !this.#mayBegin(frame)) break
      taken += 1
      if (frame.op === 'post') this.#post(frame)
      else this.#operate(frame)
    }
    this.#pumping = false
    if (this.#stopped) return
    this.#frames.splice(0, taken)
    if (this.#frames.length === 0 && this.#posting === 0 && !this.#blocked) this.#handler.idle?.()
  }

  #operate(frame: Frame): void {
    const work = this.#handler.operate(frame)
    if (work instanceof Promise) this.#runAlone(work)
  }

  #mayBegin({ op }: Frame): boolean {
    return op === 'post' ? this.#posting < this.#max : this.#posting === 0
  }

  #read(index: number): Frame | undefined {
    const waiting = this.#frames[index]!
    if (typeof waiting !== 'string') return waiting
    const frame = readFrame(waiting)
    if (frame === undefined) this.#handler.malformed()
    else this.#frames[index] = frame
    return frame
  }

  #post(frame: Frame): void {
    const prepared = this.#handler.preparePost(frame)
    if (prepared instanceof Promise) this.#runAlone(prepared.then((go) => this.#go(go)))
    else this.#go(prepared)
  }

  #go(post: Post): void {
    this.#posting += 1
    post(this.#answered)
  }

  readonly #answered = (): void => {
    this.#posting -= 1
    // A post that is refused is answered before the pump, which began it, has come to its end.
    if (!this.#pumping) this.#pump()
  }

  #runAlone(work: Promise<void>): void {
    this.#blocked = true
    void work.then(() => {
      this.#blocked = false
      this.#pump()
    })
  }
}

function readFrame(text: string): Frame | undefined {
  try {
    const { id, op, ...rest } = parseObject(text)
    if (!Number.isSafeInteger(id) || (id as number) < 0 || typeof op !== 'string') return undefined
    return { id: id as number, op, rest }
  } catch {
    return undefined
  }
}
