/**
 * Trials that take longer than a test may:
 *
 *     npm run trials -- --simulate SEEDS [--from SEED]    so many simulated stories
 *     npm run trials -- --seed SEED                       that one again
 *     npm run trials -- --soak HOURS [--svg FILE]         one server under a mixed load
 *
 * Prints what was tried, and what went wrong: of stories the first, shrunk. Exit code 1 if anything
 * did.
 */
import { parseArgs } from 'node:util'
import { tellMany } from './simulation/run.ts'
import { tellSoak } from './soak/tell.ts'

const HOURS_MAX = 1_000

const { values } = parseArgs({
  options: {
    simulate: { type: 'string' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    soak: { type: 'string' },
    svg: { type: 'string' },
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

if (values.seed !== undefined) await simulate(wholeNumber('seed', values.seed), 1)
else if (values.simulate !== undefined)
  await simulate(wholeNumber('from', values.from), wholeNumber('simulate', values.simulate))
else if (values.soak !== undefined) {
  if (!(await tellSoak(hoursOf(values.soak), values.svg))) process.exitCode = 1
} else throw new Error('Say what to try: --simulate SEEDS, --seed SEED, or --soak HOURS.')
