/** Worker threads for heavy jobs: who gets which job, and what happens when a thread dies. */
import { afterEach, expect, test } from 'bun:test'
import { Threads } from '../../src/chat/threads.ts'
import { within } from '../harness.ts'
import { newGate, type OddJob, openGate } from './odd-jobs.ts'

const SCRIPT = new URL('./odd-jobs.ts', import.meta.url)

let threads: Threads<OddJob, number>

function start(max: number, script = SCRIPT): void {
  threads = new Threads(script, max)
}

/** The id of the thread that did it, or the error. */
function outcome(job: OddJob): Promise<unknown> {
  const settled = threads.run(job).catch((error) => error)
  return within(settled, `${job.kind} is settled`)
}

const outcomes = (...jobs: OddJob[]) => Promise.all(jobs.map(outcome))
const who = { kind: 'who' } as const

afterEach(() => threads.close())

test('one after the other goes to the same thread; at once, to as many as there may be', async () => {
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

test('up to the number of threads nothing waits; one more does', async () => {
  start(2)
  const gate = newGate()
  const held = [outcome({ kind: 'hold', gate }), outcome({ kind: 'hold', gate })]
  expect(threads.waiting).toBe(0)
  held.push(outcome(who))
  expect(threads.waiting).toBe(1)
  openGate(gate)
  await Promise.all(held)
  expect(threads.waiting).toBe(0)
})

test('a job that fails fails alone', async () => {
  start(1)
  const [failed, done] = await outcomes({ kind: 'fail' }, who)
  expect(failed).toMatchObject({ message: 'as it should' })
  expect(done).toBeNumber()
})

for (const [kind, why] of [
  ['exit', 'it ended'],
  ['crash', 'out of order'],
] as const)
  test(`a thread that dies (${kind}) fails its job alone, and another takes its place`, async () => {
    start(1)
    const before = await outcome(who)
    const [lost, ...others] = await outcomes({ kind }, who, who, who)
    expect(lost).toMatchObject({
      message: `The thread that worked on this has died: ${why}. Try again.`,
    })
    expect(new Set(others).size).toBe(1)
    expect(others[0]).toBeNumber()
    expect(others[0]).not.toBe(before)
    expect(threads.waiting).toBe(0)
  })

test('threads that cannot even start fail what they are given; nothing waits for ever', async () => {
  start(1, new URL('./no-such-script.ts', import.meta.url))
  for (const lost of await outcomes(who, who, who)) expect(String(lost)).toContain('has died')
})

test('the pace follows the time that jobs take', async () => {
  start(2)
  expect(threads.paceMs).toBe(10)
  await outcome({ kind: 'took', tookMs: 400 })
  expect(threads.paceMs).toBe(200)
  await outcome({ kind: 'took', tookMs: 800 })
  expect(threads.paceMs).toBe(225)
  for (let i = 0; i < 100; i++) await outcome({ kind: 'took', tookMs: 2 })
  expect(threads.paceMs).toBeCloseTo(1, 2)
})

test('closing: what a thread has is finished, what waits is refused, and nothing begins', async () => {
  start(1)
  const gate = newGate()
  const all = [{ kind: 'hold', gate } as const, who, who, who].map(outcome)
  const closed = threads.close()
  const refused = { code: 'restarting', options: { retryAfterS: 1 } }
  expect(await all[2]).toMatchObject(refused)
  expect(await all[3]).toMatchObject(refused)
  expect(await outcome(who)).toMatchObject(refused)
  openGate(gate)
  expect(await all[0]).toBeNumber()
  expect(await all[1]).toBeNumber()
  await within(closed, 'the threads end')
  await within(threads.close(), 'closing again is nothing')
})

test('closing cuts a thread that hangs, and fails what it had', async () => {
  start(1)
  const all = [{ kind: 'hold', gate: newGate() } as const, who].map(outcome)
  await within(threads.close(), 'the hanging thread is cut')
  expect(String(await all[0])).toContain('has died')
  expect(await all[1]).toMatchObject({ code: 'restarting' })
})
