/**
 * Trials that take longer than a test may:
 *
 *     npm run trials -- --simulate SEEDS [--from SEED]    so many simulated stories
 *     npm run trials -- --seed SEED                       that one again
 *     npm run trials -- --soak HOURS [--svg FILE]         one server under a mixed load
 *     npm run trials -- --long [F1 F2 …] [--seed SEED] [--share 0.1]
 *                                                         the long forms of the faults, or some
 *
 * Prints what was tried, and what went wrong: of stories the first, shrunk. Exit code 1 if anything
 * did.
 */
import { parseArgs } from 'node:util'
import { findTrials } from './long/list.ts'
import { runTrials } from './long/trial.ts'
import { tellMany } from './simulation/run.ts'
import { tellSoak } from './soak/tell.ts'

const HOURS_MAX = 1_000

const SEEDS = 2 ** 31

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    simulate: { type: 'string' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    soak: { type: 'string' },
    svg: { type: 'string' },
    long: { type: 'boolean', default: false },
    share: { type: 'string', default: '1' },
  },
})

function wholeNumber(name: string, text: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= 0) return number
  throw new Error(`--${name} ${text} is not a whole number.`)
}

function hoursOf(text: string): number {
  const hours = Number(text)
  if (hours > 0 && hours <= HOURS_MAX) return hours
  throw new Error(`--soak ${text} is not a number of hours up to ${HOURS_MAX}.`)
}

async function simulate(from: number, seeds: number): Promise<void> {
  const startedAt = performance.now()
  const tally = await tellMany(from, (told) => told < seeds)
  const seconds = (performance.now() - startedAt) / 1_000
  const { stories, operations, deliveries, failure } = tally
  const simulatedS = Math.round(tally.simulatedMs / 1_000)
  console.log(
    `${stories} stories from seed ${from}, ${operations} operations, ${deliveries} events ` +
      `delivered, ${simulatedS} simulated seconds in ${seconds.toFixed(1)} s: ` +
      `${failure === undefined ? 'nothing went wrong' : 'one went wrong'}`,
  )
  if (failure === undefined) return
  console.log(failure)
  process.exitCode = 1
}

async function runLong(names: readonly string[]): Promise<never> {
  const share = Number(values.share)
  if (!(share > 0 && share <= 1)) throw new Error('--share must be above 0, and 1 at the most.')
  const chosen = Math.floor(Math.random() * SEEDS)
  const seed = values.seed === undefined ? chosen : wholeNumber('seed', values.seed)
  const say = (line: string) => console.log(line)
  const allWell = await runTrials(findTrials(names), { seed, share, say })
  // Whatever a trial that was cut off has left running ends with it.
  process.exit(allWell ? 0 : 1)
}

async function soak(hours: string): Promise<void> {
  if (!(await tellSoak(hoursOf(hours), values.svg))) process.exitCode = 1
}

if (values.long) await runLong(positionals)
else if (values.seed !== undefined) await simulate(wholeNumber('seed', values.seed), 1)
else if (values.simulate !== undefined)
  await simulate(wholeNumber('from', values.from), wholeNumber('simulate', values.simulate))
else if (values.soak !== undefined) await soak(values.soak)
else
  throw new Error('Say what to try: --simulate SEEDS, --seed SEED, --soak HOURS, or --long [F1 …].')
