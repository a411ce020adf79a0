/** Migrations that are killed, cut off or out of room go on; a source that changes is no use. */
import { Database } from 'bun:sqlite'
import { afterAll, afterEach, describe, expect, test } from 'bun:test'
import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mountSmallDisk } from '../faults/disk.ts'
import { ServerProcess, until } from '../harness.ts'
import { findPostgres, PostgresServer } from '../services/postgres.ts'
import {
  afterwards,
  bytesOf,
  cleanUp,
  dumpPostgres,
  dumpSqlite,
  emptyPostgres,
  filled,
  open,
  scratch,
} from './migrate-world.ts'
import { type Ended, failsToServe, parley, Running } from './parley.ts'

const programs = await findPostgres()
const postgres = programs === undefined ? undefined : await PostgresServer.start(programs)
afterAll(() => postgres?.remove())
afterEach(cleanUp)

const EVENTS_PER_ROOM = 30_000
/** Of all rooms, and of the direct conversation with its inbox. */
const EVENTS = 3 * EVENTS_PER_ROOM + 2 * 10

const args = (from: string, to: string) => ['migrate', '--from', from, '--to', to]
const move = (from: string, to: string) => parley(args(from, to))

async function expectMoved(from: string, to: string): Promise<Ended> {
  const ended = await move(from, to)
  expect([ended.code, ended.errors]).toEqual([0, expect.stringContaining('verifying 100 %')])
  return ended
}

async function expectRefused(from: string, to: string, why: RegExp | string): Promise<string> {
  const { code, printed, errors } = await move(from, to)
  expect([code, printed, errors]).toEqual([1, '', expect.stringMatching(why)])
  return errors
}

/** Where migrations stop, each at a place of its own. */
const GATE = 42

/**
 * Makes a database of which the target's part stops in the middle of the events, or the source's at
 * its beginning, until the gate is opened.
 */
async function gated(
  url: string,
  end: 'source' | 'target',
): Promise<{ isReached(): Promise<void>; open(): Promise<void> }> {
  const sql = await postgres!.connect(url).reserve()
  if (end === 'target') {
    await sql.unsafe(`
      CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_advisory_xact_lock(${GATE}); RETURN NEW; END $$;
      CREATE TRIGGER gate BEFORE INSERT ON events FOR EACH ROW
        WHEN (NEW.timeline = 'rB' AND NEW.seq = 500) EXECUTE FUNCTION gate()`)
    await sql`SELECT pg_advisory_lock(${GATE})`
  } else {
    await sql`BEGIN`
    await sql`LOCK TABLE events IN ACCESS EXCLUSIVE MODE`
  }
  return {
    isReached: () =>
      until(
        async () => {
          const waiting = await postgres!.sql`
            SELECT FROM pg_stat_activity WHERE datname = ${new URL(url).pathname.slice(1)}
            AND application_name = 'parley migrate' AND wait_event_type = 'Lock'`
          return waiting.length > 0
        },
        'the migration is at the gate',
        20_000,
      ).then(() => {}),
    open: async () => {
      if (end === 'target') await sql`SELECT pg_advisory_unlock(${GATE})`
      else await sql`COMMIT`
      sql.release()
    },
  }
}

async function eventsIn(url: string): Promise<number> {
  const [row] = await postgres!.connect(url)`SELECT count(*)::int AS n FROM events`
  return row!.n as number
}

async function expectNoServer(settings: Record<string, string>): Promise<void> {
  const { code, errors } = await failsToServe(settings)
  expect([code, errors]).toEqual([1, expect.stringMatching(/part of a migration that has not /)])
}

