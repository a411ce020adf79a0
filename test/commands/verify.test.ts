/**
 * `parley verify` finds nothing wrong with Parley, and finds what is wrong with servers that break
 * their promises: copies of the sources with a fault planted in each.
 */
import { afterEach, expect, test } from 'bun:test'
import { join } from 'node:path'
import { spawn } from 'bun'
import type { FaultKind } from '../../src/verify/checker.ts'
import { countFlushes } from '../../src/verify/flushes.ts'
import { hasPassed, reportOf } from '../../src/verify/report.ts'
import { ScratchServer } from '../../src/verify/scratch-server.ts'
import { type Outcome, runTrial } from '../../src/verify/trial.ts'
import { type Plant, plantedCopy } from '../faults/planted.ts'
import { ServerProcess, scratchFolder } from '../harness.ts'

const TRIAL = { people: 8, seconds: 3, kills: 2, restMsMax: 3_000 }
const TRIAL_MS_MAX = 60_000

const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one()
})

async function verify(...args: string[]): Promise<[code: number, printed: string, errors: string]> {
  const folder = scratchFolder()
  undo.push(() => folder.remove())
  const child = spawn({
    cmd: [...ServerProcess.command, 'verify', ...args],
    env: { ...process.env, DATA_DIR: join(folder.path, 'not', 'there', 'yet') },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [printed, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return [await child.exited, printed, errors]
}

test(
  'a server of its own keeps its promises, though it is killed',
  async () => {
    const [code, printed, errors] = await verify('--people', '8', '--seconds', '3', '--kills', '2')
    expect(printed).toMatch(/\nPASS\n$/)
    expect(printed).toContain('killed 2 times')
    expect(printed).toContain('lost 0 · doubled 0 · reordered 0 · holes 0 · unseen 0 · made up 0')
    expect(Number(/(\d+) acknowledged/.exec(printed)?.[1])).toBeGreaterThan(50)
    expect(errors).toContain('100 %')
    expect(code).toBe(0)
  },
  TRIAL_MS_MAX,
)

test(
  'a server that is there is put on trial as it is, and is not killed',
  async () => {
    const server = await ServerProcess.start({ rateLimits: 'on' })
    undo.push(() => server.stopAndForget())
    const [code, printed] = await verify(
      '--url',
      `${server.url}/`,
      '--people',
      '6',
      '--seconds',
      '2',
    )
    expect(printed).toContain(`the server at ${server.url}, which was not killed`)
    expect([code, printed]).toEqual([0, expect.stringMatching(/\nPASS\n$/)])
    const [misused, , errors] = await verify('--url', server.url, '--kills', '3')
    expect([misused, errors]).toEqual([2, expect.stringContaining('is not killed')])
  },
  TRIAL_MS_MAX,
)

test('nonsense is refused in a sentence', async () => {
  for (const [name, value] of [
    ['people', '1'],
    ['people', '501'],
    ['seconds', '0'],
    ['kills', '-1'],
    ['kills', 'many'],
  ] as const) {
    const [code, , errors] = await verify(`--${name}=${value}`)
    expect([code, errors]).toEqual([2, expect.stringContaining(`--${name} must be a whole number`)])
  }
  const [code, , errors] = await verify('--url', 'http://127.0.0.1:9', '--seconds', '1')
  expect([code, errors]).toEqual([1, expect.stringMatching(/connect/i)])
})

/** Starts a copy of the sources in which texts are replaced. */
async function planted(...plants: (Plant | undefined)[]): Promise<ScratchServer> {
  const copy = plantedCopy(plants.filter((one) => one !== undefined))
  undo.push(copy.remove)
  const server = new ScratchServer(copy.command, copy.path)
  undo.push(() => server.remove())
  await server.start()
  return server
}

const tried = (server: ScratchServer): Promise<Outcome> =>
  runTrial({ ...TRIAL, url: server.url, server, tell: () => {} })

const faults: [what: string, kind: FaultKind, ...Plant, more?: Plant][] = [
  [
    'acknowledges before it commits',
    'lost',
    'src/chat/record.ts',
    'const answer = store.append(batch.map((waiting) => waiting.given))',
    `const given = batch.map((waiting) => waiting.given)
    const answer = Math.random() < 0.02
      ? Promise.resolve(given.map((one) => ({ outcome: 'recorded' as const, inboxEntry: null,
          event: { ...one, seq: 1 } })))
      : store.append(given)`,
  ],
  [
    'forgets keys, and does not always answer in time',
    'duplicate',
    'src/chat/record.ts',
    'else done(null, { event: result.event',
    `else if (Math.random() < 0.05) done(problem('outcome_unknown'))
      else done(null, { event: result.event`,
    // Beside it: nothing stands between a repetition and a second message.
    ['src/chat/messages.ts', 'key,', 'key: undefined,'],
  ],
  [
    'leaves out an event now and then',
    'gap',
    'src/live/hub.ts',
    'timeline.tail.push(event)',
    'if (event.seq % 20 !== 0) timeline.tail.push(event)',
  ],
]

for (const [what, kind, file, text, fault, more] of faults)
  test(
    `it fails a server that ${what}`,
    async () => {
      const outcome = await tried(await planted([file, text, fault], more))
      expect(outcome.faults.map((one) => one.kind)).toContain(kind)
      const verdict = {
        ...outcome,
        subject: what,
        circumstances: '',
        seconds: 3,
        flushes: undefined,
      }
      expect(hasPassed(verdict)).toBe(false)
      expect(reportOf(verdict)).toMatch(/ {2}! \w.*\nFAIL$/s)
    },
    TRIAL_MS_MAX,
  )

test(
  'it fails a server whose posts are not on the disk',
  async () => {
    const honest = await planted()
    const counted = await countFlushes(honest.url, honest.folder)
    if (counted === undefined) {
      if (process.env.CI) console.warn('SKIPPED: this disk does not count flushes')
      return
    }
    expect(counted.flushes).toBeGreaterThanOrEqual(counted.posts)
    const lying = await planted([
      'src/store/sqlite-database.ts',
      'if (journalMode !== ',
      "db.run('PRAGMA synchronous = OFF')\n  if (false && journalMode !== ",
    ])
    const flushes = await countFlushes(lying.url, lying.folder)
    const outcome = await tried(lying)
    const verdict = { ...outcome, subject: '', circumstances: '', seconds: 3, flushes }
    expect(hasPassed(verdict)).toBe(false)
    expect(reportOf(verdict)).toContain('ACKNOWLEDGED POSTS ARE NOT ON THE DISK')
  },
  TRIAL_MS_MAX,
)
