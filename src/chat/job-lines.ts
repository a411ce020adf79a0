/**
 * The other end of `processes.ts`: what a child process does with the jobs it is sent. Each is a
 * line of JSON on standard input, each answer a line on standard output, in the same order.
 */
import { readSync, writeSync } from 'node:fs'
import { type Clock, systemClock } from '../clock.ts'

/** What is sent back for each job. */
export type Answer<Result> = { tookMs: number } & ({ result: Result } | { error: string })

const STDIN = 0
const STDOUT = 1
const READ_BYTES = 65_536
const NEWLINE = 10

/**
 * Does one job after the other until standard input ends. That is also how the end of the server
 * is noticed, however it came: the kernel closes the pipe even after `kill -9`.
 */
export function answerJobs<Job, Result>(
  work: (job: Job) => Result,
  clock: Clock = systemClock,
): void {
  outliveSignals()
  try {
    for (const line of linesOf(STDIN))
      writeSync(STDOUT, `${JSON.stringify(answer(work, JSON.parse(line), clock))}\n`)
  } catch (error) {
    // The server has gone, and nobody waits for the answer.
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error
  }
}

/**
 * A terminal and a supervisor send these to every process of a group. The server still wants the
 * answers to what it has begun, and ends its children when it has them.
 */
function outliveSignals(): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => {})
}

function answer<Job, Result>(work: (job: Job) => Result, job: Job, clock: Clock): Answer<Result> {
  const startedAt = clock.monotonicMs()
  try {
    return { result: work(job), tookMs: clock.monotonicMs() - startedAt }
  } catch (error) {
    return { error: String(error), tookMs: clock.monotonicMs() - startedAt }
  }
}

/**
 * Split at newlines and nowhere else, which a text in JSON cannot contain. It can contain the other
 * separators that `node:readline` splits at.
 */
function* linesOf(file: number): Generator<string> {
  const chunk = Buffer.alloc(READ_BYTES)
  let rest = Buffer.alloc(0)
  for (;;) {
    const size = readSync(file, chunk)
    if (size === 0) return
    rest = Buffer.concat([rest, chunk.subarray(0, size)])
    for (let end = rest.indexOf(NEWLINE); end !== -1; end = rest.indexOf(NEWLINE)) {
      yield rest.toString('utf8', 0, end)
      rest = rest.subarray(end + 1)
    }
  }
}
