/**
 * *sign-ins*: many people want in at once. Each comes when it is planned, on a connection of its
 * own; whoever is sent away with 503 comes back when the server said so, until all are in.
 */
import type { Percentiles, Second } from '../../record.ts'
import { Faults, Histogram } from '../../stats.ts'
import { encodeRequest, HttpClient, type Response, readHeader } from '../http.ts'
import type { Loop } from '../loop.ts'
import type { JobContext } from '../main.ts'

export interface SignInsJob {
  kind: 'sign-ins'
  port: number
  names: string[]
  /** Of all of them. */
  password: string
  /** They come evenly spread over so long. */
  withinS: number
  /** Whoever is not in by then counts as failed. */
  giveUpS: number
}

export interface SignInsResult {
  signedIn: number
  /** Answers that sent somebody away for a while. */
  sentAway: number
  /** From the first who came to the last who was in. */
  seconds: number
  /** From when each wanted in, being sent away included. */
  latencyMs: Percentiles
  series: Second[]
  faults: string[]
  faultCount: number
}

/** Of the first one who comes. */
export const BEGUN = 'begun'

const CREATED = 201
const UNAVAILABLE = 503
const TOKEN = /^[A-Za-z0-9_-]{43}$/
const FAULTS_KEPT = 5

export async function signIns(job: SignInsJob, context: JobContext): Promise<SignInsResult> {
  const rush = new Rush(job, context)
  await rush.run()
  return rush.result()
}

class Rush {
  readonly #job: SignInsJob
  readonly #context: JobContext
  readonly #faults = new Faults(FAULTS_KEPT)
  readonly #latency = new Histogram()
  #second = new Histogram()
  readonly #series: Second[] = []
  readonly #tokens = new Set<string>()
  readonly #done = Promise.withResolvers<void>()
  #left: number
  #isOver = false
  #sentAway = 0
  #startedAt = 0
  #seconds = 0

  constructor(job: SignInsJob, context: JobContext) {
    this.#job = job
    this.#context = context
    this.#left = job.names.length
  }

  run(): Promise<void> {
    const { names, withinS, giveUpS } = this.#job
    const { loop, tell } = this.#context
    this.#startedAt = performance.now()
    tell({ mark: BEGUN })
    // Backwards, because the loop keeps its timers with the next one last.
    for (let i = names.length - 1; i >= 0; i--) {
      const atMs = this.#startedAt + (i / names.length) * withinS * 1_000
      loop.at(atMs, () => this.#come(names[i]!, atMs))
    }
    loop.at(this.#startedAt + giveUpS * 1_000, () => {
      if (this.#isOver) return
      this.#faults.add(`${this.#left} people were not in after ${giveUpS} s`)
      this.#end()
    })
    this.#turn()
    return this.#done.promise
  }

  #come(name: string, wantedAt: number): void {
    const { loop } = this.#context
    const { port, password } = this.#job
    new Visit(
      loop,
      port,
      { name, password },
      {
        letIn: (token) => this.#letIn(token, wantedAt),
        sentAway: (seconds) => {
          this.#sentAway += 1
          loop.at(performance.now() + seconds * 1_000, () => this.#come(name, wantedAt))
        },
        failed: (why) => {
          this.#faults.add(`${name} could not sign in: ${why}`)
          this.#settle()
        },
      },
    )
  }

  #letIn(token: string, wantedAt: number): void {
    if (this.#tokens.has(token)) this.#faults.add('a token was given twice')
    this.#tokens.add(token)
    this.#second.record(performance.now() - wantedAt)
    this.#settle()
  }

  #settle(): void {
    this.#left -= 1
    if (this.#left === 0) this.#end()
  }

  #end(): void {
    this.#isOver = true
    this.#seconds = (performance.now() - this.#startedAt) / 1_000
    this.#done.resolve()
  }

  /** Once a second. */
  #turn(): void {
    const atS = this.#series.length + 1
    this.#context.loop.at(this.#startedAt + atS * 1_000, () => {
      if (this.#isOver) return
      const { p50, p99 } = this.#second.percentiles
      const perSecond = this.#second.count
      this.#series.push({ atS, perSecond, p50, p99 })
      this.#latency.absorb(this.#second)
      this.#context.tell({ progress: { phase: 'sign-ins', atS, ofS: 0, perSecond } })
      this.#turn()
    })
  }

  result(): SignInsResult {
    this.#latency.absorb(this.#second)
    return {
      signedIn: this.#tokens.size,
      sentAway: this.#sentAway,
      seconds: this.#seconds,
      latencyMs: this.#latency.percentiles,
      series: this.#series,
      faults: this.#faults.texts,
      faultCount: this.#faults.count,
    }
  }
}

/** How one attempt may end. */
export interface VisitEnds {
  letIn(token: string): void
  sentAway(seconds: number): void
  failed(why: string): void
}

/** One attempt, on a new connection. */
class Visit {
  readonly #client: HttpClient
  readonly #ends: VisitEnds
  readonly #name: string

  constructor(
    loop: Loop,
    port: number,
    account: { name: string; password: string },
    ends: VisitEnds,
  ) {
    this.#ends = ends
    this.#name = account.name
    this.#client = new HttpClient(
      loop,
      { source: '127.0.0.1', port },
      {
        connected: () => this.#client.send(encodeRequest('POST', '/sessions', { json: account })),
        answered: (response) => {
          // What is wrong with it throws, and comes back as `lost`.
          const end = readSignIn(response, this.#name)
          this.#client.close()
          if ('token' in end) this.#ends.letIn(end.token)
          else this.#ends.sentAway(end.retryAfterS)
        },
        lost: (why) => this.#ends.failed(why),
      },
    )
  }
}

/** Throws if it is neither a session of this user's nor a request to come back later. */
export function readSignIn(
  response: Response,
  name: string,
): { token: string } | { retryAfterS: number } {
  const { status, bytes, bodyStart, bodyEnd } = response
  const body = bytes.toString('utf8', bodyStart, bodyEnd)
  if (status === UNAVAILABLE) {
    const retryAfter = readHeader(response, 'retry-after') ?? ''
    if (!/^\d+$/.test(retryAfter)) throw new Error(`503 without a Retry-After: ${body}`)
    return { retryAfterS: Number(retryAfter) }
  }
  if (status !== CREATED) throw new Error(`${status} instead of 201: ${body}`)
  const { token, user } = JSON.parse(body) as { token: string; user: { name: string } }
  if (!TOKEN.test(token) || user.name !== name) throw new Error(`a session of another: ${body}`)
  return { token }
}
