/** Child processes for heavy jobs: who gets which job, and what happens when a child dies. */
import { afterAll, afterEach, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Processes, type ProcessesOptions, RESTART_MS } from '../../src/chat/processes.ts'
import { createLog, type Log } from '../../src/log.ts'
import { scratchFolder, until, within } from '../harness.ts'
import { expectSoon, msOf } from '../soon.ts'
import type { OddJob } from './odd-jobs.ts'

const SCRIPT = [join(import.meta.dir, 'odd-jobs.ts')]

let children: Processes<OddJob, number | string>

function start(max: number, more: Partial<ProcessesOptions> = {}): void {
  const log = createLog('silent')
  children = new Processes({ script: SCRIPT, purpose: 'odd-jobs', max, log, ...more })
}

/** The id of the process that did it, or the error. */
function outcome(job: OddJob): Promise<unknown> {
  const settled = children.run(job).catch((error: unknown) => error)
  return within(settled, `${job.kind} is settled`)
}

const outcomes = (...jobs: OddJob[]) => Promise.all(jobs.map(outcome))
const who = { kind: 'who' } as const
const died = (why: string) => ({
  message: `The process that worked on this has died: ${why}. Try again.`,
})

const folder = scratchFolder()
let gates = 0
/** What a held job waits for, until `openGate`. */
const newGate = () => join(folder.path, `gate-${gates++}`)
const openGate = (gate: string) => writeFileSync(gate, '')

afterEach(() => children.close())
afterAll(folder.remove)

test('one after the other goes to the same child; at once, to as many as there may be', async () => {
  start(2)
  const first = await outcome(who)
  expect(await outcome(who)).toBe(first)
  const gate = newGate()
  const held = outcome({ kind: 'hold', gate })
  const other = await outcome(who)
  expect(other).not.toBe(first)
  openGate(gate)
  await held
  expect(new Set(await outcomes(who, who, who, who, who))).toEqual(new Set([first, other]))
})

test('up to the number of children nothing waits; one more does', async () => {
  start(2)
  const gate = newGate()
  const held = [outcome({ kind: 'hold', gate }), outcome({ kind: 'hold', gate })]
  expect(children.waiting).toBe(0)
  held.push(outcome(who))
  expect(children.waiting).toBe(1)
  openGate(gate)
  await Promise.all(held)
  expect(children.waiting).toBe(0)
})

test('a text arrives as it was, whatever is in it and however long it is', async () => {
  start(1)
  const odd = [
    '',
    '\n',
    '\r\n',
    'a\u2028b\u2029c\u0085d',
    '\0"\\',
    'pässword 😀',
    '\ud800',
    '\ufeff',
  ]
  for (const text of [...odd, '😀'.repeat(100_000)])
    expect(await outcome({ kind: 'echo', text })).toBe(text)
  expect(await outcomes(...odd.map((text) => ({ kind: 'echo', text }) as const))).toEqual(odd)
})

test('a job that fails fails alone', async () => {
  start(1)
  const [failed, done] = await outcomes({ kind: 'fail' }, who)
  expect(failed).toMatchObject({ message: 'Error: as it should' })
  expect(done).toBeNumber()
})

for (const [kind, why] of [
  ['exit', 'exit code 3'],
  ['kill', 'SIGKILL'],
] as const)
  test(`a child that dies (${kind}) fails its job alone, and another takes its place`, async () => {
    start(1)
    const before = await outcome(who)
    const [lost, ...others] = await outcomes({ kind }, who, who, who)
    expect(lost).toMatchObject(died(why))
    expect(new Set(others).size).toBe(1)
    expect(others[0]).toBeNumber()
    expect(others[0]).not.toBe(before)
    expect(children.waiting).toBe(0)
  })

