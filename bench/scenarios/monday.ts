/**
 * *monday*: ten thousand people sign in while the town talks at half its rate. Signing in costs a
 * password hash each; what it must not cost is the chat.
 */
import { rmSync } from 'node:fs'
import { measureBareHashing } from '../bare-hashing.ts'
import { markOf } from '../generator/job.ts'
import { BEGUN, type SignInsJob, type SignInsResult } from '../generator/jobs/sign-ins.ts'
import { generate } from '../generator-process.ts'
import { createRooms, PASSWORD, signUpUsers } from '../people.ts'
import type { Measured } from '../record.ts'
import { readPasswordHash, seedAccounts } from '../seed.ts'
import { makeDataFolder, ServerProcess } from '../server.ts'
import { amount, atLeast, atMost, type BenchContext, type Scenario } from './scenario.ts'
import { parley, stopping } from './subjects.ts'
import { measureTalk } from './talk.ts'
import { step, townRooms, townTalk } from './town.ts'

const PEOPLE = { quick: 300, full: 10_000 }
/** All of the ten thousand within ten seconds. */
const COME_PER_S = 1_000
const POSTS_PER_S = 5_000
const HASHING_S = { quick: 3, full: 10 }
const ALONE_S = { quick: 5, full: 20 }
/** The town talks so much longer than a bare loop would hash: chat and sign-ins share the core. */
const STORM_FACTOR = 1.5
const GIVE_UP_FACTOR = 10
/** The account whose password all share. */
const MODEL = 'bench-0'

const RATE_PERCENT_MIN = 95
const P99_FACTOR_MAX = 2

/** The phase of the talk in which they come; in the one before, nobody signs in. */
const STORM = 1

export const monday: Scenario = {
  name: 'monday',
  async run(context) {
    const folder = makeDataFolder()
    const remove = () => rmSync(folder, { recursive: true, force: true })
    process.once('exit', remove)
    try {
      return await measure(folder, context)
    } finally {
      process.removeListener('exit', remove)
      remove()
    }
  },
}

async function measure(folder: string, context: BenchContext): Promise<Measured[]> {
  const { quick, cores, profileFolder, progress } = context
  const options = { script: 'src/main.ts', core: cores?.server, folder }
  const before = await ServerProcess.start(options)
  const prepared = await stopping(before, async () => {
    const tokens = await signUpUsers(before.url)
    return { tokens, rooms: await createRooms(before.url, tokens[0]!, townRooms) }
  })
  const names = seedAccounts(folder, MODEL, quick ? PEOPLE.quick : PEOPLE.full)
  progress.begin('monday, bare loop')
  const bareRate = await measureBareHashing(cores?.server, {
    hash: readPasswordHash(folder, MODEL),
    password: PASSWORD,
    seconds: quick ? HASHING_S.quick : HASHING_S.full,
  })
  progress.end()
  const server = await ServerProcess.start({ ...options, profileFolder })
  return stopping(server, async () => {
    const bareS = names.length / bareRate
    const talk = townTalk('monday', [
      step(POSTS_PER_S, quick ? ALONE_S.quick : ALONE_S.full),
      step(POSTS_PER_S, Math.ceil(bareS * STORM_FACTOR)),
    ])
    const rush = new RushBeside(server, names, Math.ceil(bareS * GIVE_UP_FACTOR), context)
    const mark = (name: string) => rush.mark(name)
    const subject = parley(server, prepared.rooms, prepared.tokens)
    const [alone = [], storm = []] = await measureTalk(talk, subject, context, { mark })
    return report(alone[0], storm[0], await rush.end(), bareRate)
  })
}

interface RushFigures extends SignInsResult {
  wanted: number
  /** While the town talked. */
  perSecond: number
  /** How long the town talked on; longer than they took, if all were in before it ended. */
  besideS: number
}

/** The people who come while the second phase of the talk is measured. */
class RushBeside {
  readonly #server: ServerProcess
  readonly #names: string[]
  readonly #giveUpS: number
  readonly #context: BenchContext
  #result: Promise<SignInsResult> | undefined
  #begunAt = 0
  #besideS = 0
  /** The town has gone, and there are still people who want in. */
  #isLast = false

