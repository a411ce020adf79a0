/**
 * Connections to PostgreSQL, and the calls that wait for them.
 *
 * - A connection is opened when a call finds none free, up to a maximum, and then kept.
 * - A call waits for a busy connection only for a while, and then is refused, with nothing done.
 * - When PostgreSQL goes away, all who wait are refused a little later, and whoever comes then at
 *   once: so a post that has waited for an earlier one already hears in time, and no queue builds
 *   up. One connection is tried again and again meanwhile, so that it comes back by itself.
 * - A connection that gives no answer in time is thrown away, and the idle ones with it: whatever
 *   silenced the one silenced the others.
 */
import { type Deferred, deferred, systemClock } from '../clock.ts'
import { type Problem, problem } from '../errors.ts'
import { PostgresConnection } from './postgres-connection.ts'
import { ConnectionLost, isUnlucky, problemOf } from './postgres-failures.ts'

export interface PoolOptions {
  url: string
  connectionsMax: number
  /** Calls that may wait for a connection; past it `overloaded`. */
  queueMax: number
  /** The longest that a call may take, even if one that was begun before must end first. */
  timeoutMs: number
  /** Done with each new connection before its first use; if it rejects there is none. */
  greet?: ((connection: PostgresConnection) => Promise<void>) | undefined
}

/**
 * Shares of `timeoutMs`. PostgreSQL gives up a lock so early that whoever waited for the same one
 * behind another call is still answered in time; and a statement before we do, for then it is known
 * that nothing was done.
 */
const SHARES = { away: 0.25, lock: 0.4, statement: 0.7, answer: 0.75, busy: 0.75 }

/** How often a statement is begun that PostgreSQL has undone for the sake of another. */
const ATTEMPTS_MAX = 3
/** Pause between attempts to connect; a chance part keeps nodes from coming all at once. */
const REOPEN_MS = { min: 100, spread: 200 }

interface Waiting {
  resolve: (connection: PostgresConnection) => void
  reject: (error: Problem) => void
  timer: ReturnType<typeof setTimeout>
}

/** Time-outs of connections, for a whole of `timeoutMs`. */
function limitsWithin(timeoutMs: number) {
  return {
    openMs: timeoutMs,
    lockMs: Math.ceil(timeoutMs * SHARES.lock),
    statementMs: Math.ceil(timeoutMs * SHARES.statement),
  }
}

export class PostgresPool {
  readonly #options: PoolOptions
  readonly #idle: PostgresConnection[] = []
  readonly #waiting = new Set<Waiting>()
  /** Connections that are idle, at work or being opened. */
  #size = 0
  #opening = 0
  #atWork = 0
  /** Set while no connection can be had; with `isOver` nobody waits for it any more. */
  #away: { because: unknown; isOver: boolean; timer: ReturnType<typeof setTimeout> } | undefined
  #reopening: ReturnType<typeof setTimeout> | undefined
  #closed: Deferred<void> | undefined

  constructor(options: PoolOptions) {
    this.#options = options
  }

  /** Rows of a statement that changes nothing, within at most `timeoutMs`. */
  read<Row>(statement: string, values: unknown[] = [], withinMs?: number): Promise<Row[]> {
    return this.#run<Row>(statement, values, false, withinMs)
  }

  /** Of one that does: rejects with `outcome_unknown` if it may have. */
  change<Row>(statement: string, values: unknown[]): Promise<Row[]> {
    return this.#run<Row>(statement, values, true)
  }

