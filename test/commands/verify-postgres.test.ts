/**
 * `parley verify` on PostgreSQL and NATS: it passes there, leaves nothing behind, and fails when
 * what keeps the data is not to be trusted.
 */
import { afterAll, afterEach, describe, expect, test } from 'bun:test'
import { LogWitness } from '../../src/verify/log-witness.ts'
import { natsVersion } from '../../src/verify/nats-version.ts'
import { hasPassed } from '../../src/verify/report.ts'
import { ScratchCluster } from '../../src/verify/scratch-cluster.ts'
import { ScratchDatabase } from '../../src/verify/scratch-database.ts'
import { findClusterPrograms } from '../cluster/cluster.ts'
import { failureOf } from '../contracts/store-home.ts'
import type { Plant } from '../faults/planted.ts'
import { until, within } from '../harness.ts'
import { NatsServer } from '../services/nats.ts'
import { PostgresServer } from '../services/postgres.ts'
import {
  afterwards,
  planted,
  plantedCommand,
  startVerify,
  TRIAL_MS_MAX,
  undoAll,
  verify,
} from './on-trial.ts'

const programs = await findClusterPrograms()
const postgres = programs && (await PostgresServer.start(programs.postgres))
const nats = programs && (await NatsServer.start(programs.nats))

afterEach(undoAll)
afterAll(() => Promise.all([postgres?.remove(), nats?.remove()]))

const home = () => postgres!.urlOf('postgres')

/** Of databases that a trial has made. */
async function scratchDatabases(): Promise<string[]> {
  const rows = await postgres!.sql`
    SELECT datname FROM pg_database WHERE datname LIKE 'parley\\_verify\\_%'`
  return rows.map(({ datname }) => datname)
}

/** Sets it for the whole server, without a restart, and takes it back after the test. */
async function alterSystem(setting: string, value: string): Promise<void> {
  afterwards(async () => {
    await postgres!.sql.unsafe(`ALTER SYSTEM RESET ${setting}`)
    await postgres!.sql`SELECT pg_reload_conf()`
  })
  await postgres!.sql.unsafe(`ALTER SYSTEM SET ${setting} = ${value}`)
  await postgres!.sql`SELECT pg_reload_conf()`
  const isSet = async () => {
    const [row] = await postgres!.sql`SELECT setting FROM pg_settings WHERE name = ${setting}`
    return row!.setting === value
  }
  await until(isSet, `${setting} is ${value}`)
}

/** The command under way, once people talk. */
async function underWay(args: readonly string[]) {
  const child = startVerify(args)
  const printed = new Response(child.stdout).text()
  let errors = ''
  const { promise: talking, resolve } = Promise.withResolvers<void>()
  void (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of child.stderr) {
      errors += decoder.decode(chunk)
      if (errors.includes('on trial')) resolve()
    }
  })()
  await within(talking, 'people talk', 20_000)
  return { child, printed, errors: () => errors }
}

