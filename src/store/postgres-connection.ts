/**
 * One connection to PostgreSQL, for one statement at a time. The driver speaks the protocol; when
 * to wait no longer and when to connect again is decided here and in the pool, for the driver may
 * leave a query pending for ever when its connection ends at a bad moment. So each connection has a
 * driver of its own with a single socket: whatever goes wrong, both are thrown away.
 */
import { connect, type Socket } from 'node:net'
import postgres from 'postgres'
import { withDeadline } from '../clock.ts'
import { ConnectionLost, isRefusal, SILENCE } from './postgres-failures.ts'

export interface ConnectionOptions {
  /** `postgres://user:password@host:port/database?sslmode=…` */
  url: string
  /** The longest that connecting, and then the first answer, may take. */
  openMs: number
  /** Time-outs that PostgreSQL keeps itself, so that it gives up before we do. */
  lockMs: number
  statementMs: number
  /** What PostgreSQL lists the connection as; without it, as a server's. */
  applicationName?: string
}

/** How the connections of servers are listed. */
export const SERVER_NAME = 'parley'
const DEFAULT_PORT = 5432
const CLOSE_MS = 500
/** For 64-bit integers: ours are seqs and times, far below 2^53. */
const BIGINT = { to: 20, from: [20], parse: Number, serialize: String }

export class PostgresConnection {
  readonly #options: ConnectionOptions
  readonly #sql: postgres.Sql
  #socket: Socket | undefined
  #isLost = false
  /** Called once when the connection has ended, unless we ended it. */
  onLost: () => void = () => {}

  /** Rejects with `ConnectionLost`, whose code tells if PostgreSQL would not have us. */
  static async open(options: ConnectionOptions): Promise<PostgresConnection> {
    const connection = new PostgresConnection(options)
    const [row] = await connection
      .run<{ sync: string }>("SELECT current_setting('synchronous_commit') AS sync", [])
      .catch((error) => {
        connection.discard()
        throw error
      })
    // The address, or a pooler in between, may have overruled what we ask for.
    if (row?.sync === 'on') return connection
    connection.discard()
    throw new ConnectionLost(`PostgreSQL commits with synchronous_commit = ${row?.sync}, not on`)
  }

  private constructor(options: ConnectionOptions) {
    this.#options = options
    this.#sql = postgres(options.url, {
      max: 1,
      socket: () => this.#connect(),
      // Deadlines are ours; connections stay until they break.
      ...{ connect_timeout: 0, idle_timeout: 0, max_lifetime: 0 },
      fetch_types: false,
      types: { bigint: BIGINT },
      onnotice: () => {},
      onclose: () => this.#end(),
      connection: {
        application_name: options.applicationName ?? SERVER_NAME,
        synchronous_commit: 'on',
        // Each statement of `append_events` must see what was committed before it began.
        default_transaction_isolation: 'read committed',
        lock_timeout: options.lockMs,
        statement_timeout: options.statementMs,
      },
    } as postgres.Options<{ bigint: postgres.PostgresType<number> }>) as unknown as postgres.Sql
  }

  get isLost(): boolean {
    return this.#isLost
  }

  /**
   * One statement, prepared at its first use. Rejects with PostgreSQL's refusal, after which the
   * connection goes on, or with `ConnectionLost`, and then it is over.
   */
  run<Row>(statement: string, values: unknown[], timeoutMs = this.#options.openMs): Promise<Row[]> {
    const query = this.#sql.unsafe(statement, values as never[], { prepare: true })
    return this.#answer(query as unknown as Promise<Row[]>, timeoutMs)
  }

  /** As `run`, but each row is a list of its columns' values. */
  runForValues(statement: string, values: unknown[], timeoutMs: number): Promise<unknown[][]> {
    const query = this.#sql.unsafe(statement, values as never[], { prepare: true }).values()
    return this.#answer(query as unknown as Promise<unknown[][]>, timeoutMs)
  }

  /** Several statements, in one transaction unless they say otherwise; gives no results. */
  async script(statements: string, timeoutMs: number): Promise<void> {
    await this.#answer(this.#sql.unsafe(statements).simple(), timeoutMs)
  }

  async #answer<T>(answer: Promise<T>, timeoutMs: number): Promise<T> {
    try {
      return await withDeadline(answer, timeoutMs, () => {
        return new ConnectionLost(`no answer within ${Math.ceil(timeoutMs)} ms`, SILENCE)
      })
    } catch (error) {
      if (isRefusal(error)) throw error
      this.discard()
      if (error instanceof ConnectionLost) throw error
      const { message, code } = error as Partial<postgres.PostgresError>
      throw new ConnectionLost(message ?? 'the connection failed', code)
    }
  }

  /** Ends it at once, whatever is under way. */
  discard(): void {
    this.#isLost = true
    this.#socket?.destroy()
  }

  /** Says good-bye. Nothing may be under way. */
  async close(): Promise<void> {
    this.#isLost = true
    const closed = this.#sql.end().catch(() => {})
    await withDeadline(closed, CLOSE_MS, () => new Error()).catch(() => {})
    this.#socket?.destroy()
  }

  #end(): void {
    if (this.#isLost) return
    this.#isLost = true
    this.onLost()
  }

  /** The one socket. The driver, which would like to connect again and again, gets no other. */
  #connect(): Promise<Socket> {
    if (this.#isLost || this.#socket !== undefined) throw new ConnectionLost('it has ended')
    const { hostname, port } = new URL(this.#options.url)
    const host = hostname.replace(/^\[(.*)\]$/, '$1')
    const socket = connect({ host, port: Number(port || DEFAULT_PORT), noDelay: true })
    this.#socket = socket
    return new Promise((resolve, reject) => {
      // The driver checks a certificate against this name.
      socket.once('connect', () => resolve(Object.assign(socket, { host })))
      socket.on('error', reject)
      socket.once('close', () => reject(new ConnectionLost('it was closed')))
    })
  }
}
