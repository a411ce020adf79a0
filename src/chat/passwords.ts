/**
 * Password hashing: argon2id as OWASP advises (19 MiB, 2 passes, 1 lane), some 10 ms of CPU each.
 * It runs in a few child processes of a low priority behind a bounded queue, so that a rush of
 * sign-ins slows sign-ins, not chat.
 */
import { availableParallelism } from 'node:os'
import type { Clock } from '../clock.ts'
import { problem } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { scriptArguments } from '../scripts.ts'
import type { PasswordJob } from './hash-process.ts'
import { Processes } from './processes.ts'

/**
 * A hash that nothing fits, as far as anyone knows: salt and result are zeros. Its parameters are
 * those of the real ones, so that checking against it takes as long.
 */
const DECOY = `$argon2id$v=19$m=19456,t=2,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
/** Nobody is sent away for longer, however many are. */
const RETRY_MS_MAX = 60_000

export class Passwords {
  readonly #queueMax: number
  readonly #clock: Clock
  readonly #metrics: Metrics
  readonly #processes: Processes<PasswordJob, string | boolean>
  /** When the last one who was refused is to come back, on the monotonic clock. */
  #returnAt = 0

  /** `concurrency` 0 means one less than there are cores, at least one. */
  constructor(options: {
    concurrency: number
    queueMax: number
    clock: Clock
    log: Log
    metrics: Metrics
  }) {
    const concurrency = options.concurrency || Math.max(1, availableParallelism() - 1)
    this.#queueMax = options.queueMax
    this.#clock = options.clock
    this.#metrics = options.metrics
    this.#processes = new Processes({
      script: scriptArguments('chat/hash-process'),
      purpose: 'parley-passwords',
      max: concurrency,
      log: options.log,
    })
  }

  /** A self-describing hash with its own salt. Rejects with `overloaded` past the queue. */
  async hash(password: string): Promise<string> {
    return (await this.#run({ password, passwordHash: undefined })) as string
  }

  /**
   * Whether the password fits. Without a hash it does the same work for nothing, so that an unknown
   * name takes as long as a wrong password. Rejects with `overloaded` past the queue.
   */
  async verify(passwordHash: string | undefined, password: string): Promise<boolean> {
    const fits = await this.#run({ password, passwordHash: passwordHash ?? DECOY })
    return fits === true && passwordHash !== undefined
  }

  /** Throws `overloaded` if the queue is full: for whoever would do something in vain before. */
  checkRoom(): void {
    if (this.#processes.waiting >= this.#queueMax) throw this.#tooMany()
  }

  /** Refuses those who wait with `restarting`, finishes what was begun, and ends the processes. */
  close(): Promise<void> {
    return this.#processes.close()
  }

  async #run(job: PasswordJob): Promise<string | boolean> {
    this.checkRoom()
    const answer = this.#processes.run(job)
    this.#metrics.hashQueue.set(this.#processes.waiting)
    return answer.finally(() => this.#metrics.hashQueue.set(this.#processes.waiting))
  }

  /**
   * Tells each one when its turn would come if the queue had no end, by the time that hashes take
   * at present: so those who are refused together do not come back together.
   */
  #tooMany() {
    this.#metrics.refusals.inc({ cause: 'hash_queue' })
    const now = this.#clock.monotonicMs()
    const { paceMs } = this.#processes
    const turn = Math.max(now + this.#queueMax * paceMs, this.#returnAt + paceMs)
    this.#returnAt = Math.min(turn, now + RETRY_MS_MAX)
    const retryAfterS = Math.max(1, Math.ceil((this.#returnAt - now) / 1_000))
    return problem('overloaded', { retryAfterS })
  }
}