  constructor(server: ServerProcess, names: string[], giveUpS: number, context: BenchContext) {
    this.#server = server
    this.#names = names
    this.#giveUpS = giveUpS
    this.#context = context
  }

  /** Of the talk. */
  mark(name: string): void {
    if (name === markOf.measuring(STORM)) this.#result = this.#begin()
    if (name === markOf.measured(STORM)) this.#besideS = (performance.now() - this.#begunAt) / 1_000
  }

  #begin(): Promise<SignInsResult> {
    const { cores, progress } = this.#context
    const job: SignInsJob = {
      kind: 'sign-ins',
      port: this.#server.port,
      names: this.#names,
      password: PASSWORD,
      withinS: this.#names.length / COME_PER_S,
      giveUpS: this.#giveUpS,
    }
    const result = generate<SignInsResult>(job, {
      core: cores?.generator,
      mark: (name) => {
        if (name === BEGUN) this.#begunAt = performance.now()
      },
      // While the town talks, what it tells is shown.
      progress: (told) => {
        if (this.#isLast) progress.tell(told, 'sign-ins')
      },
    })
    // Whoever asks for the result gets to know; until then the talk goes on.
    result.catch(() => {})
    return result
  }

  /** Waits until all are in. */
  async end(): Promise<RushFigures> {
    if (this.#result === undefined) throw new Error('The town fell apart before anyone came.')
    const { progress } = this.#context
    progress.begin('monday, those who are not in yet')
    this.#isLast = true
    const result = await this.#result.finally(() => progress.end())
    const besideS = this.#besideS
    const isBeside = ({ atS }: { atS: number }) => atS <= besideS
    const beside = result.series.filter(isBeside)
    const sum = beside.reduce((all, { perSecond }) => all + perSecond, 0)
    const perSecond =
      result.seconds <= besideS ? result.signedIn / result.seconds : sum / beside.length
    return { ...result, wanted: this.#names.length, perSecond, besideS }
  }
}

function report(
  alone: Measured | undefined,
  storm: Measured | undefined,
  rush: RushFigures,
  bareRate: number,
): Measured[] {
  if (alone === undefined || storm === undefined) throw new Error('The town fell apart.')
  const load = `${amount(rush.wanted)} people want in within ${rush.wanted / COME_PER_S} s`
  const names = { scenario: 'monday', load: `${load}, beside the town`, unit: 'sign-ins' } as const
  const factor = storm.latencyMs!.p99 / alone.latencyMs!.p99
  const more = rush.faultCount - rush.faults.length
  const percent = (rush.perSecond / bareRate) * 100
  const signIns: Measured = {
    ...names,
    subject: 'parley',
    durable: 'fsync before the acknowledgement',
    ordered: '',
    perSecond: rush.perSecond,
    count: rush.signedIn,
    latencyMs: rush.latencyMs,
    series: rush.series,
    goals: [
      atLeast('of the bare argon2 rate', RATE_PERCENT_MIN, percent, '%'),
      atMost('sign-ins that failed', 0, rush.wanted - rush.signedIn, ''),
    ],
    notes: notesOf(alone, rush, bareRate),
    faults: more > 0 ? [...rush.faults, `and ${more} more faults`] : rush.faults,
  }
  const bareLoop: Measured = {
    ...names,
    subject: 'bare loop',
    durable: 'stores nothing',
    ordered: '',
    perSecond: bareRate,
    notes: ['argon2 with the same parameters and nothing else, on a core of its own'],
  }
  const during = {
    ...storm,
    load: `${storm.load}, while ${load}`,
    goals: [atMost('p99 of a delivery, of that before', P99_FACTOR_MAX, factor, '×')],
  }
  return [signIns, bareLoop, { ...alone, load: `${alone.load}, nobody signs in` }, during]
}

function notesOf(alone: Measured, rush: RushFigures, bareRate: number): string[] {
  const free = Math.max(0, 1 - (alone.serverCores ?? 0))
  return [
    `the town alone keeps ${amount(100 * (1 - free))} % of the core busy: on what that leaves, ` +
      `the bare loop would sign in ${amount(bareRate * free)} a second`,
    `all were in after ${amount(rush.seconds)} s, of which the town talked for ` +
      `${amount(Math.min(rush.besideS, rush.seconds))} s`,
    `${amount(rush.sentAway)} times somebody was sent away for a while`,
  ]
}
