/** A thread's script for tests: jobs that fail, die, hang and say how long they took. */
import { parentPort, threadId } from 'node:worker_threads'

export type OddJob =
  | { kind: 'who' }
  | { kind: 'took'; tookMs: number }
  | { kind: 'fail' | 'exit' | 'crash' }
  | { kind: 'hold'; gate: Int32Array }

/** Blocks the thread until the gate is opened by `openGate`. */
export function newGate(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4))
}

export function openGate(gate: Int32Array): void {
  Atomics.store(gate, 0, 1)
  Atomics.notify(gate, 0)
}

function answer(job: OddJob): object {
  if (job.kind === 'fail') return { error: 'as it should', tookMs: 10 }
  if (job.kind === 'exit') process.exit(3)
  if (job.kind === 'crash') throw new Error('out of order')
  if (job.kind === 'hold') Atomics.wait(job.gate, 0, 0)
  return { result: threadId, tookMs: job.kind === 'took' ? job.tookMs : 10 }
}

parentPort?.on('message', (job: OddJob | null) => {
  if (job === null) parentPort!.close()
  else parentPort!.postMessage(answer(job))
})
