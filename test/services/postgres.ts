/**
 * A PostgreSQL of a test file's own: its settings are the defaults, its data in a scratch folder.
 * It can be stopped in every way that databases stop.
 */
import { chownSync, existsSync, readdirSync, readFileSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Subprocess, spawn, spawnSync } from 'bun'
import postgres from 'postgres'
import { scratchFolder, until } from '../harness.ts'
import { findOrInstall } from './install.ts'
import { freePort } from './ports.ts'

const PACKAGED = '/usr/lib/postgresql'
const START_MS_MAX = 20_000
const MEMORY = '/dev/shm'
const MEMORY_BYTES_MIN = 2 ** 31

/** The folder of the newest installed version's programs; undefined where there is none. */
export async function findPostgres(): Promise<string | undefined> {
  const program = await findOrInstall({
    program: 'postgres',
    debianPackage: 'postgresql',
    folders: () =>
      existsSync(PACKAGED)
        ? readdirSync(PACKAGED)
            .sort((a, b) => Number(b) - Number(a))
            .map((version) => join(PACKAGED, version, 'bin'))
        : [],
  })
  return program?.slice(0, -'/postgres'.length)
}

export class PostgresServer {
  readonly #programs: string
  readonly #folder: ReturnType<typeof scratchFolder>
  readonly port: number
  #process!: Subprocess
  #databases = 0
  readonly #clients: postgres.Sql[] = []
  /** For a test's own questions, as a superuser. */
  readonly sql: postgres.Sql

  /** Makes its data in a new folder `within` that one, and starts it. */
  static async start(programs: string, within = quickFolder()): Promise<PostgresServer> {
    const server = new PostgresServer(programs, scratchFolder(within), await freePort())
    server.#init()
    await server.restart()
    return server
  }

