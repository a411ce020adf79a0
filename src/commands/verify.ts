/** `parley verify`: the promises, on one's own machine. */
import { existsSync } from 'node:fs'
import { arch, cpus, release, type } from 'node:os'
import { dirname, resolve } from 'node:path'
import { systemClock } from '../clock.ts'
import type { Config } from '../config.ts'
import { isoTime } from '../events.ts'
import { serveCommand } from '../scripts.ts'
import { restore } from '../store/sqlite-backup.ts'
import { countFlushes } from '../verify/flushes.ts'
import { hasPassed, reportOf, type Verdict } from '../verify/report.ts'
import { ScratchServer } from '../verify/scratch-server.ts'
import { type Outcome, runTrial, type TrialOptions } from '../verify/trial.ts'
import { version } from '../version.ts'
import { type Command, Misuse } from './command.ts'
import { ProgressBar } from './progress.ts'

const DEFAULTS = { people: 24, seconds: 20, kills: 5 }
const PEOPLE_MAX = 500
const SECONDS_MAX = 86_400
const KILLS_MAX = 10_000

export const verifyCommand: Command = {
  name: 'verify',
  usage: '[--url URL | --backup FILE] [--people N] [--seconds S] [--kills K]',
  about:
    'Puts a server of its own on trial, or the one at URL, or one on a backup: people talk, ' +
    'connections are cut, its process is killed. Exit code 0 if every promise held.',
  options: {
    url: { type: 'string' },
    backup: { type: 'string' },
    people: { type: 'string' },
    seconds: { type: 'string' },
    kills: { type: 'string' },
  },
  async run({ url, backup, people, seconds, kills }, config) {
    if (url !== undefined && (backup !== undefined || kills !== undefined))
      throw new Misuse('A server that is not ours is not killed, and runs on no backup of yours.')
    const given = {
      people: numberOf('people', people, 2, PEOPLE_MAX),
      seconds: numberOf('seconds', seconds, 1, SECONDS_MAX),
      kills: url === undefined ? numberOf('kills', kills, 0, KILLS_MAX) : 0,
    }
    const verdict =
      url === undefined ? await tryOwn(given, backup, config) : await tryAt(url, given)
    console.log(reportOf(verdict))
    if (!hasPassed(verdict)) process.exitCode = 1
  },
}

type Given = Pick<TrialOptions, 'people' | 'seconds' | 'kills'>

/** A server of our own, where the data would be, so that it is that disk which is on trial. */
async function tryOwn(given: Given, backup: string | undefined, config: Config): Promise<Verdict> {
  const server = new ScratchServer(serveCommand(), existingFolder(config.dataDir))
  try {
    const restored = backup === undefined ? undefined : await restoreInto(server.folder, backup)
    await server.start()
    const flushes = await countFlushes(server.url, server.folder)
    const outcome = await tryIt({ ...given, url: server.url, server })
    const subject = `a server of its own, SQLite in ${server.folder}`
    return {
      ...given,
      ...outcome,
      flushes,
      subject: subject + (restored ?? ''),
      circumstances: circumstances(),
    }
  } finally {
    await server.remove()
  }
}

async function tryAt(url: string, given: Given): Promise<Verdict> {
  const address = url.replace(/\/+$/, '')
  const outcome = await tryIt({ ...given, url: address, server: undefined })
  const subject = `the server at ${address}, which was not killed`
  return { ...given, ...outcome, flushes: undefined, subject, circumstances: circumstances() }
}

async function tryIt(options: Omit<TrialOptions, 'tell'>): Promise<Outcome> {
  const bar = new ProgressBar('on trial', process.stderr)
  const outcome = await runTrial({ ...options, tell: (share) => bar.show(share, 1) })
  bar.end()
  return outcome
}

/** Told after the subject: a backup that cannot be used has thrown by then. */
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
