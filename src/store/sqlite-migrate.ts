/** The embedded database as either end of a migration. It is synchronous: nothing else goes on. */
import { constants, Database, type SQLQueryBindings, type Statement } from 'bun:sqlite'
import { existsSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  DatabaseFailure,
  DISK_IS_FULL,
  type Row,
  type SourceDatabase,
  type Table,
  type TargetDatabase,
} from './migrate-database.ts'
import { sqliteMigrations } from './migrations/sqlite.ts'
import { openForWriting } from './sqlite-database.ts'
import { DATABASE_FILE, takeLock } from './sqlite-files.ts'
import { refuseUnfinished, UNFINISHED } from './unfinished.ts'

/**
 * Opens the database in a data folder, which no server may use meanwhile, or a file such as a
 * backup, which none uses. Throws a sentence for people.
 */
export function openSqliteSource(path: string): SourceDatabase {
  const file = existsSync(path) && statSync(path).isDirectory() ? join(path, DATABASE_FILE) : path
  if (!existsSync(file)) throw new Error(`There is no Parley database at ${path}.`)
  const lock = basename(file) === DATABASE_FILE ? takeLock(dirname(file)) : undefined
  const name = `The SQLite database ${file}`
  let connection: Connection | undefined
  const open = () => {
    connection?.close()
    connection = new Connection(openUnchanged(file, name), name)
    connection.rows('BEGIN')
    return connection
  }
  const close = () => {
    connection?.close()
    lock?.close()
  }
  try {
    refuseForeign(open(), name)
  } catch (error) {
    close()
    throw error
  }
  return {
    name,
    rows: async (sql, values) => connection!.rows(sql, values),
    refresh: async () => void open(),
    close: async () => close(),
  }
}

/**
 * Without a log beside it the file is all there is, and nobody writes it, so SQLite is told to make
 * neither log nor index there. With one, posts may be in it: it is read, and left as it is.
 */
function openUnchanged(file: string, name: string): Database {
  const address = pathToFileURL(resolve(file)).href
  const options = existsSync(`${file}-wal`) ? '' : '?immutable=1'
  const flags = constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI
  try {
    return new Database(address + options, flags)
  } catch (error) {
    throw new DatabaseFailure(name, (error as Error).message)
  }
}

function refuseForeign(connection: Connection, name: string): void {
  const version = connection.rows('PRAGMA user_version')[0]![0] as number
  const known = sqliteMigrations.length
  if (version === 0) throw new Error(`${name} is not one of Parley.`)
  if (version !== known)
    throw new Error(
      `${name} has schema version ${version}, and this Parley moves version ${known}. ` +
        (version > known ? 'Run the newer Parley.' : 'Start a server of this version on it once.'),
    )
  const [mark] = connection.rows('SELECT value FROM meta WHERE name = $1', [UNFINISHED])
  refuseUnfinished(mark?.[0] as string | undefined, name)
}

/** Opens the database in a data folder, and makes both if need be. Throws a sentence for people. */
export function openSqliteTarget(folder: string): TargetDatabase {
  if (existsSync(folder) && !statSync(folder).isDirectory())
    throw new Error(`${folder} is a file: say which folder the database is to be made in.`)
  const { db, lock } = openForWriting(folder)
  const connection = new Connection(db, `The SQLite database in ${folder}`)
  return {
    name: connection.name,
    rows: async (sql, values) => connection.rows(sql, values),
    change: async (sql, values) => void connection.rows(sql, values),
    insert: async (table, rows) => connection.insert(table, rows),
    // The lock has kept servers away.
    settle: async () => void connection.rows('PRAGMA optimize'),
    close: async () => {
      connection.close()
      lock.close()
    },
  }
}

class Connection {
  readonly name: string
  readonly #db: Database
  readonly #statements = new Map<string, Statement>()

  constructor(db: Database, name: string) {
    this.#db = db
    this.name = name
  }

  rows(sql: string, values: Row = []): Row[] {
    return this.#tell(() => this.#statement(sql).values(...(values as SQLQueryBindings[]))) as Row[]
  }

  /** One transaction; it goes wrong as a whole. */
  insert({ name, columns }: Table, rows: readonly Row[]): void {
    const places = columns.map(() => '?').join(', ')
    this.#tell(() => {
      const statement = this.#statement(`INSERT INTO ${name} VALUES (${places})`)
      const insertAll = this.#db.transaction(() => {
        for (const row of rows) statement.run(...(row as SQLQueryBindings[]))
      })
      insertAll.immediate()
    })
  }

  close(): void {
    for (const statement of this.#statements.values()) statement.finalize()
    this.#statements.clear()
    this.#db.close()
  }

  #statement(sql: string): Statement {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#db.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }

  #tell<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      const { code = '', message } = error as { code?: string; message: string }
      throw new DatabaseFailure(this.name, code === 'SQLITE_FULL' ? DISK_IS_FULL : message)
    }
  }
}
