/** What can be put on trial: a server of one's own, nodes of one's own, or one that is there. */
import { countFlushes, durabilityOf, type Flushes } from './flushes.ts'
import type { Durability } from './report.ts'
import { ScratchServer } from './scratch-server.ts'

export interface OnTrial {
  /** For the report, in some words. */
  readonly subject: string
  /** Once it is started. */
  readonly urls: readonly string[]
  /** Those that may be killed. */
  readonly servers: readonly ScratchServer[]
  /** Rejects with `StartRefused` if it would not. */
  start(): Promise<void>
  /** After the trial: whether what it acknowledged was on the disk. */
  testify(): Promise<Durability>
  /** Leaves nothing behind, or rejects with a sentence that says what. */
  remove(): Promise<void>
}

export class EmbeddedServer implements OnTrial {
  /** Where its data are: a backup may be put there before the start. */
  readonly folder: string
  readonly servers: readonly [ScratchServer]
  /** What more there is to say of it. */
  about = ''
  #flushes: Flushes | undefined

  /** On the disk that the folder `within` is on, for that one is on trial, too. */
  constructor(command: readonly string[], within: string) {
    this.servers = [new ScratchServer(command, within)]
    this.folder = this.servers[0].folder
  }

  get subject(): string {
    return `a server of its own, SQLite in ${this.folder}${this.about}`
  }

  get urls(): string[] {
    return [this.servers[0].url]
  }

  async start(): Promise<void> {
    const [server] = this.servers
    await server.start()
    this.#flushes = await countFlushes(server.url, this.folder)
  }

  async testify(): Promise<Durability> {
    return durabilityOf(this.#flushes)
  }

  remove(): Promise<void> {
    return this.servers[0].remove()
  }
}

/** Somebody's server: it is neither killed nor asked about its disk. */
export function serverAt(url: string): OnTrial {
  const address = url.replace(/\/+$/, '')
  return {
    subject: `the server at ${address}, which was not killed`,
    urls: [address],
    servers: [],
    start: async () => {},
    testify: async () => durabilityOf(undefined),
    remove: async () => {},
  }
}
