/** Puts the parts together, and takes them apart again in the right order. */
import { asyncApi } from './api/asyncapi.ts'
import { cookieName } from './api/auth.ts'
import { Connections } from './api/connections.ts'
import { docsPage } from './api/docs.ts'
import { createHttpHandler } from './api/http.ts'
import { Limits } from './api/limits.ts'
import { type Listener, type ListenOptions, listen } from './api/listen.ts'
import { openApi } from './api/openapi.ts'
import type { Api, Operation } from './api/operation.ts'
import {
  createOperations,
  createSocketOperations,
  type SocketOperations,
} from './api/operations.ts'
import { PageServer } from './api/page.ts'
import type { PageSource } from './api/page-source.ts'
import { Responder } from './api/respond.ts'
import { Router } from './api/router.ts'
import { requestSchemas } from './api/schema.ts'
import { createServiceOperations, notReady, type Readiness, type Service } from './api/service.ts'
import { type Chat, createChat } from './chat/chat.ts'
import { systemClock } from './clock.ts'
import type { Config } from './config.ts'
import { problem } from './errors.ts'
import type { Bus } from './live/bus.ts'
import { createLocalBus } from './live/bus-local.ts'
import { createNatsBus } from './live/bus-nats.ts'
import type { Log } from './log.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { openStore } from './store/open.ts'
import type { Store } from './store/store.ts'
import { version } from './version.ts'

const LAG_PROBE_MS = 500
const EXPIRED_SESSIONS_MS = 600_000
/** How often a draining server looks whether it is done. */
const DRAIN_STEP_MS = 20

const LOSS =
  'the database lacks posts that were acknowledged: what is left is served under a new epoch, ' +
  'and everyone has to sign in again'

export interface RunningServer {
  readonly url: string
  /** Drains: ends every connection with 1012, finishes what was begun, then closes the store. */
  stop(): Promise<void>
}

export interface ServerOptions {
  config: Config
  log: Log
  /** The web page's files. */
  page: PageSource
  /** The store can no longer vouch for its data: the process must end. */
  onFatal: (error: Error) => void
}

/** Resolves once connections are accepted. Rejects with a sentence for people. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { config, log, onFatal } = options
  const metrics = createMetrics()
  const clock = systemClock
  const store = await openStore(config, {
    onFatal,
    onLoss: (what) => log.error({ what }, LOSS),
    onReplicaPage: (outcome) => metrics.replicaPages.inc({ outcome }),
  })
  const bus = createBus(config, store, log, metrics)
  const chat = createChat({ config, store, bus, clock, log, metrics })
  const limits = new Limits(config, clock, metrics)
  const connections = new Connections(config, clock, chat.sessions, metrics)
  const api: Api = { chat, config, limits, connections }
  const responder = new Responder(config, log, metrics)

  const sharesWithOrigins = config.corsOrigins.length > 0
  const page = new PageServer(options.page, log, { sharesWithOrigins })
  const draining = { now: false }
  const schemas = requestSchemas(config)
  const socketOperations = createSocketOperations(schemas)
  const operations = createOperations(schemas)
  const all: readonly Operation[] = [
    ...operations,
    ...createServiceOperations({
      page,
      checkReady: () => checkReady(store, bus, draining.now),
      metrics: () => readMetrics(metrics, chat, responder),
      ...lazyDocuments(() => all, socketOperations, config),
    }),
  ]

  const listener = await listenOrClose(
    { store, bus },
    {
      config,
      handle: createHttpHandler({ ...api, router: new Router(all), responder }),
      sockets: { ...api, operations: socketOperations, responder, clock, metrics },
      responder,
      plainPaths: all.map(({ path }) => path).filter((path) => !path.includes('{')),
    },
  )
  connections.start()
  const stopTimers = startTimers(chat, metrics, log)
  const stop = () => {
    draining.now = true
    page.close()
    return stopServer({ config, listener, connections, chat, bus, store, stopTimers })
  }
  return { url: listener.url, stop }
}

interface Parts {
  config: Config
  listener: Listener
  connections: Connections
  chat: Chat
  bus: Bus
  store: Store
  stopTimers: () => Promise<void>
}

/** In this order: nobody new, nobody left, nothing under way, nothing open. */
async function stopServer(parts: Parts): Promise<void> {
  const { config, listener, connections, chat, bus, store, stopTimers } = parts
  listener.close()
  connections.endAll('restarting')
  // First, so that a rush of sign-ins does not hold up the rest: its queue may be minutes long.
  const hashed = chat.passwords.close()
  const rechecked = stopTimers()
  await drained(listener, connections, config.drainTimeoutMs)
  connections.stop()
  await listener.stop()
  await Promise.all([hashed, rechecked])
  await chat.recorder.settled()
  await bus.stop()
  await store.close()
}

