/** `parley migrate`: moves a whole server between SQLite and PostgreSQL. */
import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Migrated, migrate } from '../store/migrate.ts'
import type { SourceDatabase, TargetDatabase } from '../store/migrate-database.ts'
import { openPostgresSource, openPostgresTarget } from '../store/postgres-migrate.ts'
import { openSqliteSource, openSqliteTarget } from '../store/sqlite-migrate.ts'
import { count } from './backup.ts'
import { type Command, Misuse } from './command.ts'
import { ProgressBar } from './progress.ts'

const USAGE = 'parley migrate --from sqlite:FOLDER --to postgres://… (or the other way round)'
const SQLITE = 'sqlite:'

export const migrateCommand: Command = {
  name: 'migrate',
  usage: '--from ADDRESS --to ADDRESS',
  about:
    'Moves a stopped server, all of it, to an empty database: sqlite:FOLDER or postgres://…. ' +
    'Verifies every timeline; once interrupted, the same command goes on.',
  options: { from: { type: 'string' }, to: { type: 'string' } },
  async run({ from, to }) {
    if (from === undefined || to === undefined)
      throw new Misuse(`Say from where to where: ${USAGE}`)
    for (const address of [from, to]) refuseUnknown(address)
    if (identityOf(from) === identityOf(to))
      throw new Misuse(`From and to are the same database. ${USAGE}`)
    const source = await openSource(from)
    try {
      await moveFrom(source, to)
    } finally {
      await source.close()
    }
  },
}

async function moveFrom(source: SourceDatabase, to: string): Promise<void> {
  const target = await openTarget(to)
  const bars = {
    copying: new ProgressBar('copying', process.stderr),
    verifying: new ProgressBar('verifying', process.stderr),
  }
  try {
    const moving = migrate(source, target, (stage, done, of) => bars[stage].show(done, of))
    console.log(inWords(await moving.finally(() => bars.verifying.end())))
  } finally {
    await target.close()
  }
}

function inWords({ contents, checksum, resumedRows }: Migrated): string {
  const { users, rooms, timelines, events } = contents
  const resumed = resumedRows > 0 ? ` ${count(resumedRows, 'row')} were there already.` : ''
  return (
    `Moved ${count(users, 'user')}, ${count(rooms, 'room')}, ${count(timelines, 'timeline')}, ` +
    `${count(events, 'event')}, and verified them: both databases have the same checksums, in ` +
    `all ${checksum}.${resumed}\nThe epoch is the same, so cursors, sessions and idempotency ` +
    'keys stay good. Never start a server on the source again: it would give out the same ' +
    'numbers for other messages.'
  )
}

function isPostgres(address: string): boolean {
  return /^postgres(ql)?:\/\//.test(address)
}

/** Addresses are not repeated: a password may be in there. */
function refuseUnknown(address: string): void {
  const isKnown = isPostgres(address)
    ? URL.canParse(address) && new URL(address).hostname !== ''
    : address.startsWith(SQLITE) && address.length > SQLITE.length
  if (!isKnown) throw new Misuse(`An address is sqlite:FOLDER or postgres://….\nUsage: ${USAGE}`)
}

function openSource(address: string): Promise<SourceDatabase> | SourceDatabase {
  return isPostgres(address) ? openPostgresSource(address) : openSqliteSource(pathOf(address))
}

function openTarget(address: string): Promise<TargetDatabase> | TargetDatabase {
  return isPostgres(address) ? openPostgresTarget(address) : openSqliteTarget(pathOf(address))
}

function pathOf(address: string): string {
  return address.slice(SQLITE.length)
}

function identityOf(address: string): string {
  if (isPostgres(address)) {
    const { host, pathname } = new URL(address)
    return `${host}${pathname}`
  }
  try {
    return realpathSync(pathOf(address))
  } catch {
    return resolve(pathOf(address))
  }
}
