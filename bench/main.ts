/**
 * `npm run bench`: what this machine gets out of Parley.
 *
 *   --quick        short runs: less than a minute in all, figures to look at rather than to publish
 *   --only NAME    one part: http, floor, socket, fan-out or memory
 *   --json FILE    writes the record of the run, too
 *   --profile DIR  leaves a CPU profile of each server there (which slows it down)
 *
 * The server has one core and the load generator another. So this file starts itself again, pinned;
 * the second process does the work.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { type Cores, chooseCores, describeMachine, pinned } from './machine.ts'
import { parts } from './parts.ts'
import { Progress, type Row, report } from './report.ts'

/** Tells the second process which cores were chosen: `0,1`, or nothing. */
const CORES_VARIABLE = 'PARLEY_BENCH_CORES'

interface Options {
  quick: boolean
  only?: string | undefined
  json?: string | undefined
  profile?: string | undefined
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      json: { type: 'string' },
      profile: { type: 'string' },
    },
  })
  const names = parts.map(({ name }) => name)
  if (values.only !== undefined && !names.includes(values.only))
    throw new Error(`There is no part "${values.only}". The parts are ${names.join(', ')}.`)
  return values
}

async function startAgainPinned(): Promise<number> {
  const cores = chooseCores()
  const command = [process.execPath, import.meta.path, ...process.argv.slice(2)]
  const child = Bun.spawn({
    cmd: pinned(cores?.generator, command),
    env: { ...process.env, [CORES_VARIABLE]: cores ? `${cores.server},${cores.generator}` : '' },
    stdio: ['inherit', 'inherit', 'inherit'],
  })
  // The child gets the signal, too, and cleans up.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
  return child.exited
}

function readCores(variable: string): Cores | undefined {
  if (variable === '') return undefined
  const [server, generator] = variable.split(',').map(Number) as [number, number]
  return { server, generator }
}

async function run(options: Options, cores: Cores | undefined): Promise<number> {
  // An exit, unlike a signal's default, lets the server be ended and its data removed.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
  const machine = describeMachine(cores, tmpdir())
  const progress = new Progress()
  const { quick, only, json, profile } = options
  const rows: Row[] = []
  for (const part of parts) {
    if (only !== undefined && part.name !== only) continue
    progress.begin(part.name)
    const brokenOff = ({ message }: Error): Row[] => [
      { part: part.name, load: 'broken off', unit: '', faults: [message] },
    ]
    const options = { quick, cores, progress, profileFolder: profile }
    rows.push(...(await part.run(options).catch(brokenOff)))
    progress.end()
  }
  compareWithFloor(rows)
  const command = ['npm run bench', ...process.argv.slice(2)]
    .join(' ')
    .replace('bench -', 'bench -- -')
  const record = { command, machine, rows }
  console.log(report(record))
  if (json !== undefined) {
    mkdirSync(dirname(json), { recursive: true })
    writeFileSync(json, `${JSON.stringify(record, null, 2)}\n`)
  }
  return rows.some(({ faults = [] }) => faults.length > 0) ? 1 : 0
}

/** The ratio that compares across machines, where both were measured in this run. */
function compareWithFloor(rows: readonly Row[]): void {
  const http = rows.find(({ part }) => part === 'http')
  const floor = rows.find(({ part }) => part === 'floor')
  if (!http || !floor) return
  const ratio = (http.perSecond! / floor.perSecond!).toFixed(2)
  const cost = (http.serverUsEach! / floor.serverUsEach!).toFixed(2)
  http.notes = [`${ratio} of the bare loop's posts a second, ${cost} × its CPU for each`]
}

try {
  const options = readOptions()
  const variable = process.env[CORES_VARIABLE]
  const code =
    variable === undefined ? await startAgainPinned() : await run(options, readCores(variable))
  process.exit(code)
} catch (error) {
  console.error((error as Error).message)
  process.exit(1)
}
