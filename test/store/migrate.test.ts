/** What a migration holds in memory at once, and how two databases are compared. */
import { afterAll, afterEach, describe, expect, test } from 'bun:test'
import {
  events,
  PAGE_BYTES_MAX,
  PAGE_ROWS_MAX,
  pagesOf,
  type Row,
  type TargetDatabase,
  tables,
} from '../../src/store/migrate-database.ts'
import { compare } from '../../src/store/migrate-verify.ts'
import { openPostgresTarget } from '../../src/store/postgres-migrate.ts'
import { openSqliteTarget } from '../../src/store/sqlite-migrate.ts'
import { scratchFolder } from '../harness.ts'
import { findPostgres, PostgresServer } from '../services/postgres.ts'

const programs = await findPostgres()
const postgres = programs === undefined ? undefined : await PostgresServer.start(programs)
afterAll(() => postgres?.remove())

const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one()
})

async function sqlite(): Promise<TargetDatabase> {
  const { path, remove } = scratchFolder()
  const database = openSqliteTarget(path)
  undo.push(remove, () => database.close())
  return database
}

async function shared(): Promise<TargetDatabase> {
  const database = await openPostgresTarget(await postgres!.createDatabase())
  undo.push(() => database.close())
  return database
}

function row(timeline: string, seq: number, body = '{}'): Row {
  return [timeline, seq, 'message', 'ada', 1_000, body, seq % 2 === 0 ? null : `${seq}`]
}

function rows(count: number, body?: string): Row[] {
  return Array.from({ length: count }, (_, n) => row('rA', n + 1, body))
}

/** How many rows each page has. */
async function pageSizes(database: TargetDatabase): Promise<number[]> {
  const sizes: number[] = []
  let seq = 0
  for await (const page of pagesOf(database, events, events.start)) {
    sizes.push(page.length)
    for (const one of page) expect(one[1]).toBe(++seq)
  }
  return sizes
}

for (const [name, make] of [
  ['SQLite', sqlite],
  ['PostgreSQL', shared],
] as const)
  describe.skipIf(make === shared && postgres === undefined)(`a page of ${name}`, () => {
    test(`has at most ${PAGE_ROWS_MAX} rows`, async () => {
      const database = await make()
      await database.insert(events, rows(PAGE_ROWS_MAX))
      expect(await pageSizes(database)).toEqual([PAGE_ROWS_MAX])
      await database.insert(events, [row('rA', PAGE_ROWS_MAX + 1)])
      expect(await pageSizes(database)).toEqual([PAGE_ROWS_MAX, 1])
    })

    test(`ends with the row that reaches ${PAGE_BYTES_MAX} bytes`, async () => {
      const [full, short] = [await make(), await make()]
      await full.insert(events, rows(5, 'x'.repeat(PAGE_BYTES_MAX / 4)))
      expect(await pageSizes(full)).toEqual([4, 1])
      await short.insert(events, rows(5, 'x'.repeat(PAGE_BYTES_MAX / 4 - 1)))
      expect(await pageSizes(short)).toEqual([5])
    })

    test('has one row at least, however long that is', async () => {
      const database = await make()
      await database.insert(events, rows(3, 'é'.repeat(PAGE_BYTES_MAX)))
      expect(await pageSizes(database)).toEqual([1, 1, 1])
    })

    test('goes in as a whole or not at all', async () => {
      const database = await make()
      await database.insert(events, rows(2))
      const clash = database.insert(events, [row('rB', 1), row('rA', 2)])
      await expect(clash).rejects.toThrow(/unique/i)
      expect(await pageSizes(database)).toEqual([2])
    })
  })

describe('what is moved', () => {
  const known = tables.map(({ name, columns }) => [name, columns.map((column) => column.name)])
  const byTable = (rows: Row[]) => {
    const all = new Map<string, string[]>()
    for (const [table, column] of rows as [string, string][])
      all.set(table, [...(all.get(table) ?? []), column])
    return [...all].sort()
  }

  test('is every column of every table but meta, in SQLite', async () => {
    const rows = await (await sqlite()).rows(
      `SELECT tables.name, columns.name FROM sqlite_schema AS tables, pragma_table_info(tables.name)
       AS columns WHERE tables.type = 'table' AND tables.name <> 'meta' ORDER BY 1, columns.cid`,
    )
    expect(byTable(rows)).toEqual(known.sort() as never)
  })

  test.skipIf(postgres === undefined)('is the same in PostgreSQL', async () => {
    const rows = await (await shared()).rows(
      `SELECT table_name::text, column_name::text FROM information_schema.columns
       WHERE table_schema = 'public' AND table_name <> 'meta' ORDER BY 1, ordinal_position`,
    )
    expect(byTable(rows)).toEqual(known.sort() as never)
  })
})

describe('a comparison', () => {
  const ROOMS = ['rA', 'rB', 'rC', 'rD', 'rE', 'rF']
  const filled = async (change: (timeline: string) => string) => {
    const database = await sqlite()
    for (const room of ROOMS)
      await database.insert(events, [row(room, 1), row(room, 2, change(room))])
    return database
  }

  test('tells five differences in words, and counts the others', async () => {
    const source = await filled(() => '{}')
    const five = await filled((room) => (room === 'rC' ? '{}' : '{"a":1}'))
    const six = await filled(() => '{"a":1}')
    expect(await compare(source, five, () => {})).toMatchObject({ different: 5 })
    const { different, examples } = await compare(source, six, () => {})
    expect([different, examples.length]).toEqual([6, 5])
  })

  test('does not depend on where pages end', async () => {
    const [one, other] = [await sqlite(), await sqlite()]
    await one.insert(events, [...rows(PAGE_ROWS_MAX - 1), row('rB', 1), row('rB', 2)])
    await other.insert(events, [row('aA', 1), ...rows(PAGE_ROWS_MAX - 1)])
    await other.insert(events, [row('rB', 1), row('rB', 2)])
    const { different, examples } = await compare(one, other, () => {})
    expect([different, examples]).toEqual([1, ['Timeline aA has 0 rows in the source, 1 now.']])
  })

  test.skipIf(postgres === undefined)('gives the same for both backends', async () => {
    const [one, other] = [await sqlite(), await shared()]
    const odd = ['{"t":"\\u0000 \\\\N \\t"}', '{"t":"ẞ 👍🏽 \uffff"}', `{"t":"it's {\\"a,b\\"}"}`]
    for (const database of [one, other])
      await database.insert(
        events,
        odd.map((body, n) => row('rA', n + 1, body)),
      )
    const { different, checksum } = await compare(one, other, () => {})
    expect(different).toBe(0)
    expect((await compare(other, one, () => {})).checksum).toBe(checksum)
    await other.change('UPDATE events SET at = at + $1', [1])
    expect(await compare(one, other, () => {})).toMatchObject({ different: 1, checksum })
  })
})
