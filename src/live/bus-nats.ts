/**
 * The bus of several nodes: NATS, as a doorbell. Each timeline has a subject, and so have sessions
 * that are over; a node subscribes to the timelines that are open on it. Its own listener is told
 * directly, so NATS is asked for no echo, and what it does for this node alone is nothing.
 *
 * While NATS is away nothing is kept for it: what cannot be sent now would only repeat, later, what
 * the other nodes have read from the store by then. The same holds when NATS is too slow, so what
 * waits to be sent has a limit. It is tried for again and again, for ever.
 */
import { connect, type Msg, type NatsConnection, type Subscription } from '@nats-io/transport-node'
import { withDeadline } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Id, TimelineId } from '../types.ts'
import type { Bus, BusListener, LiveEvent } from './bus.ts'
import { type NatsAddress, parseNatsUrl } from './nats-address.ts'
import {
  eventMessages,
  isToken,
  readEvents,
  readSessions,
  sessionMessages,
} from './nats-messages.ts'
import { Outflow } from './nats-outflow.ts'

/** From one try to reach NATS to the next: at least this, at most twice as long, by chance. */
const RETRY_MS = 250
/** The longest that one try takes. */
const CONNECT_MS_MAX = 5_000
/** NATS is asked whether it lives this often; after two questions without an answer it does not. */
const PING_MS = 2_000
const PINGS_UNANSWERED_MAX = 2
/** Whoever opens a timeline waits for NATS to know of it, but no longer than this. */
export const OPEN_MS_MAX = 250
/** What was published last goes out before the bus stops, if it can in this time. */
const STOP_MS_MAX = 500

export interface NatsBusOptions {
  /** As `NATS_URL`. */
  url: string
  /** Keeps clusters apart that share a NATS: the store's epoch. */
  cluster: string
  log: Log
  metrics: Metrics
}

/**
 * Begins to reach for NATS and returns at once, whether it is there or not. Throws an Error with a
 * sentence for people if the address is none.
 */
export function createNatsBus(options: NatsBusOptions): Bus {
  return new NatsBus(options)
}

class NatsBus implements Bus {
  readonly #options: NatsBusOptions
  readonly #address: NatsAddress
  readonly #timelinePrefix: string
  readonly #sessionSubject: string
  /** Timelines that this node wants, with their subscriptions, if NATS has been reached. */
  readonly #open = new Map<TimelineId, Subscription | undefined>()
  #listener: BusListener | undefined
  #connection: NatsConnection | undefined
  /** While NATS is reached. */
  #outflow: Outflow | undefined
  #isSaidAway = false
  #stopped = false
  /** Resolves once NATS knows of the timelines opened in this turn. */
  #settling: Promise<void> | undefined
  readonly #stop = Promise.withResolvers<void>()
  readonly #done: Promise<void>

  constructor(options: NatsBusOptions) {
    const { cluster, url } = options
    if (!isToken(cluster)) throw new Error(`${cluster} cannot be a part of a subject.`)
    this.#options = options
    this.#address = parseNatsUrl(url)
    this.#timelinePrefix = `parley.${cluster}.t.`
    this.#sessionSubject = `parley.${cluster}.s`
    this.#done = this.#run()
  }

  get connected(): boolean {
    return this.#outflow !== undefined
  }

  listen(listener: BusListener): void {
    this.#listener = listener
  }

  open(timeline: TimelineId): Promise<void> | undefined {
    if (this.#stopped || this.#open.has(timeline) || !isToken(timeline)) return undefined
    this.#open.set(timeline, this.#subscribe(timeline))
    if (!this.connected) return undefined
    this.#settling ??= this.#settle()
    return this.#settling
  }

  close(timeline: TimelineId): void {
    this.#open.get(timeline)?.unsubscribe()
    this.#open.delete(timeline)
  }

  publish(events: readonly LiveEvent[]): void {
    if (this.#stopped) return
    this.#listener?.events(events)
    for (const [timeline, text] of eventMessages(events))
      if (isToken(timeline)) this.#send(this.#timelinePrefix + timeline, text)
  }

  revoke(sessions: readonly Id[]): void {
    if (this.#stopped) return
    this.#listener?.revoked(sessions)
    for (const text of sessionMessages(sessions)) this.#send(this.#sessionSubject, text)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#listener = undefined
    if (this.connected) await this.#flushed(STOP_MS_MAX)
    this.#stop.resolve()
    await inTime(this.#done, STOP_MS_MAX)
  }

  #send(subject: string, text: string): void {
    const { busSent, busDropped } = this.#options.metrics
    if (this.#outflow?.send(subject, text)) busSent.inc()
    else busDropped.inc()
  }

  readonly #hear = (error: Error | null, message: Msg): void => {
    if (error !== null) return
    const timeline = message.subject.slice(this.#timelinePrefix.length)
    this.#receive(readEvents(timeline, message.string()), (events) =>
      this.#listener?.events(events),
    )
  }

  readonly #hearSessions = (error: Error | null, message: Msg): void => {
    if (error === null)
      this.#receive(readSessions(message.string()), (ids) => this.#listener?.revoked(ids))
  }

  #receive<T>(said: T | undefined, tell: (said: T) => void): void {
    const { busReceived, busIgnored } = this.#options.metrics
    if (said === undefined) return busIgnored.inc()
    busReceived.inc()
    try {
      tell(said)
    } catch (error) {
      // The driver would swallow it and hear nothing more. It is a fault of ours, like any other
      // that nobody caught.
      queueMicrotask(() => {
        throw error
      })
    }
  }

  #subscribe(timeline: TimelineId): Subscription | undefined {
    return this.#connection?.subscribe(this.#timelinePrefix + timeline, { callback: this.#hear })
  }

