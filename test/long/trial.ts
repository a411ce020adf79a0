/**
 * The long forms of the faults: what a trial is, and how trials are run. One after the other, each
 * with a limit in time, and each says in one line what it has seen.
 */
import { createRandom } from '../client/sim/clock.ts'

export interface Verdict {
  /** What was done, and how often, in one line. */
  figures: string
  /** Everything that was wrong. */
  faults: readonly string[]
}

export interface Trial {
  /** As one calls it, for example `F1`. */
  name: string
  what: string
  /** Past it the trial has failed. On two cores that have nothing else to do it takes half. */
  minutesMax: number
  run: (scene: Scene) => Promise<Verdict>
}

/** What it needs cannot be had here. */
export class Skipped extends Error {}

export interface TrialOptions {
  /** Decides when and where harm is done. What the machine makes of it is another matter. */
  seed: number
  /** Of the whole trial, for a short look: 1 is all of it. */
  share: number
  /** Prints a line. */
  say: (line: string) => void
}

const PROGRESS_EVERY_MS = 10_000
const FAULTS_SHOWN_MAX = 20

/** What a trial is given: chance, a voice, and somebody who tidies up behind it. */
export class Scene {
  readonly random: () => number
  readonly share: number
  readonly #say: (line: string) => void
  readonly #undo: (() => unknown)[] = []
  #toldAt = performance.now()

  constructor({ seed, share, say }: TrialOptions, name: string) {
    this.random = createRandom(seed)
    this.share = share
    this.#say = (line) => say(`${name}  … ${line}`)
  }

  /** How often something is done: so many times in the whole trial, fewer in a short one. */
  times(all: number, least = 1): number {
    return Math.max(least, Math.round(all * this.share))
  }

  /** From 0 to just below `end`. */
  below(end: number): number {
    return Math.floor(this.random() * end)
  }

  pick<T>(all: readonly T[]): T {
    return all[this.below(all.length)]!
  }

  /** Not for anything to happen, but so that harm comes at any moment. */
  moment(msMax: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, this.random() * msMax))
  }

  /** How far it is; printed now and then. */
  progress(line: string): void {
    const now = performance.now()
    if (now - this.#toldAt < PROGRESS_EVERY_MS) return
    this.#toldAt = now
    this.#say(line)
  }

  /** Is done when the trial is over, however it ends; last comes first. */
  afterwards(work: () => unknown): void {
    this.#undo.push(work)
  }

  async tidyUp(): Promise<void> {
    for (const work of this.#undo.splice(0).reverse())
      try {
        await work()
      } catch (error) {
        // What is left behind is no fault of the server's, and the other trials go on.
        this.#say(`not tidied up: ${(error as Error).message}`)
      }
  }
}

/** Runs trials one after the other. True if nothing was wrong in any. */
export async function runTrials(trials: readonly Trial[], options: TrialOptions): Promise<boolean> {
  let allWell = true
  for (const trial of trials) {
    options.say(`${trial.name}  ${trial.what} (at most ${trial.minutesMax} min)`)
    const startedAt = performance.now()
    const verdict = await verdictOf(trial, options)
    const seconds = Math.round((performance.now() - startedAt) / 1_000)
    const { figures, faults } = verdict
    const word = faults.length > 0 ? 'WRONG' : 'ok'
    options.say(`${trial.name}  ${word} in ${seconds} s, seed ${options.seed}: ${figures}`)
    for (const fault of faults.slice(0, FAULTS_SHOWN_MAX)) options.say(`      ${fault}`)
    const more = faults.length - FAULTS_SHOWN_MAX
    if (more > 0) options.say(`      and ${more} more`)
    if (faults.length > 0) allWell = false
  }
  return allWell
}

async function verdictOf(trial: Trial, options: TrialOptions): Promise<Verdict> {
  const scene = new Scene(options, trial.name)
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    const end = () => reject(new Error(`it takes longer than ${trial.minutesMax} minutes`))
    timer = setTimeout(end, trial.minutesMax * 60_000)
  })
  try {
    return await Promise.race([trial.run(scene), late])
  } catch (error) {
    if (error instanceof Skipped) return { figures: `SKIPPED: ${error.message}`, faults: [] }
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { figures: 'it could not be finished', faults: [what] }
  } finally {
    clearTimeout(timer)
    await scene.tidyUp()
  }
}
