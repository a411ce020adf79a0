/**
 * Moves a whole server from one database to another, whichever backends they have:
 *
 * 1. **Look.** The source must be sound; the target must be empty, or hold the beginning of this
 *    same migration. Which one that is, the source's fingerprint tells.
 * 2. **Mark.** The target is marked as unfinished, with that fingerprint and the source's epoch.
 * 3. **Copy.** Table after table, in the order of keys, a page at a time; each page is whole and on
 *    the disk before the next is written. So the greatest key says how far an interrupted migration
 *    came, without a note that could be wrong, and nothing is ever written twice.
 * 4. **Verify.** Both are read from beginning to end, and their checksums compared. Then the source
 *    is looked at afresh: its fingerprint must be the one it began with.
 * 5. **Unmark.** Only now will a server start on the target.
 *
 * The source is never written. Whatever fails leaves the mark, and can be run again.
 */
import {
  countRows,
  DatabaseFailure,
  events,
  type Fingerprint,
  findWrongHead,
  fingerprintOf,
  lastKey,
  pagesOf,
  type Row,
  type SourceDatabase,
  type Table,
  type TargetDatabase,
  tables,
} from './migrate-database.ts'
import { compare } from './migrate-verify.ts'
import { UNFINISHED } from './unfinished.ts'

export interface Migrated {
  contents: Fingerprint
  /** SHA-256 over all that was moved, in hexadecimal. */
  checksum: string
  /** Rows that an earlier, interrupted run had copied. */
  resumedRows: number
}

/** Told how many rows are done, of how many. */
export type OnStage = (stage: 'copying' | 'verifying', done: number, of: number) => void

/** Rejects with a sentence for people. */
export async function migrate(
  source: SourceDatabase,
  target: TargetDatabase,
  tell: OnStage,
): Promise<Migrated> {
  const contents = await fingerprintOf(source)
  await refuseUnsound(source)
  await prepare(target, source.name, contents)
  try {
    const resumedRows = await countAll(target)
    await copyAll(source, target, resumedRows, (rows) => tell('copying', rows, rowsIn(contents)))
    const checksum = await verify(source, target, contents, (rows) =>
      tell('verifying', rows, rowsIn(contents)),
    )
    await target.settle()
    await target.change('DELETE FROM meta WHERE name = $1', [UNFINISHED])
    return { contents, checksum, resumedRows }
  } catch (error) {
    if (!(error instanceof DatabaseFailure)) throw error
    throw new Error(
      `${error.message} Nothing is lost: mend that, run the same command again, and it goes on ` +
        'from where it was.',
    )
  }
}

function rowsIn({ users, sessions, rooms, timelines, events }: Fingerprint): number {
  return users + sessions + rooms + timelines + events
}

async function countAll(target: TargetDatabase): Promise<number> {
  let rows = 0
  for (const table of tables) rows += await countRows(target, table)
  return rows
}

async function refuseUnsound(source: SourceDatabase): Promise<void> {
  const timeline = await findWrongHead(source)
  if (timeline !== undefined)
    throw new Error(
      `${source.name} is damaged: the head of timeline ${timeline} is not its last event. ` +
        'Nothing was copied.',
    )
}

async function prepare(target: TargetDatabase, from: string, contents: Fingerprint): Promise<void> {
  const mark = JSON.stringify(contents)
  const [found] = await target.rows('SELECT value FROM meta WHERE name = $1', [UNFINISHED])
  if (found?.[0] === mark) return
  if (found !== undefined)
    throw new Error(
      `${target.name} holds part of another migration, or ${from} has changed since this one ` +
        'began. Stop whatever writes to the source, empty the target, and begin anew.',
    )
  if ((await countAll(target)) > 0)
    throw new Error(
      `${target.name} is not empty. A migration only fills an empty database: make a new one.`,
    )
  await target.change(
    `INSERT INTO meta VALUES ($1, $2), ('epoch', $3)
     ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
    [UNFINISHED, mark, contents.epoch],
  )
}

async function copyAll(
  source: SourceDatabase,
  target: TargetDatabase,
  resumedRows: number,
  tell: (rows: number) => void,
): Promise<void> {
  let done = resumedRows
  tell(done)
  for (const table of tables)
    await copy(source, target, table, (rows) => {
      done += rows
      tell(done)
    })
}

async function copy(
  source: SourceDatabase,
  target: TargetDatabase,
  table: Table,
  tell: (rows: number) => void,
): Promise<void> {
  let last = await lastKey(target, table)
  for await (const rows of pagesOf(source, table, last)) {
    if (table === events) refuseHole(rows, last, source.name)
    await target.insert(table, rows)
    last = rows.at(-1)!
    tell(rows.length)
  }
}

/** Each timeline must be numbered 1, 2, 3 …; `last` is the row before, or its key. */
function refuseHole(rows: readonly Row[], last: Row, name: string): void {
  let [timeline, seq] = last as [string, number]
  for (const row of rows) {
    const expected = row[0] === timeline ? seq + 1 : 1
    ;[timeline, seq] = row as unknown as [string, number]
    if (seq !== expected)
      throw new Error(
        `${name} is damaged: timeline ${timeline} has a hole before event ${seq}. ` +
          'Look at it with "parley inspect", or restore a backup.',
      )
  }
}

/** The checksum of both, which is the same. */
async function verify(
  source: SourceDatabase,
  target: TargetDatabase,
  contents: Fingerprint,
  tell: (rows: number) => void,
): Promise<string> {
  let done = 0
  tell(done)
  const { checksum, different, examples } = await compare(source, target, (rows) => {
    done += rows
    tell(done)
  })
  if (different > 0)
    throw new Error(
      `${target.name} does not hold what ${source.name} holds; ${different} differences, such ` +
        `as:\n${examples.map((one) => `  ${one}\n`).join('')}` +
        'It stays marked as unfinished. Empty it, and begin anew.',
    )
  await source.refresh()
  if (JSON.stringify(await fingerprintOf(source)) !== JSON.stringify(contents))
    throw new Error(
      `${source.name} has changed while it was copied: something still writes there. Stop it, ` +
        `empty ${target.name}, which stays marked as unfinished, and begin anew.`,
    )
  return checksum
}
