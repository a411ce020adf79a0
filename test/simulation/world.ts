/** Everything there is in one run: the disk, the nodes, the bus between them, the people. */
import { directTimeline, inboxTimeline } from '../../src/chat/ids.ts'
import { type Config, defaultConfig } from '../../src/config.ts'
import type { Account, Id, Room } from '../../src/types.ts'
import { BusNetwork, SimBus } from './bus.ts'
import { Disk } from './disk.ts'
import { History } from './history.ts'
import { SimNode } from './node.ts'
import { Person } from './person.ts'
import { Scheduler } from './scheduler.ts'
import type { SimStore } from './store.ts'
import { calm, type Weather } from './weather.ts'

export interface Setting {
  seed: number
  nodes: number
  people: number
  /** Part of the looks at the clock between which time passes. */
  slow: number
  kernelBytes: number
  config: Partial<Config>
}

export const ROOMS = 2
/** A supervisor starts a node again after at most so long. */
const RESTART_MS_MAX = 1_500

const padded = (kind: string, n: number): Id => `${kind}${String(n).padStart(16, '0')}`

export class World {
  readonly setting: Setting
  readonly scheduler: Scheduler
  readonly history = new History()
  readonly disk: Disk
  readonly config: Config
  readonly people: Person[]
  readonly rooms: Id[]
  weather: Weather = calm()
  /** By their places; undefined while one is down. */
  readonly nodes: (SimNode | undefined)[]
  readonly #network: BusNetwork | undefined
  /** Of all nodes that ever were. */
  readonly #stores = new Set<SimStore>()

  constructor(setting: Setting) {
    this.setting = setting
    const { seed, nodes, people } = setting
    this.scheduler = new Scheduler(seed)
    this.scheduler.onUncaught = (error) => this.uncaught(error)
    const users = Array.from({ length: people }, (_, i) => account(i))
    this.rooms = Array.from({ length: ROOMS }, (_, i) => padded('r', i))
    this.disk = new Disk(users, this.rooms.map(room))
    this.config = defaultConfig({ ...LIMITS, ...setting.config })
    if (nodes > 1) {
      this.config.databaseUrl = 'postgres://simulated'
      this.#network = new BusNetwork(this.scheduler, () => this.weather.bus)
    }
    this.nodes = Array.from({ length: nodes }, () => undefined)
    this.people = users.map((user) => new Person(this, user))
    this.#noteMembers(users)
  }

  /** Once the scheduler has taken over. */
  begin(): void {
    for (const place of this.nodes.keys()) this.startNode(place)
  }

  #noteMembers(users: readonly Account[]): void {
    const { members } = this.history
    for (const one of users) {
      members.set(inboxTimeline(one.id), [one.name])
      for (const other of users)
        members.set(directTimeline(one.id, other.id), [one.name, other.name])
    }
  }

  uncaught(error: unknown): void {
    this.history.complain('uncaught', error instanceof Error ? (error.stack ?? '') : String(error))
  }

  startNode(place: number): void {
    if (this.nodes[place] !== undefined) return
    const { scheduler, disk, config, setting } = this
    const node = new SimNode({
      ...{ scheduler, disk, config, network: this.#network, slow: setting.slow },
      weather: () => this.weather.store,
      kill: (dying) => this.killNode(this.nodes.indexOf(dying)),
      complain: (kind, what) => this.history.complain(kind, what),
    })
    this.nodes[place] = node
    this.#stores.add(node.store)
    scheduler.within(node.life, () => node.start())
  }

  /** A node that is up and lets people in. */
  someNode(): SimNode | undefined {
    const up = this.nodes.filter((node) => node !== undefined && !node.draining)
    return up[Math.floor(this.scheduler.below(up.length))]
  }

  killNode(place: number): void {
    const node = this.nodes[place]
    if (node === undefined) return
    node.die({ ends: this.nodes.length === 1 })
    this.#isDown(place)
  }

  drainNode(place: number): void {
    const node = this.nodes[place]
    if (node === undefined || node.draining) return
    const ended = () => {
      if (node.life.ended) return
      node.die({ ends: this.nodes.length === 1 })
      this.#isDown(place)
    }
    this.scheduler.within(node.life, () => void node.drain().then(() => ended()))
  }

  #isDown(place: number): void {
    this.nodes[place] = undefined
    const { scheduler } = this
    scheduler.after(scheduler.below(RESTART_MS_MAX), () => this.startNode(place), null)
  }

  /** Everything is stopped and an earlier state is put back. */
  restore(): void {
    for (const place of this.nodes.keys()) this.killNode(place)
    for (const store of this.#stores) store.die({ ends: true })
    this.#stores.clear()
    this.history.judge(this.disk)
    if (this.disk.restore()) this.history.beginEra(this.disk)
  }

  part(place: number): void {
    const bus = this.nodes[place]?.bus
    if (bus instanceof SimBus) bus.part()
  }

  join(): void {
    for (const node of this.nodes)
      if (node?.bus instanceof SimBus) {
        const { bus } = node
        this.scheduler.within(node.life, () => bus.join())
      }
  }
}

/** Small, so that limits are met. */
const LIMITS: Partial<Config> = {
  ...{ rateLimits: 'off', heartbeatMs: 2_000, authTimeoutMs: 1_000, closeGraceMs: 500 },
  ...{ slowReaderMs: 3_000, headCheckMs: 500, drainTimeoutMs: 1_000 },
}

function account(n: number): Account {
  return { id: padded('u', n), name: `person-${n}`, createdAt: 0, passwordHash: '' }
}

function room(id: Id): Room {
  return { id, name: id, createdAt: 0, createdBy: padded('u', 0) }
}
