/** Nodes of one's own, on a scratch database in somebody's PostgreSQL, and on their NATS. */
import { tmpdir } from 'node:os'
import { LogWitness } from './log-witness.ts'
import { natsVersion } from './nats-version.ts'
import type { OnTrial } from './on-trial.ts'
import type { Durability } from './report.ts'
import { ScratchDatabase } from './scratch-database.ts'
import { ScratchServer } from './scratch-server.ts'

export class ScratchCluster implements OnTrial {
  /** `two nodes, PostgreSQL 15.4, NATS 2.9.10` */
  readonly subject: string
  readonly servers: readonly ScratchServer[]
  readonly #witness: LogWitness
  readonly #database: ScratchDatabase

  /**
   * Makes the database; two nodes if there is a NATS to join them, else one. None is started yet.
   * Rejects with a sentence for people.
   */
  static async make(
    command: readonly string[],
    databaseUrl: string,
    natsUrl: string,
  ): Promise<ScratchCluster> {
    const nats = natsUrl === '' ? undefined : await natsVersion(natsUrl)
    const database = await ScratchDatabase.make(databaseUrl)
    return new ScratchCluster(command, database, natsUrl, nats)
  }

  private constructor(
    command: readonly string[],
    database: ScratchDatabase,
    natsUrl: string,
    nats: string | undefined,
  ) {
    this.#database = database
    this.#witness = new LogWitness(database.sql)
    const services = { databaseUrl: database.url, natsUrl }
    const count = nats === undefined ? 1 : 2
    this.servers = Array.from(
      { length: count },
      () => new ScratchServer(command, tmpdir(), services),
    )
    const programs = `PostgreSQL ${database.version}${nats === undefined ? '' : `, NATS ${nats}`}`
    this.subject = `${count === 1 ? 'one node' : 'two nodes'}, ${programs}, in ${database.name}`
  }

  get urls(): string[] {
    return this.servers.map(({ url }) => url)
  }

  /** Rejects with `StartRefused` if a node would not. */
  async start(): Promise<void> {
    await Promise.all(this.servers.map((node) => node.start()))
    await this.#witness.observe(this.urls)
    this.#witness.watch()
  }

  testify(): Promise<Durability> {
    return this.#witness.testify()
  }

  /** Ends the nodes and drops the database. Rejects with a sentence if that cannot be done. */
  async remove(): Promise<void> {
    await Promise.all(this.servers.map((node) => node.remove()))
    await this.#database.remove()
  }
}