describe.skipIf(programs === undefined)('on PostgreSQL', () => {
  test(
    'two nodes keep their promises, though they are killed, and nothing stays behind',
    async () => {
      // Whatever the default is: our connections ask for what was promised.
      await alterSystem('synchronous_commit', 'off')
      const settings = { DATABASE_URL: home(), NATS_URL: nats!.url }
      const trial = ['--people', '8', '--seconds', '3', '--kills', '3']
      const [code, printed] = await verify(trial, settings)
      expect(printed).toMatch(/on trial {3}two nodes, PostgreSQL 1\d\.\d+, NATS 2\.\d+\.\d+, in /)
      expect(printed).toContain('killed 3 times')
      expect(printed).toMatch(/40 flushed before the answer, \d+ syncs\n/)
      expect([code, printed]).toEqual([0, expect.stringMatching(/\nPASS\n$/)])
      expect(await scratchDatabases()).toEqual([])
    },
    TRIAL_MS_MAX,
  )

  test('that does not sync what it commits it fails before anybody talks, and says why', async () => {
    await alterSystem('fsync', 'off')
    const [code, printed] = await verify(['--database', home(), '--nats', nats!.url])
    expect(printed).toMatch(/\n {2}! .*can lose what it has committed \(fsync = off.*\nFAIL\n$/)
    expect(printed).not.toMatch(/^ +at /m)
    expect(code).toBe(1)
    expect(await scratchDatabases()).toEqual([])
  })

  test(
    'that is told not to sync while people talk it fails as soon as a node comes back',
    async () => {
      const { child, printed } = await underWay([
        // Kills enough that one comes after the change, however late that is.
        ...['--database', home(), '--people', '4', '--seconds', '20', '--kills', '12'],
      ])
      await alterSystem('fsync', 'off')
      expect(await within(child.exited, 'it ends', TRIAL_MS_MAX)).toBe(1)
      expect(await printed).toMatch(/\n {2}! .*does not start: .*\(fsync = off.*\nFAIL\n$/)
      expect(await scratchDatabases()).toEqual([])
    },
    TRIAL_MS_MAX,
  )

  test('interrupted, it leaves neither a database nor a node behind', async () => {
    const trial = ['--database', home(), '--people', '4', '--seconds', '60']
    const { child, printed, errors } = await underWay(trial)
    const [name] = await scratchDatabases()
    const isUsed = async () => (await postgres!.sessionsOf(postgres!.urlOf(name!))) > 0
    // A node may just have been killed.
    await until(isUsed, 'a node is there')
    child.kill('SIGINT')
    expect(await within(child.exited, 'it ends')).toBe(1)
    expect(await printed).toBe('')
    expect(errors()).toContain('Interrupted')
    expect(await scratchDatabases()).toEqual([])
    expect(await postgres!.sessionsOf(postgres!.urlOf(name!))).toBe(0)
  })

  const asyncCommits: Plant[] = [
    ['src/store/postgres-connection.ts', "synchronous_commit: 'on'", "synchronous_commit: 'off'"],
    ['src/store/postgres-connection.ts', "row?.sync === 'on'", "row?.sync === 'off'"],
  ]

  test(
    'a node that acknowledges before PostgreSQL has flushed is caught, whatever settings say',
    async () => {
      const cluster = await ScratchCluster.make(plantedCommand(...asyncCommits), home(), '')
      afterwards(() => cluster.remove())
      expect(cluster.subject).toMatch(/^one node, PostgreSQL 1\d\.\d+, in parley_verify_/)
      await cluster.start()
      const durability = await cluster.testify()
      expect(durability.isUnsafe).toBe(true)
      expect(durability.words).toMatch(
        /^40 posts, one after the other: [12]?\d flushed before the /,
      )
      expect(hasPassed({ faults: [], durability })).toBe(false)
    },
    TRIAL_MS_MAX,
  )

  test(
    'that only says it has flushed is caught by what it has not synced',
    async () => {
      const { url } = await scratchDatabase()
      const blind: Plant = ['src/store/postgres-start.ts', 'await refuseUnsafe(connection)', '']
      const node = await planted([blind], { databaseUrl: url })
      await alterSystem('fsync', 'off')
      const witness = new LogWitness(postgres!.sql)
      await witness.observe([node.url], 1_500)
      const seen = await witness.testify()
      const words = '40 posts, one after the other: 40 flushed before the answer, 0 syncs'
      expect(seen).toEqual({ isUnsafe: true, words })
    },
    TRIAL_MS_MAX,
  )

  test(
    'whose settings are not safe for a while is not believed, though they are safe again',
    async () => {
      const { url } = await scratchDatabase()
      const node = await planted([], { databaseUrl: url })
      const witness = new LogWitness(postgres!.sql)
      await witness.observe([node.url])
      witness.watch()
      await alterSystem('full_page_writes', 'off')
      await until(() => witness.off.size > 0, 'it is seen')
      await alterSystem('full_page_writes', 'on')
      const { isUnsafe, words } = await witness.testify()
      expect(isUnsafe).toBe(true)
      expect(words).toMatch(/ syncs; PostgreSQL ran with full_page_writes = off$/)
    },
    TRIAL_MS_MAX,
  )
})

async function scratchDatabase(url = home()): Promise<ScratchDatabase> {
  const database = await ScratchDatabase.make(url)
  afterwards(() => database.remove())
  return database
}

describe.skipIf(programs === undefined)('a scratch database', () => {
  const asRole = (database: string) =>
    postgres!.urlOf(database).replace('parley@', 'humble:hunter2@')

  test('is made by hand if the role may not make one, then used as it stands and left', async () => {
    await postgres!.sql`CREATE ROLE humble LOGIN`
    const refusal = String(await failureOf(ScratchDatabase.make(asRole('postgres'))))
    expect(refusal).toContain('ALTER ROLE "humble" CREATEDB')
    const statement = /CREATE DATABASE \S+ OWNER "humble" .*(?=\.)/.exec(refusal)![0]
    await postgres!.sql.unsafe(statement)
    const database = await ScratchDatabase.make(asRole('parley_verify_1'))
    expect(database.name).toBe('parley_verify_1')
    await database.sql`CREATE TABLE something ()`
    await database.remove()
    expect(await scratchDatabases()).toEqual(['parley_verify_1'])
    const again = String(await failureOf(ScratchDatabase.make(asRole('parley_verify_1'))))
    expect(again).toContain('parley_verify_1 is not empty')
    expect(refusal + again).not.toContain('hunter2')
    await postgres!.sql`DROP DATABASE parley_verify_1`
    await postgres!.sql`DROP ROLE humble`
  })

  test('is dropped, whoever is still connected; if it cannot be, its name is told', async () => {
    const database = await ScratchDatabase.make(home())
    const other = postgres!.connect(database.url)
    await other`SELECT 1`
    await database.remove()
    expect(await scratchDatabases()).toEqual([])
    const gone = await ScratchDatabase.make(home())
    await postgres!.dropDatabase(gone.url)
    expect(String(await failureOf(gone.remove()))).toContain(`${gone.name} is left behind`)
  })

  test('cannot be made where nothing listens, which is said without the password', async () => {
    const url = 'postgres://parley:hunter2@127.0.0.1:9/parley'
    const [code, printed, errors] = await verify(['--database', url])
    expect([code, printed]).toEqual([1, ''])
    expect(errors).toMatch(/^PostgreSQL at 127\.0\.0\.1:9 cannot be used: .*REFUSED/)
    expect(errors).not.toContain('hunter2')
  })
})

describe('what cannot be is refused in a sentence', () => {
  test.each([
    [['--nats', 'nats://127.0.0.1'], 'name it, too, by --database'],
    [['--url', 'http://127.0.0.1:9', '--database', 'postgres://x/y'], 'is not ours'],
    [['--backup', 'there.db', '--database', 'postgres://x/y'], 'one of SQLite'],
    [['--database', 'mysql://me:hunter2@x/y'], '--database is not an address that begins with'],
    [['--database', 'postgres://x/y', '--nats', 'http://me:hunter2@x'], '--nats is not an address'],
  ])('%p', async (args, sentence) => {
    const [code, , errors] = await verify(args)
    expect([code, errors]).toEqual([2, expect.stringContaining(sentence)])
    expect(errors).not.toContain('hunter2')
  })

  test('a NATS that is away, or is none', async () => {
    const away = String(await failureOf(natsVersion('nats://me:hunter2@127.0.0.1:9')))
    expect(away).toMatch(/NATS at 127\.0\.0\.1:9 cannot be used: .*REFUSED/)
    const greeting = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: { open: (socket) => void socket.write('220 ready\r\n'), data() {} },
    })
    afterwards(() => greeting.stop(true))
    const other = String(await failureOf(natsVersion(`nats://127.0.0.1:${greeting.port}`)))
    expect(other).toContain('it is another service')
  })
})
