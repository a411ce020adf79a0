/**
 * The script of the child processes that hash passwords. What they are sent and answer goes through
 * pipes alone: no password stands in an argument, the environment or a log.
 */
import { loadHasher } from './argon2.ts'
import { answerJobs } from './job-lines.ts'

/** `passwordHash` undefined: make one. Otherwise: does the password fit it? */
export interface PasswordJob {
  password: string
  passwordHash: string | undefined
}

const SLOW =
  'Passwords take three times as long to hash here: the fast way needs libgcc_s.so.1 and ' +
  'librt.so.1, and a /tmp from which programs may be run.\n'

const hasher = await loadHasher()
if (!hasher.isNative) process.stderr.write(SLOW)

answerJobs(({ password, passwordHash }: PasswordJob): string | boolean =>
  passwordHash === undefined ? hasher.hash(password) : hasher.verify(passwordHash, password),
)
