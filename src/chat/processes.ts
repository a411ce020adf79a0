/**
 * Child processes for jobs that take a core for milliseconds. They have a low priority: they
 * run while nobody else wants the core, and give it back as soon as a message comes in.
 *
 * 1. A job waits in line until a child has room for it. Children are started when there is work for
 *    them, up to the limit, and kept.
 * 2. Each child has the job it works on and the next one at hand, so that it never waits for a
 *    server that is busy with chat.
 * 3. A child that dies fails the job it worked on. What it had at hand goes back to the head of
 *    the line, and another child is started for it: at once, or after a pause if it died young.
 *    One that died before it had done anything, with no other alive, would leave the line waiting
 *    for what may never come: whoever stands there is told to come back.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants, setPriority } from 'node:os'
import { type Deferred, deferred, withDeadline } from '../clock.ts'
import { problem } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Answer } from './job-lines.ts'

/** Jobs a child has: the one it works on, and the next. */
const AT_HAND_MAX = 2
/** What a job takes, until one has been measured. */
const JOB_MS_GUESS = 20
/** How much one measurement moves the average. */
const SMOOTHING = 1 / 8
/** A child that lives for less has died young, and none is started for as long after its death. */
export const RESTART_MS = 1_000
/** A child ends after the jobs it has; one that hangs is killed then. */
const END_MS_MAX = 2_000

export interface ProcessesOptions {
  /** Arguments with which the runtime runs a script that calls `answerJobs`. */
  script: readonly string[]
  /** What the children do, in a word or two that `ps` shows. */
  purpose: string
  max: number
  log: Log
  /** Another way to lower the priority of a process. Throws if that is not allowed. */
  lowerPriority?: (pid: number) => void
}

interface Waiting<Job, Result> extends Deferred<Result> {
  job: Job
}

interface Child<Job, Result> {
  handle: ChildProcess
  startedAt: number
  /** The first one is being worked on. */
  atHand: Waiting<Job, Result>[]
  hasAnswered: boolean
  ended: Deferred<void>
}

export class Processes<Job, Result> {
  readonly #options: ProcessesOptions
  readonly #line: Waiting<Job, Result>[] = []
  readonly #children = new Set<Child<Job, Result>>()
  #unfinished = 0
  #jobMs: number | undefined
  /** Set while no child may be started. */
  #pause: ReturnType<typeof setTimeout> | undefined
  #priorityRefused = false
  #closing = false

  /** Starts no child yet. */
  constructor(options: ProcessesOptions) {
    this.#options = options
  }

  /** Jobs that nobody works on yet, wherever they wait. The caller keeps them within a limit. */
  get waiting(): number {
    return Math.max(0, this.#unfinished - this.#options.max)
  }

  /** Between two jobs finished while all children work, in milliseconds, on average. */
  get paceMs(): number {
    return (this.#jobMs ?? JOB_MS_GUESS) / this.#options.max
  }

  /**
   * Rejects with an error if the job fails or its child dies, with `overloaded` if no child can be
   * started, and with `restarting` once closed.
   */
  run(job: Job): Promise<Result> {
    if (this.#closing) return Promise.reject(problem('restarting', { retryAfterS: 1 }))
    const waiting = { ...deferred<Result>(), job }
    this.#line.push(waiting)
    this.#unfinished += 1
    this.#assign()
    return waiting.promise
  }

  /** Refuses what waits in line, lets the children finish what they have, and ends them. */
  async close(): Promise<void> {
    this.#closing = true
    clearTimeout(this.#pause)
    this.#refuse('restarting', this.#line.splice(0))
    const ends = [...this.#children].map(({ handle, ended }) => {
      handle.stdin?.end()
      const late = () => new Error('A child process does not end.')
      return withDeadline(ended.promise, END_MS_MAX, late).catch(() => {
        handle.kill('SIGKILL')
        return ended.promise
      })
    })
    await Promise.all(ends)
  }

  #refuse(code: 'restarting' | 'overloaded', jobs: readonly Waiting<Job, Result>[]): void {
    this.#unfinished -= jobs.length
    for (const { reject } of jobs) reject(problem(code, { retryAfterS: 1 }))
  }

  #assign(): void {
    while (this.#line.length > 0) {
      const child = this.#leastBusy()
      if (child === undefined) return
      const next = this.#line.shift()!
      child.atHand.push(next)
      child.handle.stdin?.write(`${JSON.stringify(next.job)}\n`)
    }
  }

  /** One without work, a new one, or one with a single job; undefined if all have enough. */
  #leastBusy(): Child<Job, Result> | undefined {
    let found: Child<Job, Result> | undefined
    for (const child of this.#children) {
      if (child.atHand.length === 0) return child
      if (child.atHand.length < AT_HAND_MAX) found ??= child
    }
    const mayStart = this.#pause === undefined && this.#children.size < this.#options.max
    return mayStart ? this.#start() : found
  }