/** An address that cannot be had must not leave the store open. */
async function listenOrClose(
  { store, bus }: { store: Store; bus: Bus },
  options: ListenOptions,
): Promise<Listener> {
  try {
    return listen(options)
  } catch (error) {
    await bus.stop()
    await store.close()
    throw error
  }
}

function createBus(config: Config, store: Store, log: Log, metrics: Metrics): Bus {
  const { natsUrl } = config
  return natsUrl === ''
    ? createLocalBus()
    : createNatsBus({ url: natsUrl, cluster: store.epoch, log, metrics })
}

/** The documents, each made when it is first asked for: they describe their own paths, too. */
function lazyDocuments(
  all: () => readonly Operation[],
  socketOperations: SocketOperations,
  config: Config,
): Pick<Service, 'openapi' | 'asyncapi' | 'docsPage'> {
  return {
    openapi: once(() => JSON.stringify(openApi(all(), version, cookieName(config)))),
    asyncapi: once(() => JSON.stringify(asyncApi(socketOperations, version))),
    docsPage: once(() => docsPage(all(), socketOperations)),
  }
}

function once<T>(make: () => T): () => T {
  let made: T | undefined
  return () => (made ??= make())
}

/** Without the bus requests are served, and other nodes' news comes later. */
async function checkReady(store: Store, bus: Bus, draining: boolean): Promise<Readiness> {
  if (draining) throw problem('restarting', { retryAfterS: 1 })
  await store.check().catch((error) => {
    throw notReady(error)
  })
  return bus.connected ? 'ready' : 'degraded'
}

/** Waits, not for ever, until nobody is connected and nothing is under way. */
async function drained(listener: Listener, connections: Connections, timeoutMs: number) {
  const deadline = performance.now() + timeoutMs
  const step = () => new Promise((resolve) => setTimeout(resolve, DRAIN_STEP_MS))
  while (performance.now() < deadline) {
    // Those who slipped in after the first round.
    connections.endAll('restarting')
    if (connections.size === 0 && listener.pending() === 0) return
    await step()
  }
}

function startTimers(chat: Chat, metrics: Metrics, log: Log): () => Promise<void> {
  let due = performance.now() + LAG_PROBE_MS
  const lag = setInterval(() => {
    const now = performance.now()
    metrics.loopLag.set(Math.max(0, now - due) / 1_000)
    due = now + LAG_PROBE_MS
  }, LAG_PROBE_MS)
  const expired = setInterval(() => {
    chat.sessions.deleteExpired().catch((error) => log.warn({ err: error }, 'expired sessions'))
  }, EXPIRED_SESSIONS_MS)
  chat.recheck.start()
  return () => {
    clearInterval(lag)
    clearInterval(expired)
    return chat.recheck.stop()
  }
}

function readMetrics(metrics: Metrics, chat: Chat, responder: Responder): Promise<string> {
  responder.report()
  metrics.counts.report(metrics)
  const { user, system } = process.cpuUsage()
  metrics.cpu.reset()
  metrics.cpu.inc((user + system) / 1e6)
  metrics.residentMemory.set(process.memoryUsage.rss())
  metrics.postQueue.set(chat.recorder.queued)
  metrics.liveTimelines.set(chat.hub.size)
  return metrics.registry.metrics()
}
