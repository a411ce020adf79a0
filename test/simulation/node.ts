/**
 * One server process: all of `chat`, `live` and the WebSocket part of `api` as they are, put
 * together as `src/server.ts` does. What is simulated is below it (the store, the bus, the socket)
 * and the hashing of passwords, which everybody passes.
 */
import { Connections } from '../../src/api/connections.ts'
import { Limits } from '../../src/api/limits.ts'
import { createSocketOperations } from '../../src/api/operations.ts'
import { Outbox } from '../../src/api/outbox.ts'
import { Responder } from '../../src/api/respond.ts'
import { requestSchemas } from '../../src/api/schema.ts'
import { SocketConnection, type SocketOptions, type SocketStart } from '../../src/api/socket.ts'
import { type Chat, createChat } from '../../src/chat/chat.ts'
import type { Clock } from '../../src/clock.ts'
import { type Config, defaultConfig } from '../../src/config.ts'
import type { Bus } from '../../src/live/bus.ts'
import { createLocalBus } from '../../src/live/bus-local.ts'
import { createLog } from '../../src/log.ts'
import { createMetrics } from '../../src/metrics.ts'
import type { Id, Seq, TimelineId } from '../../src/types.ts'
import { type BusNetwork, SimBus } from './bus.ts'
import type { Disk } from './disk.ts'
import type { Life, Scheduler } from './scheduler.ts'
import { SimStore } from './store.ts'
import type { StoreWeather } from './weather.ts'
import type { Wire } from './wire.ts'

/** Made once: nothing in them belongs to one run, and they cost more than a run. */
const log = createLog('silent')
const metrics = createMetrics()
const operations = createSocketOperations(requestSchemas(defaultConfig()))

const DRAIN_STEP_MS = 20
/** A session that its node knows to be over is given nothing after this. */
const SIGN_OUT_MS_MAX = 1_000

export interface NodeOptions {
  scheduler: Scheduler
  disk: Disk
  config: Config
  /** Undefined for a node that is alone. */
  network: BusNetwork | undefined
  weather: () => StoreWeather
  /** How much of the time passes while code runs. */
  slow: number
  kill: (node: SimNode) => void
  complain: (kind: string, what: string) => void
}

export class SimNode {
  readonly life: Life = { ended: false }
  readonly store: SimStore
  readonly bus: Bus
  readonly chat: Chat
  readonly connections: Connections
  /** The last event of each timeline that this node has acknowledged. */
  readonly acked = new Map<TimelineId, Seq>()
  draining = false
  readonly #options: NodeOptions
  readonly #sockets: SocketOptions
  readonly #wires = new Set<Wire>()
  /** When the node was told that a session is over. */
  readonly #overAt = new Map<Id, number>()

  constructor(options: NodeOptions) {
    this.#options = options
    const { scheduler, disk, config, network, weather, kill, complain } = options
    const toldOver = (sessions: readonly Id[]) => this.#toldOver(sessions)
    this.store = new SimStore({
      ...{ scheduler, disk, weather, life: this.life, toldOver, alone: network === undefined },
      kill: () => kill(this),
      complain: (what) => complain('contract', what),
    })
    this.bus = network ? new SimBus(network, this.life, toldOver) : alone(toldOver)
    const { store, bus } = this
    const clock = this.#clock()
    this.chat = createChat({ config, store, bus, clock, log, metrics })
    passEverybody(this.chat, disk)
    const limits = new Limits(config, clock, metrics)
    this.connections = new Connections(config, clock, this.chat.sessions, metrics)
    const responder = new Responder(config, log, metrics)
    const { chat, connections } = this
    const outbox = new Outbox()
    const api = { chat, config, limits, connections }
    this.#sockets = { ...api, operations, responder, clock, metrics, outbox }
  }

  start(): void {
    this.connections.start()
    this.chat.recheck.start()
  }

  /** Time goes on while code runs, so that rounds of writing may take more than one turn. */
  #clock(): Clock {
    const { scheduler, slow } = this.#options
    const passing = () => {
      if (scheduler.chance(slow)) scheduler.now += scheduler.below(3)
      return scheduler.now
    }
    return { now: () => 1_800_000_000_000 + Math.floor(passing()), monotonicMs: passing }
  }

  #toldOver(sessions: readonly Id[]): void {
    for (const id of sessions)
      if (!this.#overAt.has(id)) this.#overAt.set(id, this.#options.scheduler.now)
  }

  /** A handshake has come to its end. */
  upgrade(wire: Wire, start: SocketStart): void {
    const connection = new SocketConnection(this.#sockets, wire, start)
    this.#wires.add(wire)
    wire.server = {
      received: (text) => connection.received(text),
      ponged: () => connection.controlled(),
      writable: () => connection.writable(),
      closed: () => {
        this.#wires.delete(wire)
        connection.closed()
      },
    }
    wire.onSent = () => this.#checkSession(connection)
    connection.opened(start)
  }

  #checkSession({ viewer }: SocketConnection): void {
    const overAt = viewer && this.#overAt.get(viewer.session.id)
    const { scheduler, complain } = this.#options
    if (overAt !== undefined && scheduler.now > overAt + SIGN_OUT_MS_MAX)
      complain('zombie', `${viewer?.user.name} is given something though signed out`)
  }

  noteAcked(timeline: TimelineId, seq: Seq): void {
    this.acked.set(timeline, Math.max(seq, this.acked.get(timeline) ?? 0))
  }

  /** As by `kill -9`; with `ends` the database ends, too. */
  die({ ends }: { ends: boolean }): void {
    this.life.ended = true
    this.store.die({ ends })
    void this.bus.stop()
    for (const wire of this.#wires) wire.die()
  }

  /** As by SIGTERM. The process ends when it resolves. */
  async drain(): Promise<void> {
    this.draining = true
    const { connections, chat } = this
    const { scheduler, config } = this.#options
    connections.endAll('restarting')
    const rechecked = chat.recheck.stop()
    const deadline = scheduler.now + config.drainTimeoutMs
    while (scheduler.now < deadline && connections.size > 0) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_STEP_MS))
      connections.endAll('restarting')
    }
    connections.stop()
    await rechecked
    await chat.recorder.settled()
    await this.bus.stop()
  }

  /** What should not be there when everybody has gone. */
  leftovers(): string[] {
    const kept = [...this.chat.hub.timelines].filter(({ users }) => users !== 0)
    const found = kept.map(({ id, users }) => `${id} has ${users} users`)
    if (this.connections.size > 0) found.push(`${this.connections.size} connections`)
    if (this.chat.recorder.queued > 0) found.push(`${this.chat.recorder.queued} posts`)
    return found
  }
}

function alone(toldOver: (sessions: readonly Id[]) => void): Bus {
  const bus = createLocalBus()
  return {
    ...bus,
    revoke(sessions) {
      toldOver(sessions)
      bus.revoke(sessions)
    },
  }
}

/** Passwords are hashed by other processes, which have no place here. */
function passEverybody({ users }: Chat, disk: Disk): void {
  users.verify = async (name) => {
    const account = [...disk.users.values()].find((user) => user.name === name)!
    return { id: account.id, name: account.name, createdAt: account.createdAt }
  }
}
