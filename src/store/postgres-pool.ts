/**
 * Connections to PostgreSQL, and the calls that wait for them.
 *
 * - A connection is opened when a call finds none free, up to a maximum, and then kept.
 * - A call waits for a connection only for a while, and then is refused, with nothing done.
 * - While PostgreSQL is away, that while counts from its beginning, not from each call: so whoever
 *   has waited for an earlier answer already is refused at once, and no queue builds up. One
 *   connection is tried again and again meanwhile, so that it comes back by itself.
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
}

/**
 * Shares of `timeoutMs`. PostgreSQL gives up a lock so early that whoever waited for the same one
 * behind another call is still answered in time; and a statement before we do, for then it is known
 * that nothing was done.
 */
const SHARES = { connection: 0.25, lock: 0.4, statement: 0.7, answer: 0.75 }

/** How often a statement is begun that PostgreSQL has undone for the sake of another. */
const ATTEMPTS_MAX = 3
/** Pause between attempts to connect; a chance part keeps nodes from coming all at once. */
const REOPEN_MS = { min: 100, spread: 200 }

interface Waiting {
  resolve: (connection: PostgresConnection) => void
  reject: (error: unknown) => void
  timer: ReturnType<typeof setTimeout>
}

/** Time-outs of connections, for a whole of `timeoutMs`. */
export function limitsWithin(timeoutMs: number) {
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
  /** Since when no connection can be had. */
  #awaySinceMs: number | undefined
  #awayBecause: unknown
  #reopening: ReturnType<typeof setTimeout> | undefined
  #closed: Deferred<void> | undefined

  constructor(options: PoolOptions) {
    this.#options = options
  }

  /** Rows of a statement that changes nothing. */
  read<Row>(statement: string, values: unknown[] = []): Promise<Row[]> {
    return this.#run<Row>(statement, values, false)
  }

  /** Of one that does: rejects with `outcome_unknown` if it may have. */
  change<Row>(statement: string, values: unknown[]): Promise<Row[]> {
    return this.#run<Row>(statement, values, true)
  }

  async #run<Row>(statement: string, values: unknown[], changes: boolean): Promise<Row[]> {
    const { timeoutMs } = this.#options
    const connection = await this.#take()
    this.#atWork += 1
    const untilMs = systemClock.monotonicMs() + timeoutMs * SHARES.answer
    try {
      for (let attempt = 1; ; attempt++)
        try {
          return await connection.run<Row>(statement, values, untilMs - systemClock.monotonicMs())
        } catch (error) {
          const isLate = systemClock.monotonicMs() >= untilMs
          if (!isUnlucky(error) || attempt === ATTEMPTS_MAX || isLate)
            throw problemOf(error, changes)
        }
    } finally {
      this.#atWork -= 1
      if (connection.isLost) this.#lose(systemClock.monotonicMs() >= untilMs)
      else this.#offer(connection)
      this.#leaveIfLast()
    }
  }

  /** A connection: one that is free one at once, else after a while, or a refusal. */
  #take(): PostgresConnection | Promise<PostgresConnection> {
    const connection = this.#idle.pop()
    if (connection !== undefined) return connection
    if (this.#closed !== undefined) throw problem('restarting', { retryAfterS: 1 })
    const { timeoutMs, queueMax } = this.#options
    if (this.#waiting.size >= queueMax) throw problem('overloaded', { retryAfterS: 1 })
    const awayMs =
      this.#awaySinceMs === undefined ? 0 : systemClock.monotonicMs() - this.#awaySinceMs
    const patienceMs = timeoutMs * SHARES.connection - awayMs
    if (patienceMs <= 0) throw this.#refusal()
    const { promise, resolve, reject } = deferred<PostgresConnection>()
    const expire = () => {
      this.#waiting.delete(waiting)
      reject(this.#refusal())
      this.#leaveIfLast()
    }
    const waiting = { resolve, reject, timer: setTimeout(expire, patienceMs) }
    this.#waiting.add(waiting)
    this.#grow()
    return promise
  }

  #refusal(): Problem {
    if (this.#awaySinceMs === undefined) return problem('overloaded', { retryAfterS: 1 })
    return problemOf(this.#awayBecause, false)
  }

  /** Opens one more connection if more calls wait than are being opened. */
  #grow(): void {
    const isPausing = this.#awaySinceMs !== undefined && this.#reopening !== undefined
    const isWanted = this.#waiting.size > this.#opening && this.#size < this.#options.connectionsMax
    if (isWanted && !isPausing) void this.#open()
  }

  async #open(): Promise<void> {
    const { url, timeoutMs } = this.#options
    this.#size += 1
    this.#opening += 1
    try {
      const connection = await PostgresConnection.open({ url, ...limitsWithin(timeoutMs) })
      connection.onLost = () => this.#endIdle(connection)
      this.#opening -= 1
      this.#awaySinceMs = undefined
      this.#offer(connection)
    } catch (error) {
      this.#opening -= 1
      this.#size -= 1
      this.#awayBecause = error
      // Those that are open may still serve.
      if (this.#size === this.#opening) this.#awaySinceMs ??= systemClock.monotonicMs()
      this.#reopen()
    }
    this.#leaveIfLast()
  }

  /** After a pause, opens a connection if there is none, or not enough. */
  #reopen(): void {
    if (this.#reopening !== undefined || this.#closed !== undefined) return
    const reopen = () => {
      this.#reopening = undefined
      if (this.#size === 0) void this.#open()
      else this.#grow()
    }
    this.#reopening = setTimeout(reopen, REOPEN_MS.min + Math.random() * REOPEN_MS.spread)
  }

  #offer(connection: PostgresConnection): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#idle.push(connection)
    } else {
      this.#waiting.delete(next)
      clearTimeout(next.timer)
      next.resolve(connection)
    }
  }

  /** One is gone that was at work. */
  #lose(isSilent: boolean): void {
    this.#size -= 1
    if (isSilent) {
      this.#awaySinceMs ??= systemClock.monotonicMs()
      this.#awayBecause = new ConnectionLost('PostgreSQL has stopped answering')
      this.#size -= this.#idle.length
      for (const connection of this.#idle.splice(0)) connection.discard()
    }
    this.#replace()
  }

  #endIdle(connection: PostgresConnection): void {
    const index = this.#idle.indexOf(connection)
    if (index === -1) return
    this.#idle.splice(index, 1)
    this.#size -= 1
    this.#replace()
  }

  #replace(): void {
    this.#grow()
    if (this.#size === 0) this.#reopen()
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
    await Promise.all(this.#idle.splice(0).map((connection) => connection.close()))
  }
}