describe.skipIf(postgres === undefined)('a migration', () => {
  test('to PostgreSQL that is killed goes on where it was, and half a server is not served', async () => {
    const [folder, url] = [await filled(EVENTS_PER_ROOM), await emptyPostgres(postgres!)]
    const gate = await gated(url, 'target')
    const running = new Running(args(`sqlite:${folder}`, url))
    await gate.isReached()
    running.kill()
    await running.ended
    const there = await eventsIn(url)
    expect(there).toBeGreaterThan(0)
    expect(there).toBeLessThan(EVENTS)
    await expectNoServer({ DATABASE_URL: url })

    // What was sent before the death may still be written, while the next one begins.
    const next = expectMoved(`sqlite:${folder}`, url)
    await gate.open()
    expect((await next).printed).toMatch(/ [1-9][\d,]+ rows were there already/)
    expect(await dumpPostgres(postgres!.connect(url))).toEqual(dumpSqlite(folder))
  })

  test('to SQLite that is killed goes on where it was, and half a server is not served', async () => {
    const [folder, back] = [await filled(EVENTS_PER_ROOM), scratch()]
    const url = await postgres!.createDatabase()
    await expectMoved(`sqlite:${folder}`, url)
    await expectRefused(`sqlite:${folder}`, url, 'is not empty')
    await (await open(back)).close()
    const target = new Database(join(back, 'parley.db'))
    target.run(`
      CREATE TRIGGER gate BEFORE INSERT ON events WHEN NEW.timeline = 'rB' AND NEW.seq = 500 BEGIN
        SELECT count(*) FROM (
          WITH RECURSIVE endless(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless)
          SELECT n FROM endless); END`)
    const running = new Running(args(url, `sqlite:${back}`))
    await running.says(/copying +[1-9]\d? %/)
    running.kill()
    await running.ended
    target.run('DROP TRIGGER gate')
    target.close()
    const there = dumpSqlite(back).events!.length
    expect(there).toBeGreaterThan(0)
    expect(there).toBeLessThan(EVENTS)
    await expectNoServer({ DATA_DIR: back })
    const backup = await parley(['backup', '--to', join(scratch(), 'b')], { DATA_DIR: back })
    expect([backup.code, backup.errors]).toEqual([1, expect.stringContaining('a migration that')])
    await expectRefused(`sqlite:${back}`, `sqlite:${scratch()}`, 'a migration that has not ended')

    await expectMoved(url, `sqlite:${back}`)
    expect(dumpSqlite(back)).toEqual(dumpSqlite(folder))
  })

  test('whose connection is cut says so, without the password, and goes on next time', async () => {
    const [folder, url] = [await filled(5_000), await emptyPostgres(postgres!)]
    const gate = await gated(url, 'target')
    const secret = url.replace('parley@', 'parley:hunter2@')
    const running = new Running(args(`sqlite:${folder}`, secret))
    await gate.isReached()
    await expectRefused(url, `sqlite:${scratch()}`, 'a migration that has not ended')
    await postgres!.sql`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE application_name = 'parley migrate'`
    const { code, errors } = await running.ended
    expect([code, errors]).toEqual([1, expect.stringContaining('run the same command again')])
    expect(errors).not.toContain('hunter2')
    await gate.open()
    await expectMoved(`sqlite:${folder}`, secret)
  })

  test('is refused while another one to the same database is under way', async () => {
    const [folder, other] = [await filled(1_000), await filled(1)]
    const url = await emptyPostgres(postgres!)
    const gate = await gated(url, 'target')
    const first = new Running(args(`sqlite:${folder}`, url))
    await gate.isReached()
    await expectRefused(`sqlite:${other}`, url, 'another migration that is still running')
    await gate.open()
    expect((await first.ended).code).toBe(0)
  })

  test('from a database that something writes to meanwhile is not believed', async () => {
    const [folder, back] = [await filled(1_000), scratch()]
    const url = await postgres!.createDatabase()
    await expectMoved(`sqlite:${folder}`, url)
    const gate = await gated(url, 'source')
    const running = new Running(args(url, `sqlite:${back}`))
    await gate.isReached()
    await postgres!.connect(url)`INSERT INTO rooms VALUES ('rD', 'D', 'd', 1, 'ada')`
    await gate.open()
    const { code, errors } = await running.ended
    expect([code, errors]).toEqual([1, expect.stringMatching('has changed while it was copied')])
    await expectRefused(url, `sqlite:${back}`, 'has changed since this one began')
  })

  test('from a database that a server is started on meanwhile is not believed either', async () => {
    const [folder, back] = [await filled(1_000), scratch()]
    const url = await postgres!.createDatabase()
    await expectMoved(`sqlite:${folder}`, url)
    const gate = await gated(url, 'source')
    const running = new Running(args(url, `sqlite:${back}`))
    await gate.isReached()
    const server = await ServerProcess.start({ databaseUrl: url })
    afterwards(() => server.stopAndForget())
    await fetch(`${server.url}/readyz`)
    await gate.open()
    const { code, errors } = await running.ended
    expect([code, errors]).toEqual([1, expect.stringContaining('is used by a server')])
    await expectRefused(url, `sqlite:${scratch()}`, 'is used by a server: stop all nodes')
    await expectRefused(`sqlite:${folder}`, url, 'is used by a server: stop all nodes')
  })
})

const smallDisk = mountSmallDisk(16 << 20)
afterAll(() => smallDisk?.remove())

describe.skipIf(smallDisk === undefined)('a migration to a disk that is full', () => {
  /** Leaves so many bytes, until it is undone. */
  const fillUp = (leftBytes: number) => {
    const { bavail, bsize } = statfsSync(smallDisk!.path)
    const bytes = bavail * bsize - leftBytes
    const ballast = join(smallDisk!.path, 'ballast')
    writeFileSync(ballast, Buffer.alloc(bytes, 'x'))
    return () => rmSync(ballast)
  }

  test('says so, and goes on when there is room: SQLite', async () => {
    const [folder, target] = [await filled(8_000), join(smallDisk!.path, 'data')]
    const before = bytesOf(folder)
    const free = fillUp(2 << 20)
    await expectRefused(
      `sqlite:${folder}`,
      `sqlite:${target}`,
      /disk is full, free some space.*same command again/,
    )
    free()
    await expectMoved(`sqlite:${folder}`, `sqlite:${target}`)
    expect(dumpSqlite(target)).toEqual(dumpSqlite(folder))
    expect(bytesOf(folder)).toEqual(before)
    rmSync(target, { recursive: true })
  })

  test.skipIf(postgres === undefined)(
    'says so, and goes on when there is room: PostgreSQL',
    async () => {
      postgres!.own(smallDisk!.path)
      await postgres!.sql.unsafe(`CREATE TABLESPACE small LOCATION '${smallDisk!.path}'`)
      const folder = await filled(6_000)
      const url = await postgres!.createDatabase('TABLESPACE small')
      const free = fillUp(2 << 20)
      await expectRefused(
        `sqlite:${folder}`,
        url,
        /disk is full, free some space.*same command again/,
      )
      free()
      await expectMoved(`sqlite:${folder}`, url)
      await postgres!.dropDatabase(url)
    },
  )
})
