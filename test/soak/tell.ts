/** `npm run trials -- --soak HOURS`: a soak with its progress, its verdict and its plot. */
import { writeFileSync } from 'node:fs'
import { ProgressBar } from '../../src/commands/progress.ts'
import { plotOf } from './plot.ts'
import { MEMORY_GROWTH_MIB_MAX } from './samples.ts'
import { type Soak, soak } from './soak.ts'

const ROUND_S = 60

/** Resolves with true if nothing was wrong. `svg` is the path of a file for the plot, if any. */
export async function tellSoak(hours: number, svg: string | undefined): Promise<boolean> {
  const seconds = hours * 3_600
  const bar = new ProgressBar(`a soak of ${hours} h`, process.stderr)
  const roundSeconds = Math.min(ROUND_S, seconds / 3)
  const result = await soak({ seconds, roundSeconds, tell: ({ atS }) => bar.show(atS, seconds) })
  bar.end()
  console.log(wordsOf(result, hours))
  if (svg !== undefined) {
    const title = `A soak of ${hours} h: ${result.tally.posts + result.acknowledged} posts`
    writeFileSync(svg, plotOf(result.samples, title))
  }
  return result.faults.length === 0
}

function wordsOf({ tally, trend, samples, rounds, faults, ...more }: Soak, hours: number): string {
  const number = (value: number) => Math.round(value).toLocaleString('en')
  const p99s = [...more.p99sMs].sort((a, b) => a - b)
  const last = samples.at(-1)
  const rss = samples.map(({ rssMiB }) => rssMiB)
  return [
    `a soak of ${hours} h: ${rounds} rounds, each judged by the checker`,
    `  posts      ${number(more.acknowledged)} by people who were watched and cut off, ` +
      `${number(tally.posts)} by others, ${number(tally.delivered)} events delivered to them`,
    `  besides    ${number(tally.returns)} returns, ${number(tally.pages)} pages, ` +
      `${number(tally.visits)} visits, ${number(tally.nonsense)} pieces of nonsense, ` +
      `${number(more.tooSlow)} closed for not reading`,
    `  latency    from post to reader, p99 of a round: ` +
      `median ${p99s[p99s.length >> 1]?.toFixed(1)} ms, worst ${p99s.at(-1)?.toFixed(1)} ms`,
    `  memory     ${mib(last?.rssMiB)} at the end, ${mib(Math.max(...rss))} at most; from the ` +
      `second quarter to the last ${signed(trend.memoryGrowthMiB)} MiB,`,
    `             of +${MEMORY_GROWTH_MIB_MAX} allowed; ${signed(trend.memoryMiBPerHour)} MiB/h`,
    `  files      ${last?.openFiles} open at the end, ${signed(trend.filesGrowth)}; ` +
      'none left over when all had gone, unless said below',
    ...faults.map((fault) => `  ! ${fault}`),
    faults.length === 0 ? 'PASS' : 'FAIL',
  ].join('\n')
}

function mib(value = 0): string {
  return `${value.toFixed(0)} MiB`
}

function signed(value: number): string {
  return `${value >= 0 ? '+' : '−'}${Math.abs(value).toFixed(1)}`
}
