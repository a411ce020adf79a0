/**
 * The script of the child processes that hash passwords. What they are sent and answer goes through
 * pipes alone: no password stands in an argument, the environment or a log.
 */
import { hashSync, type Options, verifySync } from '@node-rs/argon2'
import { answerJobs } from './job-lines.ts'

/** `passwordHash` undefined: make one. Otherwise: does the password fit it? */
export interface PasswordJob {
  password: string
  passwordHash: string | undefined
}

/** `algorithm: 2` is argon2id; the package's own constant is a const enum that erases badly. */
const ARGON2ID: Options = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 }

answerJobs(({ password, passwordHash }: PasswordJob): string | boolean =>
  passwordHash === undefined ? hashSync(password, ARGON2ID) : verifySync(passwordHash, password),
)
