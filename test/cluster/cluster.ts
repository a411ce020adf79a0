/** Several servers as one: on one PostgreSQL and one NATS, all of the test's own. */
import { Person, ServerProcess } from '../harness.ts'
import { findNatsServer, NatsServer } from '../services/nats.ts'
import { findPostgres, PostgresServer } from '../services/postgres.ts'

export type Settings = Record<string, string | number>

/**
 * For PostgreSQL's answers: a node that is held up with a lock makes the others wait, and how long
 * is the affair of the machine.
 */
const DATABASE_TIMEOUT_MS = 20_000

/** Where the programs are, or undefined if one cannot be had: skip the tests that need them. */
export async function findClusterPrograms() {
  const nats = await findNatsServer()
  const postgres = await findPostgres()
  return nats === undefined || postgres === undefined ? undefined : { nats, postgres }
}

export class Cluster {
  readonly nodes: ServerProcess[] = []
  readonly nats: NatsServer
  readonly postgres: PostgresServer
  readonly databaseUrl: string
  readonly #gone = new Set<ServerProcess>()
  #turn = 0

  private constructor(postgres: PostgresServer, nats: NatsServer, databaseUrl: string) {
    this.postgres = postgres
    this.databaseUrl = databaseUrl
    this.nats = nats
  }

  static async start(
    programs: { nats: string; postgres: string },
    size: number,
    settings: Settings = {},
  ): Promise<Cluster> {
    const [postgres, nats] = await Promise.all([
      PostgresServer.start(programs.postgres),
      NatsServer.start(programs.nats),
    ])
    const cluster = new Cluster(postgres, nats, await postgres.createDatabase())
    // All at once, as a supervisor would.
    await Promise.all(Array.from({ length: size }, () => cluster.startNode(settings)))
    return cluster
  }

  async startNode(settings: Settings = {}): Promise<ServerProcess> {
    const shared = {
      ...{ databaseUrl: this.databaseUrl, natsUrl: this.nats.url },
      databaseTimeoutMs: DATABASE_TIMEOUT_MS,
    }
    const node = await ServerProcess.start({ ...shared, ...settings })
    this.nodes.push(node)
    return node
  }

  /** Of one node after the other, as a balancer would; of those that are there. */
  get url(): string {
    const here = this.nodes.filter((node) => !this.#gone.has(node))
    this.#turn += 1
    return here[this.#turn % here.length]!.url
  }

  /** The balancer sends nobody to this node any more, or again. */
  leave(node: ServerProcess): void {
    this.#gone.add(node)
  }

  join(node: ServerProcess): void {
    this.#gone.delete(node)
  }

  async remove(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stopAndForget()))
    await Promise.all([this.nats.remove(), this.postgres.remove()])
  }
}

/** The same person, at this node. */
export function at(node: ServerProcess, { id, name, token }: Person): Person {
  return new Person(node.url, id, name, token)
}

export async function epochOf(person: Person): Promise<string> {
  return (await person.fetch('/messages')).headers.get('parley-epoch')!
}

/** The value of a metric without labels. */
export async function readMetric(node: ServerProcess, name: string): Promise<number> {
  const text = await (await fetch(`${node.url}/metrics`)).text()
  return Number(new RegExp(`^parley_${name} (\\S+)$`, 'm').exec(text)?.[1])
}

export async function readinessOf(node: ServerProcess): Promise<string> {
  const response = await fetch(`${node.url}/readyz`)
  return `${response.status} ${((await response.json()) as { status: string }).status}`
}