  /** One round trip for all timelines that are opened in a turn of the loop. */
  async #settle(): Promise<void> {
    await Promise.resolve()
    this.#settling = undefined
    await this.#flushed(OPEN_MS_MAX)
  }

  /** Resolves once NATS has taken everything so far, and after so long in any case. */
  async #flushed(msMax: number): Promise<void> {
    if (this.#connection !== undefined) await inTime(this.#connection.flush(), msMax)
  }

  /** Reaches for NATS until the bus is stopped. The driver mends a connection by itself. */
  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        const connection = await connect(this.#connectOptions())
        await this.#stay(connection)
      } catch (error) {
        this.#away(error as Error)
        await this.#pause(retryMs())
      }
    }
  }

  #connectOptions() {
    const { tls, ...address } = this.#address
    return {
      ...address,
      ...(tls && { tls: {} }),
      name: 'parley',
      noEcho: true,
      timeout: CONNECT_MS_MAX,
      pingInterval: PING_MS,
      maxPingOut: PINGS_UNANSWERED_MAX,
      reconnect: true,
      maxReconnectAttempts: -1,
      reconnectDelayHandler: retryMs,
      // Credentials may be mended while we run.
      ignoreAuthErrorAbort: true,
      noAsyncTraces: true,
    }
  }

  /** Until the bus is stopped, or the driver gives up. */
  async #stay(connection: NatsConnection): Promise<void> {
    this.#connection = connection
    const watching = this.#watch(connection)
    connection.subscribe(this.#sessionSubject, { callback: this.#hearSessions })
    for (const timeline of this.#open.keys()) this.#open.set(timeline, this.#subscribe(timeline))
    void this.#join(connection)
    const failure = await Promise.race([this.#stop.promise, connection.closed()])
    this.#connection = undefined
    this.#leave()
    await connection.close()
    await watching
    if (!this.#stopped) throw failure ?? new Error('the connection was closed')
  }

  async #watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') this.#away()
      else if (status.type === 'reconnect') void this.#join(connection)
      else if (status.type === 'error') {
        const cause = status.error.message
        this.#options.log.warn({ cause }, 'NATS refuses what this node asks of it')
      }
    }
  }

  /** The subscriptions are on their way; once NATS has them, nothing new is missed. */
  async #join(connection: NatsConnection): Promise<void> {
    try {
      await connection.flush()
    } catch {
      // Lost again; the driver will say when it is back.
      return
    }
    if (this.#stopped || connection !== this.#connection) return
    this.#outflow = new Outflow(connection)
    this.#isSaidAway = false
    const { log, metrics } = this.#options
    metrics.busConnected.set(1)
    log.info({ servers: this.#address.servers }, 'NATS is reached, and with it the other nodes')
    this.#listener?.joined()
  }

  #leave(): void {
    this.#outflow = undefined
    this.#options.metrics.busConnected.set(0)
  }

  #away(error?: Error): void {
    this.#leave()
    if (this.#isSaidAway || this.#stopped) return
    this.#isSaidAway = true
    this.#options.log.warn(
      { servers: this.#address.servers, ...(error && { cause: error.message }) },
      'NATS cannot be reached: posts go on, and news of other nodes is asked of the database. ' +
        'Start NATS, or mend NATS_URL; it is tried all the time',
    )
  }

  #pause(ms: number): Promise<unknown> {
    return Promise.race([this.#stop.promise, new Promise((resolve) => setTimeout(resolve, ms))])
  }
}

function retryMs(): number {
  return RETRY_MS * (1 + Math.random())
}

/** Resolves when the promise has settled, either way, or after so long. */
function inTime(promise: Promise<unknown>, msMax: number): Promise<void> {
  const late = () => new Error('not in time')
  return withDeadline(promise, msMax, late).then(
    () => {},
    () => {},
  )
}