test('one that died young is replaced after a pause, one that lived for longer at once', async () => {
  start(1)
  const pauseAfterDeath = async () => {
    await outcome({ kind: 'exit' })
    return msOf(async () => expect(await outcome(who)).toBeNumber())
  }
  const pauseAfterLife = async () => {
    await outcome(who)
    // By now it has been started, which may take a while on a busy machine.
    const bornAt = performance.now()
    await until(() => performance.now() - bornAt > RESTART_MS, 'it has lived for long enough')
    return pauseAfterDeath()
  }
  await expectSoon(RESTART_MS / 2, 'another one takes its place', pauseAfterLife)
  // On a machine that stands still one may grow old before it gets to die.
  const pauses: number[] = []
  const hasPaused = () => pauses.some((ms) => ms > RESTART_MS * 0.9)
  while (pauses.length < 3 && !hasPaused()) pauses.push(await pauseAfterDeath())
  expect(hasPaused()).toBe(true)
})

test('children that cannot even start fail a job each, and the rest is told to come back', async () => {
  start(1, { script: [join(import.meta.dir, 'no-such-script.ts')] })
  for (let round = 0; round < 2; round++) {
    const [lost, ...others] = await outcomes(who, who, who)
    expect(lost).toMatchObject(died('exit code 1'))
    for (const one of others)
      expect(one).toMatchObject({ code: 'overloaded', options: { retryAfterS: 1 } })
    expect(children.waiting).toBe(0)
  }
})

test('while another child lives, whoever waits goes on waiting', async () => {
  start(2)
  const gate = newGate()
  const [held, lost, ...others] = [
    { kind: 'hold', gate } as const,
    { kind: 'exit' } as const,
    ...[who, who, who],
  ].map(outcome)
  expect(await lost).toMatchObject(died('exit code 3'))
  openGate(gate)
  const survivor = await held
  for (const one of await Promise.all(others)) expect(one).toBeNumber()
  expect(await others[0]).toBe(survivor)
})

test('the pace follows the time that jobs take', async () => {
  start(2)
  expect(children.paceMs).toBe(10)
  await outcome({ kind: 'took', tookMs: 400 })
  expect(children.paceMs).toBe(200)
  await outcome({ kind: 'took', tookMs: 800 })
  expect(children.paceMs).toBe(225)
  for (let i = 0; i < 100; i++) await outcome({ kind: 'took', tookMs: 2 })
  expect(children.paceMs).toBeCloseTo(1, 2)
})

test('where priorities may not be lowered, jobs are done all the same, and it is said once', async () => {
  const warnings: unknown[] = []
  const log = { warn: (...args: unknown[]) => void warnings.push(args) } as Partial<Log> as Log
  const lowerPriority = () => {
    throw new Error('not here')
  }
  start(2, { log, lowerPriority })
  const done = await outcomes(who, who)
  expect(new Set(done).size).toBe(2)
  expect(warnings).toEqual([[{ err: new Error('not here') }, expect.stringContaining('priority')]])
})

test('closing: what a child has is finished, what waits is refused, and nothing begins', async () => {
  start(1)
  const gate = newGate()
  const all = [{ kind: 'hold', gate } as const, who, who, who].map(outcome)
  const closed = children.close()
  const refused = { code: 'restarting', options: { retryAfterS: 1 } }
  expect(await all[2]).toMatchObject(refused)
  expect(await all[3]).toMatchObject(refused)
  expect(await outcome(who)).toMatchObject(refused)
  openGate(gate)
  expect(await all[0]).toBeNumber()
  expect(await all[1]).toBeNumber()
  await within(closed, 'the children end')
  await within(children.close(), 'closing again is nothing')
})

test('closing kills a child that hangs, and fails what it had', async () => {
  start(1)
  const all = [{ kind: 'hold', gate: newGate() } as const, who].map(outcome)
  await within(children.close(), 'the hanging child is killed')
  expect(await all[0]).toMatchObject(died('SIGKILL'))
  expect(await all[1]).toMatchObject({ code: 'restarting' })
})