  /** A streaming standby of this one, with its data so far. Remove it first. */
  async startStandby(): Promise<PostgresServer> {
    const standby = new PostgresServer(
      this.#programs,
      scratchFolder(quickFolder()),
      await freePort(),
    )
    this.own(standby.#folder.path)
    const from = ['-h', '127.0.0.1', '-p', String(this.port), '-U', 'parley', '--checkpoint=fast']
    const copy = join(this.#programs, 'pg_basebackup')
    runAsOwner([copy, ...from, '-D', standby.#data, '--write-recovery-conf'])
    await standby.restart()
    return standby
  }

  private constructor(programs: string, folder: ReturnType<typeof scratchFolder>, port: number) {
    this.#programs = programs
    this.#folder = folder
    this.port = port
    this.sql = this.connect(this.urlOf('postgres'))
  }

  get #data(): string {
    return join(this.#folder.path, 'data')
  }

  /** Its first process: whatever it starts is a child of this one. */
  get pid(): number {
    return this.#process.pid
  }

  /** Lets it write there. */
  own(folder: string): void {
    const { uid, gid } = owner()
    chownSync(folder, uid, gid)
  }

  #init(): void {
    this.own(this.#folder.path)
    const options = ['--username=parley', '--auth=trust', '--encoding=UTF8', '--locale=C.UTF-8']
    runAsOwner([join(this.#programs, 'initdb'), '-D', this.#data, ...options])
  }

  urlOf(database: string): string {
    return `postgres://parley@127.0.0.1:${this.port}/${database}`
  }

  /** For questions to one of its databases; ends with the server. */
  connect(url: string): postgres.Sql {
    const client = postgres(url, { max: 4, onnotice: () => {}, connect_timeout: 5 })
    this.#clients.push(client)
    return client
  }

  /** A new database; its address. */
  async createDatabase(options = ''): Promise<string> {
    this.#databases += 1
    const name = `parley_${this.#databases}`
    await this.sql.unsafe(`CREATE DATABASE ${name} ${options}`)
    return this.urlOf(name)
  }

  async dropDatabase(url: string): Promise<void> {
    await this.sql.unsafe(`DROP DATABASE ${new URL(url).pathname.slice(1)} WITH (FORCE)`)
  }

  /** Starts it, again if need be; resolves when it takes connections. */
  async restart(settings: readonly string[] = []): Promise<void> {
    const given = [`port=${this.port}`, 'listen_addresses=127.0.0.1', ...settings]
    const options = [`unix_socket_directories=${this.#folder.path}`, ...given]
    this.#process = spawn({
      cmd: asOwner([
        ...[join(this.#programs, 'postgres'), '-D', this.#data],
        ...options.flatMap((one) => ['-c', one]),
      ]),
      stdio: ['ignore', 'ignore', process.env.POSTGRES_LOG === undefined ? 'ignore' : 'inherit'],
    })
    await until(() => this.#answers(), 'PostgreSQL takes connections', START_MS_MAX)
  }

  async #answers(): Promise<boolean> {
    if (this.#process.exitCode !== null) throw new Error('PostgreSQL did not start')
    try {
      await this.sql`SELECT 1`
      return true
    } catch {
      return false
    }
  }

  /** SIGINT ends its sessions and shuts it down in good order; SIGKILL is a crash. */
  async stop(signal: 'SIGINT' | 'SIGKILL' = 'SIGINT'): Promise<void> {
    const pids = this.#pids()
    this.#process.kill(signal)
    await this.#process.exited
    // After a crash of the first process the others end by themselves, a moment later.
    await until(() => pids.every((pid) => !existsSync(`/proc/${pid}`)), 'all of it has ended')
  }

  /** Resolves when this standby shows all that `primary` has committed so far. */
  async catchUpWith(primary: PostgresServer): Promise<void> {
    const [committed] = await primary.sql`SELECT pg_current_wal_flush_lsn()::text AS lsn`
    const hasReplayed = async () => {
      const [row] = await this.sql`
        SELECT pg_last_wal_replay_lsn() >= ${committed!.lsn}::pg_lsn AS yes`
      return row!.yes as boolean
    }
    await until(hasReplayed, 'the standby has replayed it')
  }

  /** From now on this standby takes its log from there. */
  async follow(primary: PostgresServer): Promise<void> {
    const where = `host=127.0.0.1 port=${primary.port} user=parley`
    await this.sql.unsafe(`ALTER SYSTEM SET primary_conninfo = '${where}'`)
    await this.sql`SELECT pg_reload_conf()`
  }

  /** Makes an independent server of a standby; resolves when it takes writes. */
  async promote(): Promise<void> {
    await this.sql`SELECT pg_promote()`
  }

  /** Holds it as it is: connections stay open, but nothing answers. */
  freeze(): void {
    for (const pid of this.#pids()) signalTo(pid, 'SIGSTOP')
  }

  thaw(): void {
    for (const pid of this.#pids()) signalTo(pid, 'SIGCONT')
  }

  /** How many sessions Parley has in a database. */
  async sessionsOf(url: string): Promise<number> {
    const name = new URL(url).pathname.slice(1)
    const sessions = await this.sql`
      SELECT FROM pg_stat_activity WHERE datname = ${name} AND application_name = 'parley'`
    return sessions.length
  }

  /** Ends every session of a database, as an operator may; tells how many. */
  async terminateSessions(url: string): Promise<number> {
    const name = new URL(url).pathname.slice(1)
    const ended = await this.sql`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ${name}`
    return ended.length
  }

  async remove(): Promise<void> {
    this.thaw()
    await Promise.all(this.#clients.map((client) => client.end({ timeout: 1 })))
    await this.stop()
    this.#folder.remove()
  }

  /** The first process, and those it has started. */
  #pids(): number[] {
    const first = this.#process.pid
    const path = `/proc/${first}/task/${first}/children`
    if (!existsSync(path)) return []
    return [first, ...readFileSync(path, 'utf8').trim().split(' ').filter(Boolean).map(Number)]
  }
}

/**
 * In memory, if there is enough of it: to make a database is to sync hundreds of files, and what
 * ends here are processes, never the machine.
 */
function quickFolder(): string {
  if (!existsSync(MEMORY)) return tmpdir()
  const { bavail, bsize } = statfsSync(MEMORY)
  return bavail * bsize > MEMORY_BYTES_MIN ? MEMORY : tmpdir()
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended in between.
  }
}

/** PostgreSQL does not run as root: then it is Debian's user for it. */
function owner(): { uid: number; gid: number } {
  if (process.getuid!() !== 0) return { uid: process.getuid!(), gid: process.getgid!() }
  const line = /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'))
  if (line === null) throw new Error('There is no user postgres to run PostgreSQL as.')
  return { uid: Number(line[1]), gid: Number(line[2]) }
}

/** The command as that user; it ends with the test, however that ends. */
function asOwner(command: string[]): string[] {
  if (process.getuid!() !== 0) return command
  const { uid, gid } = owner()
  const ids = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--pdeathsig=INT']
  return ['setpriv', ...ids, ...command]
}

function runAsOwner(command: string[]): void {
  const cmd = asOwner(command)
  const { success, stderr } = spawnSync({ cmd, stdout: 'ignore', stderr: 'pipe' })
  if (!success) throw new Error(`${command[0]} failed: ${stderr}`)
}