  async #run<Row>(
    statement: string,
    values: unknown[],
    changes: boolean,
    withinMs = this.#options.timeoutMs,
  ): Promise<Row[]> {
    const { timeoutMs } = this.#options
    const endMs = systemClock.monotonicMs() + withinMs
    const connection = await this.#take()
    const fullMs = systemClock.monotonicMs() + timeoutMs * SHARES.answer
    const untilMs = Math.min(fullMs, endMs)
    try {
      for (let attempt = 1; ; attempt++)
        try {
          return await connection.run<Row>(statement, values, untilMs - systemClock.monotonicMs())
        } catch (error) {
          const isLate = systemClock.monotonicMs() >= untilMs
          if (isUnlucky(error) && attempt < ATTEMPTS_MAX && !isLate) continue
          // Who waited long for a connection has less time left, which then proves nothing.
          const isSilence = error instanceof ConnectionLost && error.isSilence
          if (isSilence && untilMs === fullMs) this.#dropIdle(error)
          throw problemOf(error, changes)
        }
    } finally {
      this.#atWork -= 1
      if (connection.isLost) this.#forget()
      else this.#offer(connection)
      this.#leaveIfLast()
    }
  }

  /** A connection, from now on at work: a free one at once, else after a while; or a refusal. */
  #take(): PostgresConnection | Promise<PostgresConnection> {
    if (this.#closed !== undefined) throw problem('restarting', { retryAfterS: 1 })
    const connection = this.#idle.pop()
    if (connection !== undefined) {
      this.#atWork += 1
      return connection
    }
    const { timeoutMs, queueMax } = this.#options
    if (this.#waiting.size >= queueMax) throw problem('overloaded', { retryAfterS: 1 })
    if (this.#away?.isOver) throw problemOf(this.#away.because, false)
    const { promise, resolve, reject } = deferred<PostgresConnection>()
    const expire = () => this.#refuse(waiting, problem('overloaded', { retryAfterS: 1 }))
    const waiting = { resolve, reject, timer: setTimeout(expire, timeoutMs * SHARES.busy) }
    this.#waiting.add(waiting)
    this.#grow()
    if (this.#size === this.#opening) this.#beAway(new ConnectionLost('no connection in time'))
    return promise
  }

  #refuse(waiting: Waiting, because: Problem): void {
    this.#waiting.delete(waiting)
    clearTimeout(waiting.timer)
    waiting.reject(because)
    this.#leaveIfLast()
  }

  /** Opens one more connection if there is none, or if more calls wait than are being opened. */
  #grow(): void {
    if (this.#reopening !== undefined || this.#closed !== undefined) return
    const isWanted = this.#size === 0 || this.#waiting.size > this.#opening
    if (isWanted && this.#size < this.#options.connectionsMax) void this.#open()
  }

  async #open(): Promise<void> {
    const { url, timeoutMs, greet } = this.#options
    this.#size += 1
    this.#opening += 1
    try {
      const connection = await PostgresConnection.open({ url, ...limitsWithin(timeoutMs) })
      await greet?.(connection)
      connection.onLost = () => this.#endIdle(connection)
      this.#opening -= 1
      this.#offer(connection)
    } catch (error) {
      this.#opening -= 1
      this.#size -= 1
      // Those that are open may still serve.
      if (this.#size === this.#opening) this.#beAway(error)
      this.#reopen()
    }
    this.#leaveIfLast()
  }

  /** No connection is open. Until one is, calls wait for a moment, and then no more. */
  #beAway(because: unknown): void {
    if (this.#away !== undefined) {
      this.#away.because = because
      return
    }
    const giveUp = () => {
      away.isOver = true
      for (const waiting of this.#waiting) this.#refuse(waiting, problemOf(away.because, false))
    }
    const timer = setTimeout(giveUp, this.#options.timeoutMs * SHARES.away)
    const away = { because, isOver: false, timer }
    this.#away = away
  }

  #beBack(): void {
    clearTimeout(this.#away?.timer)
    this.#away = undefined
  }

  /** Tries again after a pause. */
  #reopen(): void {
    this.#reopening ??= setTimeout(
      () => {
        this.#reopening = undefined
        this.#grow()
      },
      REOPEN_MS.min + Math.random() * REOPEN_MS.spread,
    )
  }

  /** One that has just answered is free: PostgreSQL is there. */
  #offer(connection: PostgresConnection): void {
    this.#beBack()
    const [next] = this.#waiting
    if (next === undefined) {
      this.#idle.push(connection)
    } else {
      this.#waiting.delete(next)
      clearTimeout(next.timer)
      this.#atWork += 1
      next.resolve(connection)
    }
  }

  /** One that was silent shows that PostgreSQL is away, and the idle ones are of no use. */
  #dropIdle(because: ConnectionLost): void {
    this.#beAway(because)
    this.#size -= this.#idle.length
    for (const connection of this.#idle.splice(0)) connection.discard()
  }

  #endIdle(connection: PostgresConnection): void {
    const index = this.#idle.indexOf(connection)
    if (index === -1) return
    this.#idle.splice(index, 1)
    this.#forget()
  }

  /** A connection is gone: another takes its place, if one is needed. */
  #forget(): void {
    this.#size -= 1
    this.#grow()
  }

  #leaveIfLast(): void {
    if (this.#atWork + this.#opening + this.#waiting.size === 0) this.#closed?.resolve()
  }

  /** Resolves when every call has been answered and PostgreSQL was told good-bye. */
  async close(): Promise<void> {
    this.#closed ??= deferred()
    this.#leaveIfLast()
    await this.#closed.promise
    clearTimeout(this.#reopening)
    clearTimeout(this.#away?.timer)
    await Promise.all(this.#idle.splice(0).map((connection) => connection.close()))
  }
}
