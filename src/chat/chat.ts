/** The rules of chat, put together. Knows no HTTP, no SQL and no sockets. */
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Bus } from '../live/bus.ts'
import { HeadCheck } from '../live/head-check.ts'
import { Hub } from '../live/hub.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Store } from '../store/store.ts'
import { Access } from './access.ts'
import { Messages } from './messages.ts'
import { Passwords } from './passwords.ts'
import { Recheck } from './recheck.ts'
import { Recorder } from './record.ts'
import { Rooms } from './rooms.ts'
import { Sessions } from './sessions.ts'
import { Users } from './users.ts'

/** A session in memory is good for so many head checks. */
const TRUSTED_CHECKS = 2
/** Longer than a ring usually travels, and short beside what people notice. */
const HOLE_WAIT_MS = 5

export interface Chat {
  /** The store's epoch, which cursors belong to. */
  readonly epoch: string
  readonly users: Users
  /** To be closed when the server stops. */
  readonly passwords: Passwords
  readonly sessions: Sessions
  readonly rooms: Rooms
  readonly access: Access
  readonly messages: Messages
  readonly recorder: Recorder
  readonly hub: Hub
  /** To be started with the server, and stopped. */
  readonly recheck: Recheck
}

export interface ChatOptions {
  config: Config
  store: Store
  bus: Bus
  clock: Clock
  log: Log
  metrics: Metrics
}

export function createChat(options: ChatOptions): Chat {
  const { config, store, bus, clock, log, metrics } = options
  const isShared = config.databaseUrl !== '' || config.natsUrl !== ''
  const hub = createHub(options)
  const recorder = new Recorder({
    store,
    bus,
    clock,
    log,
    metrics,
    queueMax: config.postQueueMax,
    queueBytesMax: config.postQueueBytesMax,
    batchMax: config.batchEventsMax,
    timeoutMs: config.storeTimeoutMs,
    readersAreBusy: () => hub.isWriting,
  })
  const passwords = new Passwords({
    concurrency: config.hashConcurrency,
    queueMax: config.hashQueueMax,
    clock,
    log,
    metrics,
  })
  const users = new Users({ store, passwords, clock, cachedMax: config.placesCachedMax })
  const rooms = new Rooms({ store, clock, cachedMax: config.placesCachedMax })
  const sessions = new Sessions({
    store,
    users,
    bus,
    clock,
    log,
    ttlMs: config.sessionTtlMs,
    cachedMax: config.sessionsCachedMax,
    perUserMax: config.sessionsPerUserMax,
    trustedMs: isShared ? TRUSTED_CHECKS * config.headCheckMs : Number.POSITIVE_INFINITY,
  })
  const messages = new Messages({ store, hub, recorder, clock, textBytesMax: config.textBytesMax })
  const headCheck = new HeadCheck({ hub, store, metrics })
  const recheck = new Recheck({
    ...{ bus, log, everyMs: isShared ? config.headCheckMs : 0 },
    checks: [(all) => headCheck.run(all), () => sessions.check()],
  })
  bus.listen({
    events: (events) => hub.events(events),
    revoked: (ids) => sessions.revoked(ids),
    joined: () => recheck.now(),
  })
  const access = new Access(rooms, users)
  const { epoch } = store
  return { epoch, users, passwords, sessions, rooms, access, messages, recorder, hub, recheck }
}

function createHub({ config, ...parts }: ChatOptions): Hub {
  return new Hub({
    ...parts,
    tail: {
      eventsMax: config.tailEventsMax,
      bytesMax: config.tailBytesMax,
      totalBytesMax: config.tailsBytesMax,
    },
    idleMax: config.idleTimelinesMax,
    tickMsMax: config.tickMsMax,
    holeWaitMs: HOLE_WAIT_MS,
  })
}
