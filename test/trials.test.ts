/** How trials are run: each is judged, timed, told in a line, and tidied up behind. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { spawn } from 'bun'
import { findTrials, trials } from './long/list.ts'
import { runTrials, type Scene, Skipped, type Trial, type Verdict } from './long/trial.ts'

const well: Verdict = { figures: '7 things done', faults: [] }

const trial = (name: string, run: (scene: Scene) => Promise<Verdict>, minutesMax = 1): Trial => ({
  ...{ name, what: `${name} is tried`, minutesMax, run },
})

async function told(...all: Trial[]): Promise<{ allWell: boolean; lines: string[] }> {
  const lines: string[] = []
  const say = (line: string) => lines.push(line)
  return { allWell: await runTrials(all, { seed: 42, share: 0.1, say }), lines }
}

test('a trial in which nothing is wrong says so in one line, with its seed', async () => {
  const { allWell, lines } = await told(trial('one', async () => well))
  expect(allWell).toBe(true)
  expect(lines.at(-1)).toBe('one  ok in 0 s, seed 42: 7 things done')
})

test('one fault is enough; the first twenty are shown, and the rest counted', async () => {
  const faults = Array.from({ length: 23 }, (_, i) => `fault ${i + 1}`)
  const wrong = trial('two', async () => ({ figures: 'much', faults }))
  const { allWell, lines } = await told(
    wrong,
    trial('three', async () => well),
  )
  expect(allWell).toBe(false)
  expect(lines).toContain('two  WRONG in 0 s, seed 42: much')
  expect(lines).toContain('      fault 20')
  expect(lines).not.toContain('      fault 21')
  expect(lines).toContain('      and 3 more')
  // The others are tried all the same.
  expect(lines.at(-1)).toStartWith('three  ok')
})

test('a trial that breaks off, or takes too long, is wrong; what it began is ended', async () => {
  const ended: string[] = []
  const broken = trial('four', async (scene) => {
    scene.afterwards(() => ended.push('first'))
    scene.afterwards(() => ended.push('second'))
    throw new Error('the server does not start')
  })
  const endless = trial(
    'five',
    (scene) => {
      scene.afterwards(() => ended.push('third'))
      return new Promise(() => {})
    },
    0.001,
  )
  for (const one of [broken, endless]) {
    const { allWell, lines } = await told(one)
    expect(allWell).toBe(false)
    expect(lines.join('\n')).toMatch(/the server does not start|takes longer than 0.001 minutes/)
  }
  expect(ended).toEqual(['second', 'first', 'third'])
})

test('what cannot be had is skipped, and said to be', async () => {
  const skipped = trial('six', async () => {
    throw new Skipped('strace is missing')
  })
  const { allWell, lines } = await told(skipped)
  expect(allWell).toBe(true)
  expect(lines.at(-1)).toContain('SKIPPED: strace is missing')
})

test('a seed makes the same choices, a short form does less of everything', async () => {
  const chosen: number[][] = []
  const choosing = trial('seven', async (scene) => {
    chosen.push([scene.below(1_000), scene.below(1_000), scene.times(500), scene.times(5)])
    return well
  })
  await told(choosing, choosing)
  expect(chosen[0]).toEqual(chosen[1]!)
  expect(chosen[0]!.slice(2)).toEqual([50, 1])
})

test('trials are found by their names, in either case, and there is one of each', async () => {
  expect(findTrials([])).toBe(trials)
  expect(findTrials(['f2', 'Million']).map(({ name }) => name)).toEqual(['F2', 'million'])
  expect(new Set(trials.map(({ name }) => name)).size).toBe(trials.length)
  expect(() => findTrials(['F99'])).toThrow('There is no trial F99; there are F1, F2')
})

test('the command runs one by its name, and refuses what it does not know', async () => {
  const run = async (...args: string[]) => {
    const cmd = [process.execPath, join(import.meta.dir, 'trials.ts'), '--long', ...args]
    const child = spawn({ cmd, stdout: 'pipe', stderr: 'pipe' })
    const [printed, errors] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ])
    return { code: await child.exited, printed, errors }
  }
  const short = await run('F5', '--seed', '7', '--share', '0.01')
  expect(short.printed).toMatch(/^F5 {2}ok in \d+ s, seed 7: /m)
  expect(short.code).toBe(0)
  const unknown = await run('F99')
  expect(unknown.errors).toContain('There is no trial F99')
  expect(unknown.code).not.toBe(0)
})
