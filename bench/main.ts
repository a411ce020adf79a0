/**
 * `npm run bench -- [SCENARIO …]`: what this machine gets out of Parley; all scenarios without one.
 *
 *   --quick         short runs, once each: figures to look at rather than to publish
 *   --runs N        how often each load is measured; the median counts (3; quick: 1)
 *   --peers a,b     which peers are measured beside it: all, none, or some of them
 *   --postgres URL  *ledger* only: its posts, on this PostgreSQL instead of SQLite
 *   --json FILE     writes the record of the run, too
 *   --html FILE     writes a report with plots
 *   --profile DIR   leaves CPU profiles of the servers and of the generator (which slows them down)
 *
 * The server has one core and the load generator another. So this file starts itself again, pinned;
 * the second process does the work.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { type Cores, chooseCores, describeMachine, pinned } from './machine.ts'
import { findPeers } from './peers/list.ts'
import { Progress } from './progress.ts'
import type { Measured, RunRecord } from './record.ts'
import { writeReport } from './report/html.ts'
import { findScenarios } from './scenarios/list.ts'
import type { BenchContext, Scenario } from './scenarios/scenario.ts'
import { report } from './table.ts'

/** Tells the second process which cores were chosen: `0,1`, or nothing. */
const CORES_VARIABLE = 'PARLEY_BENCH_CORES'
const RUNS = { quick: 1, full: 3 }
const RUNS_MAX = 99

interface Options {
  scenarios: readonly Scenario[]
  quick: boolean
  runs: number
  peers: ReturnType<typeof findPeers>
  postgresUrl: string | undefined
  json: string | undefined
  html: string | undefined
  profile: string | undefined
}

function readOptions(): Options {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      runs: { type: 'string' },
      peers: { type: 'string', default: 'all' },
      postgres: { type: 'string' },
      json: { type: 'string' },
      html: { type: 'string' },
      profile: { type: 'string' },
    },
  })
  const { quick, peers, postgres: postgresUrl, json, html, profile } = values
  const runs = Number(values.runs ?? (quick ? RUNS.quick : RUNS.full))
  if (!(Number.isInteger(runs) && runs >= 1 && runs <= RUNS_MAX))
    throw new Error(`--runs must be a whole number from 1 to ${RUNS_MAX}.`)
  const names = peers === 'all' ? undefined : peers === 'none' ? [] : peers.split(',')
  const scenarios = findScenarios(positionals)
  if (postgresUrl !== undefined && scenarios.some(({ name }) => name !== 'ledger'))
    throw new Error('With --postgres only the scenario ledger can be measured.')
  return { scenarios, quick, runs, peers: findPeers(names), postgresUrl, json, html, profile }
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
  const { quick, runs, peers, profile, postgresUrl } = options
  const record: RunRecord = {
    command: ['npm run bench --', ...process.argv.slice(2).map(withoutPassword)].join(' '),
    startedAt: new Date().toISOString(),
    machine: describeMachine(cores, tmpdir()),
    measured: [],
    missing: peers.missing,
  }
  const progress = new Progress()
  const context: BenchContext = {
    ...{ quick, runs, cores, progress, postgresUrl },
    ...{ profileFolder: profile, peers: peers.found },
  }
  for (const scenario of options.scenarios)
    record.measured.push(...(await measure(scenario, context)))
  console.log(report(record))
  write(options, record)
  return record.measured.some(({ faults = [] }) => faults.length > 0) ? 1 : 0
}

/** For the record: an address may hold a password. */
function withoutPassword(argument: string): string {
  return argument.replace(/:\/\/[^@/]*@/, '://…@')
}

/** A scenario that could not be measured leaves a row that says so, and the others go on. */
async function measure(scenario: Scenario, context: BenchContext): Promise<Measured[]> {
  try {
    return await scenario.run(context)
  } catch (error) {
    const { message } = error as Error
    const nothing = { subject: 'parley', unit: 'deliveries', durable: '', ordered: '' } as const
    return [{ scenario: scenario.name, load: 'broken off', ...nothing, faults: [message] }]
  }
}

function write({ json, html }: Options, record: RunRecord): void {
  for (const file of [json, html])
    if (file !== undefined) mkdirSync(dirname(file), { recursive: true })
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(record, null, 2)}\n`)
  if (html !== undefined) writeReport(record, html)
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
