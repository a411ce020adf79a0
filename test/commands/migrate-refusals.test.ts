/** What is not moved, in which words; and that a copy which is not the same is found out. */
import { Database } from 'bun:sqlite'
import { afterAll, afterEach, describe, expect, test } from 'bun:test'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ServerProcess } from '../harness.ts'
import { findPostgres, PostgresServer } from '../services/postgres.ts'
import {
  afterwards,
  bytesOf,
  cleanUp,
  emptyPostgres,
  filled,
  open,
  scratch,
} from './migrate-world.ts'
import { failsToServe, parley } from './parley.ts'

const programs = await findPostgres()
const postgres = programs === undefined ? undefined : await PostgresServer.start(programs)
afterAll(() => postgres?.remove())
afterEach(cleanUp)

async function expectRefused(from: string, to: string, why: RegExp | string): Promise<string> {
  const { code, printed, errors } = await parley(['migrate', '--from', from, '--to', to])
  expect([code, printed, errors]).toEqual([1, '', expect.stringMatching(why)])
  return errors
}

/** What happens to a row on its way into the target, and how that is told. */
const LIES = [
  {
    what: 'another text',
    postgres: `NEW.body := replace(NEW.body, '"text":"7', '"text":"8'); RETURN NEW;`,
    sqlite: `UPDATE events SET body = replace(body, '"text":"7', '"text":"8')`,
    table: 'events',
    told: /Timeline rA has as many rows .* but not the same/,
  },
  {
    what: 'an event that is missing',
    postgres: `IF NEW.timeline = 'rB' AND NEW.seq = 3 THEN RETURN NULL; END IF; RETURN NEW;`,
    sqlite: `DELETE FROM events WHERE timeline = 'rB' AND seq = 3`,
    table: 'events',
    told: /Timeline rB has 20 rows in the source, 19 now/,
  },
  {
    what: 'a key that is lost',
    postgres: 'NEW.key := NULL; RETURN NEW;',
    sqlite: 'UPDATE events SET key = NULL',
    table: 'events',
    told: /3 differences.*\n.*Timeline rA has as many/,
  },
  {
    what: 'another time',
    postgres: 'NEW.at := NEW.at + 1; RETURN NEW;',
    sqlite: `UPDATE events SET at = at + 1 WHERE timeline = 'rC'`,
    table: 'events',
    told: /Timeline rC has as many/,
  },
  {
    what: 'a password of somebody else',
    postgres: `NEW.password_hash := 'x'; RETURN NEW;`,
    sqlite: `UPDATE users SET password_hash = 'x'`,
    table: 'users',
    told: /The table users has as many rows/,
  },
  {
    what: 'a session too few',
    postgres: `IF NEW.id = 'sada' THEN RETURN NULL; END IF; RETURN NEW;`,
    sqlite: `DELETE FROM sessions WHERE id = 'sada'`,
    table: 'sessions',
    told: /The table sessions has 2 rows in the source, 1 now/,
  },
  {
    what: 'no room at all',
    postgres: 'RETURN NULL;',
    sqlite: 'DELETE FROM rooms',
    table: 'rooms',
    told: /The table rooms has 3 rows in the source, 0 now/,
  },
  {
    what: 'a head that is too high',
    postgres: 'NEW.head := NEW.head + 1; RETURN NEW;',
    sqlite: 'UPDATE timelines SET head = head + 1',
    table: 'timelines',
    told: /The table timelines has as many rows/,
  },
]

describe('verification finds', () => {
  for (const { what, sqlite, table, told } of LIES)
    test(`${what}, in SQLite`, async () => {
      const [folder, target] = [await filled(20), scratch()]
      await (await open(target)).close()
      const db = new Database(join(target, 'parley.db'))
      const last = table === 'events' ? ` WHEN NEW.timeline = 'rC' AND NEW.seq = 20` : ''
      db.run(`CREATE TRIGGER lie AFTER INSERT ON ${table}${last} BEGIN ${sqlite}; END`)
      db.close()
      await expectRefused(`sqlite:${folder}`, `sqlite:${target}`, told)
      const again = new RegExp(`${told.source}[^]*stays marked as unfinished`)
      await expectRefused(`sqlite:${folder}`, `sqlite:${target}`, again)
    })

  test('an event too many, in SQLite', async () => {
    const [folder, target] = [await filled(20), scratch()]
    await (await open(target)).close()
    const db = new Database(join(target, 'parley.db'))
    const row = `'rZ', 1, 'message', 'ada', 1, '{}', NULL`
    db.run(`CREATE TRIGGER lie AFTER INSERT ON timelines WHEN NEW.id = 'rA'
            BEGIN INSERT INTO users VALUES ('uZ', 'z', 'z', 1); END`)
    db.run(`CREATE TRIGGER more AFTER INSERT ON events WHEN NEW.timeline = 'rC' AND NEW.seq = 20
            BEGIN INSERT INTO events VALUES (${row}); END`)
    db.close()
    const errors = await expectRefused(`sqlite:${folder}`, `sqlite:${target}`, /2 differences/)
    expect(errors).toContain('The table users has 2 rows in the source, 3 now.')
    expect(errors).toContain('Timeline rZ has 0 rows in the source, 1 now.')
  })

  for (const { what, postgres: plpgsql, table, told } of LIES)
    test.skipIf(postgres === undefined)(`${what}, in PostgreSQL`, async () => {
      const [folder, url] = [await filled(20), await emptyPostgres(postgres!)]
      await postgres!.connect(url).unsafe(`
        CREATE FUNCTION lie() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${plpgsql} END $$;
        CREATE TRIGGER lie BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION lie()`)
      await expectRefused(`sqlite:${folder}`, url, told)
      const { errors } = await failsToServe({ DATABASE_URL: url })
      expect(errors).toMatch('a migration that has not ended')
    })
})

