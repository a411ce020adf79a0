/**
 * Whether two databases hold the same. Each is read from its beginning to its end, by keys, and
 * summed up in sections: one for each table, and of the events one for each timeline. A section's
 * checksum is SHA-256 over its rows as JSON, which does not depend on how a database keeps them.
 * The sections of both are in the same order, so they are compared as they come and none is kept.
 */
import { createHash } from 'node:crypto'
import { events, pagesOf, type ReadableDatabase, type Row, tables } from './migrate-database.ts'

interface Section {
  /** In the order of the tables, and then of the timelines. */
  place: readonly [table: number, timeline: string]
  rows: number
  checksum: string
}

export interface Comparison {
  /** Over all checksums of the source: the same wherever this server's data is. */
  checksum: string
  /** How many sections are not the same. */
  different: number
  /** Sentences about the first of them. */
  examples: string[]
}

/** Differences that are told in words. */
const EXAMPLES_MAX = 5

/** `tell` hears of each page of the source how many rows it had. */
export async function compare(
  source: ReadableDatabase,
  target: ReadableDatabase,
  tell: (rows: number) => void,
): Promise<Comparison> {
  const [ours, theirs] = [sectionsOf(source, tell), sectionsOf(target, () => {})]
  const whole = createHash('sha256')
  const result: Comparison = { checksum: '', different: 0, examples: [] }
  let [one, other] = await Promise.all([next(ours), next(theirs)])
  while (one !== undefined || other !== undefined) {
    const order = compareSections(one, other)
    // A section that only one side has is held against an empty one.
    const there = order <= 0 ? one : undefined
    const copied = order >= 0 ? other : undefined
    if (there?.checksum !== copied?.checksum) {
      result.different += 1
      if (result.examples.length < EXAMPLES_MAX) result.examples.push(inWords(there, copied))
    }
    if (there !== undefined) whole.update(`${there.place.join(' ')} ${there.checksum}\n`)
    ;[one, other] = await Promise.all([
      order <= 0 ? next(ours) : one,
      order >= 0 ? next(theirs) : other,
    ])
  }
  result.checksum = whole.digest('hex')
  return result
}

async function next(sections: AsyncGenerator<Section, void>): Promise<Section | undefined> {
  return (await sections.next()).value ?? undefined
}

/** Negative if the first comes first, 0 if both are about the same. One that is missing is last. */
function compareSections(one: Section | undefined, other: Section | undefined): number {
  if (one === undefined || other === undefined) return one === undefined ? 1 : -1
  const [table, timeline] = one.place
  const [otherTable, otherTimeline] = other.place
  if (table !== otherTable) return table - otherTable
  // Ids are ASCII, which sorts here as it does in the databases.
  return timeline === otherTimeline ? 0 : timeline < otherTimeline ? -1 : 1
}

function inWords(there: Section | undefined, copied: Section | undefined): string {
  const [table, timeline] = (there ?? copied)!.place
  const { name } = tables[table]!
  const what = timeline === '' ? `The table ${name}` : `Timeline ${timeline}`
  const rows = [there, copied].map((section) => section?.rows ?? 0)
  if (rows[0] !== rows[1]) return `${what} has ${rows[0]} rows in the source, ${rows[1]} now.`
  return `${what} has as many rows as in the source, but not the same.`
}

async function* sectionsOf(
  database: ReadableDatabase,
  tell: (rows: number) => void,
): AsyncGenerator<Section, void> {
  for (const [index, table] of tables.entries()) {
    let sum: Sum | undefined
    for await (const rows of pagesOf(database, table, table.start)) {
      for (const run of table === events ? runsOf(rows) : [rows]) {
        const timeline = table === events ? (run[0]![0] as string) : ''
        if (sum?.place[1] !== timeline) {
          if (sum !== undefined) yield sum.end()
          sum = new Sum([index, timeline])
        }
        sum.add(run)
      }
      tell(rows.length)
    }
    if (sum !== undefined) yield sum.end()
  }
}

/** A section that is being read. */
class Sum {
  readonly place: Section['place']
  readonly #hash = createHash('sha256')
  #rows = 0

  constructor(place: Section['place']) {
    this.place = place
  }

  add(rows: readonly Row[]): void {
    // A comma behind the last one, too: where a page ends makes no difference then.
    this.#hash.update(`${JSON.stringify(rows).slice(1, -1)},`)
    this.#rows += rows.length
  }

  end(): Section {
    return { place: this.place, rows: this.#rows, checksum: this.#hash.digest('hex') }
  }
}

/** Cuts rows of events where one timeline ends and the next begins. */
function runsOf(rows: readonly Row[]): Row[][] {
  const runs: Row[][] = []
  for (const row of rows) {
    const run = runs.at(-1)
    if (run !== undefined && run[0]![0] === row[0]) run.push(row)
    else runs.push([row])
  }
  return runs
}
