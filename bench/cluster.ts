/**
 * Servers that share a PostgreSQL and a NATS of the benchmark's own: fresh, with their default
 * settings, on the servers' core, for they are part of what a cluster costs.
 */
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { findNatsServer, NatsServer } from '../test/services/nats.ts'
import { findPostgres, PostgresServer } from '../test/services/postgres.ts'
import { FreshDatabase } from './fresh-database.ts'
import { treesOf } from './process-tree.ts'
import { ServerProcess } from './server.ts'

/** PostgreSQL and NATS, with nobody on them yet. */
export class Backend {
  readonly postgres: PostgresServer
  readonly nats: NatsServer

  private constructor(postgres: PostgresServer, nats: NatsServer) {
    this.postgres = postgres
    this.nats = nats
  }

  /** Rejects with a sentence if one of the programs is not here and cannot be installed. */
  static async start(core: number | undefined): Promise<Backend> {
    const [programs, program] = [await findPostgres(), await findNatsServer()]
    if (programs === undefined || program === undefined)
      throw new Error('A cluster needs PostgreSQL and nats-server; see above.')
    const backend = new Backend(
      await PostgresServer.start(programs, tmpdir()),
      await NatsServer.start(program),
    )
    // What they start from now on is there, too.
    if (core !== undefined)
      for (const pid of treesOf(backend.pids)) spawnSync('taskset', ['-acp', `${core}`, `${pid}`])
    return backend
  }

  get pids(): number[] {
    return [this.postgres.pid, this.nats.pid]
  }

  async remove(): Promise<void> {
    await Promise.all([this.postgres.remove(), this.nats.remove()])
  }
}

export interface NodesOptions {
  count: number
  core: number | undefined
  env?: Record<string, string>
}

/** Nodes on a fresh database. */
export class Nodes {
  readonly servers: ServerProcess[] = []
  readonly databaseUrl: string
  readonly #backend: Backend
  readonly #database: FreshDatabase

  private constructor(backend: Backend, database: FreshDatabase) {
    this.#backend = backend
    this.#database = database
    this.databaseUrl = database.url
  }

  static async start(backend: Backend, { count, core, env }: NodesOptions): Promise<Nodes> {
    const database = await FreshDatabase.create(backend.postgres.urlOf('postgres'))
    const nodes = new Nodes(backend, database)
    // A node that is alone has nobody to tell.
    const nats: Record<string, string> = count > 1 ? { NATS_URL: backend.nats.url } : {}
    const all = { DATABASE_URL: database.url, ...nats, ...env }
    for (let i = 0; i < count; i++)
      nodes.servers.push(await ServerProcess.start({ script: 'src/main.ts', core, env: all }))
    return nodes
  }

  /** Of everything that the cluster needs. */
  get pids(): number[] {
    return [...this.servers.map(({ pid }) => pid), ...this.#backend.pids]
  }

  /** As an operator would; rejects if one does not end in good order. */
  async stop(): Promise<void> {
    const ends = await Promise.allSettled(this.servers.map((server) => server.stop()))
    await this.#database.drop()
    const failed = ends.find((end) => end.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }
}
