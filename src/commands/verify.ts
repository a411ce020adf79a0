/** `parley verify`: the promises, on one's own machine. */
import { existsSync } from 'node:fs'
import { arch, cpus, release, type } from 'node:os'
import { dirname, resolve } from 'node:path'
import { systemClock } from '../clock.ts'
import { type Config, settings } from '../config.ts'
import { isoTime } from '../events.ts'
import { serveCommand } from '../scripts.ts'
import { restore } from '../store/sqlite-backup.ts'
import { EmbeddedServer, type OnTrial, serverAt } from '../verify/on-trial.ts'
import { hasPassed, refusalReportOf, reportOf } from '../verify/report.ts'
import { ScratchCluster } from '../verify/scratch-cluster.ts'
import { StartRefused } from '../verify/scratch-server.ts'
import { runTrial, type TrialOptions } from '../verify/trial.ts'
import { version } from '../version.ts'
import { type Command, Misuse } from './command.ts'
import { ProgressBar } from './progress.ts'

const DEFAULTS = { people: 24, seconds: 20, kills: 5 }
const PEOPLE_MAX = 500
const SECONDS_MAX = 86_400
const KILLS_MAX = 10_000

export const verifyCommand: Command = {
  name: 'verify',
  usage:
    '[--database URL [--nats URL] | --url URL | --backup FILE] ' +
    '[--people N] [--seconds S] [--kills K]',
  about:
    'Puts a server of its own on trial, or two on a PostgreSQL and a NATS, or the one at URL, or ' +
    'one on a backup: people talk, connections are cut, processes are killed. Exit code 0 if ' +
    'every promise held.',
  options: {
    database: { type: 'string' },
    nats: { type: 'string' },
    url: { type: 'string' },
    backup: { type: 'string' },
    people: { type: 'string' },
    seconds: { type: 'string' },
    kills: { type: 'string' },
  },
  async run(values, config) {
    const { url, people, seconds, kills } = values
    refuseContradictions(values)
    refuseBadAddresses(values)
    const given = {
      people: numberOf('people', people, 2, PEOPLE_MAX),
      seconds: numberOf('seconds', seconds, 1, SECONDS_MAX),
      kills: url === undefined ? numberOf('kills', kills, 0, KILLS_MAX) : 0,
    }
    const interrupted = interruption()
    const onTrial = await prepare(values, config)
    try {
      await Promise.race([interrupted, putOnTrial(onTrial, given)])
    } finally {
      await onTrial.remove()
    }
  },
}

type Values = Parameters<Command['run']>[0]
type Given = Pick<TrialOptions, 'people' | 'seconds' | 'kills'>

function refuseContradictions({ database, nats, url, backup, kills }: Values): void {
  if (url !== undefined && (backup ?? kills ?? database ?? nats) !== undefined)
    throw new Misuse(
      'A server that is not ours is not killed, and runs on no backup or database of yours.',
    )
  if (backup !== undefined && (database ?? nats) !== undefined)
    throw new Misuse('A backup is one of SQLite: it cannot be restored into a PostgreSQL.')
}

function refuseBadAddresses({ database, nats }: Values): void {
  for (const [name, address, { parse }] of [
    ['database', database, settings.databaseUrl],
    ['nats', nats, settings.natsUrl],
  ] as const)
    try {
      if (address !== undefined) parse(address)
    } catch (error) {
      // Not the address itself, which may hold a password.
      throw new Misuse(`--${name} is ${(error as Error).message}.`)
    }
}

/** Where the server would keep its data: it is that disk, or that database, which is on trial. */
async function prepare({ url, backup, database, nats }: Values, config: Config): Promise<OnTrial> {
  if (url !== undefined) return serverAt(url)
  const databaseUrl = database ?? (backup === undefined ? config.databaseUrl : '')
  // One that is named goes without the environment's NATS, which belongs to another database.
  const natsUrl = nats ?? (database === undefined ? config.natsUrl : '')
  const command = serveCommand()
  if (databaseUrl !== '') return ScratchCluster.make(command, databaseUrl, natsUrl)
  if (nats !== undefined)
    throw new Misuse('NATS joins nodes that share a PostgreSQL: name it, too, by --database.')
  const server = new EmbeddedServer(command, existingFolder(config.dataDir))
  if (backup === undefined) return server
  try {
    server.about = await restoreInto(server.folder, backup)
    return server
  } catch (error) {
    await server.remove()
    throw error
  }
}

/** Prints the report. */
async function putOnTrial(onTrial: OnTrial, given: Given): Promise<void> {
  const told = { subject: onTrial.subject, circumstances: circumstances() }
  const bar = new ProgressBar('on trial', process.stderr)
  try {
    await onTrial.start()
    const { urls, servers } = onTrial
    const tell = (share: number) => bar.show(share, 1)
    const outcome = await runTrial({ ...given, urls, servers, tell })
    bar.end()
    const verdict = { ...given, ...outcome, ...told, durability: await onTrial.testify() }
    console.log(reportOf(verdict))
    if (!hasPassed(verdict)) process.exitCode = 1
  } catch (error) {
    // At the start, or when it was to come back after a kill: that it says why is the verdict.
    if (!(error instanceof StartRefused)) throw error
    bar.end()
    console.log(refusalReportOf(told, error.message))
    process.exitCode = 1
  }
}

/** Rejects when the user has had enough; the second time nothing holds the process back. */
function interruption(): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  // It may come while nobody waits for it yet.
  promise.catch(() => {})
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => reject(new Error('Interrupted: nothing was decided.')))
  return promise
}

/** Says what was restored. */
async function restoreInto(folder: string, backup: string): Promise<string> {
  const bar = new ProgressBar('restoring', process.stderr)
  const { users, rooms, events } = await restore(backup, folder, (done, of) => bar.show(done, of))
  bar.end()
  const contents = `${users} users, ${rooms} rooms, ${events} events, no hole`
  return `,\n             restored from ${backup}: ${contents}`
}

/** The nearest folder above that is there. */
function existingFolder(path: string): string {
  const absolute = resolve(path)
  return existsSync(absolute) ? absolute : existingFolder(dirname(absolute))
}

function circumstances(): string {
  const [{ model = 'unknown processor' } = {}] = cpus()
  const machine = `${model.trim()} × ${cpus().length}, ${type()} ${release()} ${arch()}`
  return `Parley ${version}, ${isoTime(systemClock.now())}, ${machine}`
}

function numberOf(
  name: keyof typeof DEFAULTS,
  text: string | undefined,
  min: number,
  max: number,
): number {
  const value = text === undefined ? DEFAULTS[name] : /^\d{1,9}$/.test(text) ? Number(text) : -1
  if (value < min || value > max)
    throw new Misuse(`--${name} must be a whole number from ${min} to ${max}.`)
  return value
}
