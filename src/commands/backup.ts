/** `parley backup` and `parley restore`, for the embedded store. */
import type { Config } from '../config.ts'
import { backUp, type Contents, inspect, restore } from '../store/sqlite-backup.ts'
import { type Command, Misuse } from './command.ts'
import { ProgressBar } from './progress.ts'

export const backupCommand: Command = {
  name: 'backup',
  usage: '--to FILE',
  about: 'Copies the database in DATA_DIR to FILE, while the server runs, and checks the copy.',
  options: { to: { type: 'string' } },
  async run({ to }, config) {
    if (to === undefined) throw new Misuse('Say where to: parley backup --to FILE')
    refuseOther(config)
    const bar = new ProgressBar('backing up', process.stderr)
    const contents = await backUp(config.dataDir, to, (done, of) => bar.show(done, of))
    bar.end()
    console.log(`Backed up ${words(contents)} to ${to}, and checked it.`)
  },
}

export const restoreCommand: Command = {
  name: 'restore',
  usage: '--from FILE',
  about: 'Puts a backup into DATA_DIR, where there must be no database, under a new epoch.',
  options: { from: { type: 'string' } },
  async run({ from }, config) {
    if (from === undefined) throw new Misuse('Say what from: parley restore --from FILE')
    refuseOther(config)
    const bar = new ProgressBar('restoring', process.stderr)
    const contents = await restore(from, config.dataDir, (done, of) => bar.show(done, of))
    bar.end()
    console.log(
      `Restored ${words(contents)} into ${config.dataDir}, and checked it.\n` +
        `Its epoch is new, so older cursors are refused, and everyone signs in anew.`,
    )
  },
}

export const inspectCommand: Command = {
  name: 'inspect',
  usage: '--file FILE',
  about: 'Opens a backup, looks through all of it and says what it holds. Changes nothing.',
  options: { file: { type: 'string' } },
  async run({ file }) {
    if (file === undefined) throw new Misuse('Say which: parley inspect --file FILE')
    console.log(`${file} is in order: ${words(inspect(file))}.`)
  },
}

function refuseOther({ databaseUrl }: Config): void {
  if (databaseUrl !== '')
    throw new Error(
      'DATABASE_URL is set: a PostgreSQL database is backed up with its own tools, such as ' +
        'pg_dump. Unset it to work on the embedded database in DATA_DIR.',
    )
}

function words({ users, rooms, timelines, events, bytes }: Contents): string {
  const size = `${(bytes / 1e6).toFixed(1)} MB`
  return [
    count(users, 'user'),
    count(rooms, 'room'),
    count(timelines, 'timeline'),
    `${count(events, 'event')} (${size})`,
  ].join(', ')
}

export function count(number: number, what: string): string {
  return `${number.toLocaleString('en')} ${what}${number === 1 ? '' : 's'}`
}
