/**
 * The thread passwords are hashed in, at the lowest priority: it takes the core while nobody else
 * wants it, and gives it back as soon as a message comes in. Jobs are done in the order they come.
 */
import { platform, setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { hashSync, type Options, verifySync } from '@node-rs/argon2'
import type { Answer } from './threads.ts'

/** `passwordHash` undefined: make one. Otherwise: does the password fit it? */
export interface PasswordJob {
  password: string
  passwordHash: string | undefined
}

/** `algorithm: 2` is argon2id; the package's own constant is a const enum that erases badly. */
const ARGON2ID: Options = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 }
const LOWEST_PRIORITY = 19

/**
 * Linux keeps a priority for each thread, and 0 means the one that asks. Other systems would lower
 * the whole process, and chat with it: there the thread stays as it is.
 */
function stepBack(): void {
  if (platform() !== 'linux') return
  try {
    setPriority(0, LOWEST_PRIORITY)
  } catch {
    // A sandbox may forbid it. Hashing then competes with chat, which is slower but not wrong.
  }
}

function work({ password, passwordHash }: PasswordJob): string | boolean {
  return passwordHash === undefined
    ? hashSync(password, ARGON2ID)
    : verifySync(passwordHash, password)
}

function answerTo(job: PasswordJob): Answer<string | boolean> {
  const startedAt = performance.now()
  try {
    return { result: work(job), tookMs: performance.now() - startedAt }
  } catch (error) {
    return { error: String(error), tookMs: performance.now() - startedAt }
  }
}

stepBack()
parentPort!.on('message', (job: PasswordJob | null) => {
  if (job === null) parentPort!.close()
  else parentPort!.postMessage(answerTo(job))
})
