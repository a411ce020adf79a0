/** A child process for tests: jobs that fail, die, hang and say how long they took. */
import { existsSync } from 'node:fs'
import { answerJobs } from '../../src/chat/job-lines.ts'
import type { Clock } from '../../src/clock.ts'

export type OddJob =
  | { kind: 'who' | 'fail' | 'exit' | 'kill' }
  | { kind: 'echo'; text: string }
  | { kind: 'took'; tookMs: number }
  /** Blocks the process until the file is there. */
  | { kind: 'hold'; gate: string }

const LOOK_MS = 2
/** Longer than any test waits; a process that is forgotten ends all the same. */
const HOLD_MS_MAX = 30_000

function hold(gate: string): void {
  const cell = new Int32Array(new SharedArrayBuffer(4))
  const startedAt = performance.now()
  while (!existsSync(gate) && performance.now() - startedAt < HOLD_MS_MAX)
    Atomics.wait(cell, 0, 0, LOOK_MS)
}

let now = 0
const clock: Clock = { now: () => now, monotonicMs: () => now }

function work(job: OddJob): number | string {
  now += job.kind === 'took' ? job.tookMs : 10
  if (job.kind === 'fail') throw new Error('as it should')
  if (job.kind === 'exit') process.exit(3)
  if (job.kind === 'kill') process.kill(process.pid, 'SIGKILL')
  if (job.kind === 'hold') hold(job.gate)
  return job.kind === 'echo' ? job.text : process.pid
}

answerJobs(work, clock)