  #start(): Child<Job, Result> {
    const handle = launch(this.#options.script, this.#options.purpose)
    const child: Child<Job, Result> = {
      ...{ handle, startedAt: performance.now(), atHand: [] },
      ...{ hasAnswered: false, ended: deferred<void>() },
    }
    this.#children.add(child)
    if (handle.pid !== undefined) this.#lowerPriority(handle.pid)
    this.#read(child)
    // A write that comes too late for a child that has died: its end is told by the events below.
    handle.stdin?.on('error', () => {})
    handle.on('error', (error) => this.#bury(child, error.message))
    // Not `exit`: by now all its answers have been read.
    handle.on('close', (code, signal) => this.#bury(child, signal ?? `exit code ${code}`))
    return child
  }

  /**
   * Set from here, right after the start, when the child has no other threads yet: Linux keeps a
   * priority for each thread, and those that are started later inherit it.
   */
  #lowerPriority(pid: number): void {
    const { log, lowerPriority = lower } = this.#options
    try {
      lowerPriority(pid)
    } catch (error) {
      // A sandbox may forbid it. The jobs then compete with chat, which is slower but not wrong.
      if (!this.#priorityRefused)
        log.warn({ err: error }, 'child processes run at normal priority and may slow down chat')
      this.#priorityRefused = true
    }
  }

  #read(child: Child<Job, Result>): void {
    let rest = ''
    child.handle.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()!
      for (const line of lines) this.#settle(child, JSON.parse(line) as Answer<Result>)
    })
  }

  #settle(child: Child<Job, Result>, answer: Answer<Result>): void {
    const { resolve, reject } = child.atHand.shift()!
    child.hasAnswered = true
    this.#unfinished -= 1
    this.#jobMs ??= answer.tookMs
    this.#jobMs += (answer.tookMs - this.#jobMs) * SMOOTHING
    this.#assign()
    if ('error' in answer) reject(new Error(answer.error))
    else resolve(answer.result)
  }

  #bury(child: Child<Job, Result>, why: string): void {
    if (!this.#children.delete(child)) return
    child.ended.resolve()
    const [lost, ...next] = child.atHand.splice(0)
    if (lost !== undefined) {
      this.#unfinished -= 1
      lost.reject(new Error(`The process that worked on this has died: ${why}. Try again.`))
    }
    if (this.#closing) return this.#refuse('restarting', next)
    this.#line.unshift(...next)
    if (!child.hasAnswered && this.#children.size === 0)
      this.#refuse('overloaded', this.#line.splice(0))
    if (performance.now() - child.startedAt < RESTART_MS) this.#pauseStarts()
    this.#assign()
  }

  #pauseStarts(): void {
    this.#pause ??= setTimeout(() => {
      this.#pause = undefined
      this.#assign()
    }, RESTART_MS)
  }
}

/**
 * The one place that knows how a script of ours becomes a process: the runtime, and the script's
 * path. In a single-file executable `execPath` is that file, which runs its own `main`: there, this
 * is the place to tell it otherwise, and the script must be packed into it.
 *
 * Not `detached`: where Linux groups processes by session, priorities count within a group only.
 * Standard error is the server's, so that a child that cannot start says why in the log.
 */
export function launch(script: readonly string[], purpose: string): ChildProcess {
  const stdio: ['pipe', 'pipe', 'inherit'] = ['pipe', 'pipe', 'inherit']
  return spawn(process.execPath, [...script, purpose], { stdio })
}

/** Nice 10: a tenth of a core that all else wants, too. At 19 it would be a hundredth. */
export function lower(pid: number): void {
  setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL)
}
