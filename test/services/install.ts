/**
 * Programs that some tests need beside the runtime: PostgreSQL, NATS, a browser. They are found
 * where they are; on Debian, as root, what is missing is installed, with a line that says so. Else
 * one line says what to install, and the tests that need it are skipped. With `CI=true` nothing is
 * skipped in silence: what cannot be had is an error.
 */
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Subprocess, spawn } from 'bun'

/** The longest that the package manager may take, with its turn among others. */
const INSTALL_MS_MAX = 300_000

export interface Needed {
  /** The command, for example `nats-server`. */
  program: string
  /** The Debian package that brings it. */
  debianPackage: string
  /** Where to look before `PATH`; asked again after an installation. */
  folders?: () => string[]
}

export interface Surroundings {
  mayInstall: boolean
  /** Whether something that is missing is an error. */
  isStrict: boolean
  install: (debianPackage: string) => Promise<string | undefined>
  say: (line: string) => void
}

/**
 * The path of the program, or undefined if it is missing and cannot be installed here: skip the
 * tests that need it with `test.skipIf`, so that they are counted. Await it at the top of a test
 * file, where no time-out of a test is running yet.
 */
export async function findOrInstall(
  needed: Needed,
  surroundings: Surroundings = here(),
): Promise<string | undefined> {
  const { program, debianPackage } = needed
  const { mayInstall, isStrict, install, say } = surroundings
  const found = find(needed)
  if (found !== undefined) return found
  let why = 'this is not Debian, or not root'
  if (mayInstall) {
    say(`The tests need ${program}: installing the Debian package ${debianPackage} …`)
    why = (await install(debianPackage)) ?? `${debianPackage} did not bring it`
  }
  const installed = find(needed)
  if (installed !== undefined) return installed
  const missing = `${program} is missing (${why}). Install the Debian package ${debianPackage}`
  if (isStrict) throw new Error(`${missing}: with CI=true no test is skipped.`)
  say(`SKIPPED: ${missing}, or put ${program} into PATH, to run the tests that need it.`)
  return undefined
}

function find({ program, folders = () => [] }: Needed): string | undefined {
  const all = [...folders(), ...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']
  return all.map((folder) => join(folder, program)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function here(): Surroundings {
  return {
    mayInstall: existsSync('/etc/debian_version') && process.getuid?.() === 0,
    isStrict: process.env.CI === 'true',
    install: installFromDebian,
    say: (line) => console.warn(`\n  ${line}\n`),
  }
}

/** What went wrong, or undefined. */
async function installFromDebian(debianPackage: string): Promise<string | undefined> {
  const command = ['flock', '/tmp/parley-install.lock', 'sh', '-ec', INSTALL, 'sh', debianPackage]
  // Without a runlevel Debian does not start the services that a package brings.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const installing: Subprocess<'ignore', 'ignore', 'pipe'> = spawn({
    cmd: command,
    env,
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
    timeout: INSTALL_MS_MAX,
  })
  const errors = await new Response(installing.stderr).text()
  if ((await installing.exited) === 0) return undefined
  return errors.trim().split('\n').at(-1) || 'the package manager was stopped'
}

/**
 * Test files run in parallel, so this runs under a lock, and whoever comes second finds it done.
 * The lists of packages are fetched once an hour.
 */
const INSTALL = `
if dpkg -s "$1" > /dev/null 2>&1; then exit 0; fi
updated=/tmp/parley-install.updated
if [ -z "$(find $updated -mmin -60 2> /dev/null)" ]; then apt-get update -q; touch $updated; fi
apt-get install -q -y --no-install-recommends "$1"
`
