/**
 * Where the browser for the tests of the page is. Where there is none, one is installed if that
 * takes no question to anybody (Debian, as root); elsewhere those tests are skipped, and what to
 * install is said once. In CI a skipped test proves nothing, so there it is a failure.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'

const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/snap/bin/chromium',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]
const INSTALL_MS_MAX = 300_000
const WHAT_TO_DO = 'Install chromium, or set PARLEY_CHROMIUM to the path of a Chromium or Chrome.'

export interface Machine {
  environment: Record<string, string | undefined>
  places: readonly string[]
  canInstall: boolean
  /** If it fails, it says what the package manager said. */
  install(): void
  say(line: string): void
}

/** The browser's path; undefined if there is none and tests without it are to be skipped. */
export function findChromium(machine: Machine = thisMachine()): string | undefined {
  const { environment, places, say } = machine
  const chosen = environment.PARLEY_CHROMIUM
  if (chosen !== undefined && !isProgram(chosen))
    throw new Error(`PARLEY_CHROMIUM is ${chosen}, which is no program.`)
  const found = chosen ?? places.find(isProgram)
  if (found !== undefined) return found
  if (machine.canInstall) {
    say('The tests of the page need Chromium: installing it with apt-get, which takes a minute.')
    machine.install()
    const installed = places.find(isProgram)
    if (installed !== undefined) return installed
  }
  if (environment.CI === 'true') throw new Error(`There is no Chromium. ${WHAT_TO_DO}`)
  say(`There is no Chromium, so the tests of the page are skipped. ${WHAT_TO_DO}`)
  return undefined
}

function thisMachine(): Machine {
  return {
    environment: process.env,
    places: PLACES,
    canInstall: process.getuid?.() === 0 && existsSync('/etc/debian_version'),
    install: installOnce,
    say: (line) => console.log(line),
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Whoever comes second waits for the first, and then finds it done. */
function installOnce(): void {
  const script =
    '[ -x /usr/bin/chromium ] || { apt-get -q update && ' +
    'apt-get -q install -y --no-install-recommends chromium; }'
  const { status, stderr, stdout } = spawnSync(
    'flock',
    ['/tmp/parley-chromium.lock', 'sh', '-c', script],
    {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      encoding: 'utf8',
      timeout: INSTALL_MS_MAX,
    },
  )
  if (status === 0) return
  const said = `${stdout ?? ''}\n${stderr ?? ''}`.trim().split('\n').slice(-5).join('\n')
  console.log(`Chromium could not be installed:\n${said}`)
}