describe('a migration is refused', () => {
  test('while a server runs on the source, or on the target', async () => {
    const server = await ServerProcess.start()
    afterwards(() => server.stopAndForget())
    const other = `sqlite:${await filled(1)}`
    const target = scratch()
    await expectRefused(`sqlite:${server.folder}`, `sqlite:${target}`, 'Another Parley is running')
    await expectRefused(other, `sqlite:${server.folder}`, 'Another Parley is running')
    expect(existsSync(join(target, 'parley.db'))).toBe(false)
  })

  test('into what is not empty, which stays as it is', async () => {
    const [folder, full] = [await filled(1), await filled(2)]
    const before = bytesOf(full)
    await expectRefused(`sqlite:${folder}`, `sqlite:${full}`, 'is not empty')
    expect(bytesOf(full)).toEqual(before)
  })

  test('into the beginning of another one, and from a source that has changed since', async () => {
    const [folder, other, target] = [await filled(5), await filled(5), scratch()]
    await (await open(target)).close()
    const db = new Database(join(target, 'parley.db'))
    db.run(`CREATE TRIGGER stop BEFORE INSERT ON timelines BEGIN SELECT RAISE(ABORT, 'no'); END`)
    await expectRefused(`sqlite:${folder}`, `sqlite:${target}`, 'run the same command again')
    await expectRefused(`sqlite:${other}`, `sqlite:${target}`, 'part of another migration')
    const store = await open(folder)
    await store.touchSession('sada', 3_000, 9e15)
    await store.close()
    db.run('DROP TRIGGER stop')
    db.close()
    await expectRefused(`sqlite:${folder}`, `sqlite:${target}`, 'has changed since this one began')
  })

  test('from a log with a hole, or a head that is not its last event', async () => {
    for (const [damage, told] of [
      ['DELETE FROM events WHERE seq = 3', /timeline \w+ has a hole before event 4/],
      ['UPDATE timelines SET head = 4', /the head of timeline \w+ is not its last event/],
    ] as const) {
      const folder = await filled(5)
      const db = new Database(join(folder, 'parley.db'))
      db.run(damage)
      db.close()
      await expectRefused(`sqlite:${folder}`, `sqlite:${scratch()}`, told)
    }
  })

  test('from what is not there, is no database of ours, or of another schema', async () => {
    const folder = scratch()
    const into = `sqlite:${scratch()}`
    await expectRefused(`sqlite:${folder}`, into, `There is no Parley database at ${folder}`)
    expect(existsSync(join(folder, 'parley.db'))).toBe(false)
    const file = join(folder, 'notes.db')
    writeFileSync(file, 'this is no database')
    await expectRefused(
      `sqlite:${file}`,
      into,
      /notes.db cannot be used: file is not a database.\n$/,
    )
    const foreign = new Database(join(folder, 'foreign.db'), { create: true })
    foreign.run('CREATE TABLE things (name TEXT)')
    foreign.close()
    await expectRefused(`sqlite:${folder}/foreign.db`, into, 'is not one of Parley')
    await expectRefused(
      `sqlite:${await filled(1)}`,
      `sqlite:${file}`,
      'is a file: say which folder',
    )

    const old = await filled(1)
    const db = new Database(join(old, 'parley.db'))
    db.run('PRAGMA user_version = 99')
    await expectRefused(`sqlite:${old}`, into, /schema version 99.*Run the newer Parley/)
    db.close()
  })

  test.skipIf(postgres === undefined)(
    'from or into a PostgreSQL that is not fit for it',
    async () => {
      const folder = `sqlite:${await filled(1)}`
      const into = `sqlite:${scratch()}`
      const url = await postgres!.createDatabase()
      await expectRefused(url, into, 'is not one of Parley')
      const full = await emptyPostgres(postgres!)
      const database = postgres!.connect(full)
      await database`INSERT INTO rooms VALUES ('rD', 'D', 'd', 1, 'ada')`
      await expectRefused(folder, full, 'is not empty')
      await database`UPDATE meta SET value = '99' WHERE name = 'version'`
      await expectRefused(full, into, /schema version 99.*Run the newer Parley/)
      await expectRefused(folder, full, /schema version 99, newer than/)
    },
  )

  test('to an address nobody understands, or cannot reach, and its password is not shown', async () => {
    const [folder, other] = [`sqlite:${await filled(1)}`, `sqlite:${await filled(1)}`]
    const away = 'postgres://parley:hunter2@127.0.0.1:1/parley'
    const unreached = async (from: string, to: string) => {
      const errors = await expectRefused(from, to, /127.0.0.1:1\/parley cannot be used/)
      expect(errors).not.toContain('hunter2')
    }
    const refused = async (...args: string[]) => {
      const { code, errors } = await parley(['migrate', ...args])
      expect([args, code, errors]).toEqual([args, 2, expect.stringContaining('migrate --from')])
      expect(errors).not.toContain('hunter2')
    }
    await Promise.all([
      unreached(folder, away),
      unreached(away, other),
      refused(),
      refused('--from', folder),
      refused('--to', away),
      refused('--from', folder, '--to', 'mysql://me:hunter2@host/x'),
      refused('--from', folder, '--to', 'postgres://me:hunter2@'),
      refused('--from', folder, '--to', 'sqlite:'),
      refused('--from', folder, '--to', `${folder}/.`),
      refused('--from', folder, '--to', away, '--fast'),
    ])
  })
})
