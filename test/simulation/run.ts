/** Many stories one after the other, and what is said of one that goes wrong. */
import { shrink } from './shrink.ts'
import { type Step, type Story, storyOf } from './story.ts'
import { type Outcome, tell } from './tell.ts'

export interface Tally {
  stories: number
  operations: number
  deliveries: number
  simulatedMs: number
  /** The first story that went wrong, shrunk and told in words. */
  failure: string | undefined
}

/**
 * Tells stories from `firstSeed` on while `goOn` says so, up to the first that goes wrong. A
 * rejection that nobody looked at counts as well: it would end the process.
 */
export async function tellMany(firstSeed: number, goOn: (told: number) => boolean): Promise<Tally> {
  const tally: Tally = {
    ...{ stories: 0, operations: 0, deliveries: 0, simulatedMs: 0 },
    failure: undefined,
  }
  let rejection: unknown
  const note = (error: unknown) => {
    rejection ??= error
  }
  process.on('unhandledRejection', note)
  try {
    while (tally.failure === undefined && goOn(tally.stories)) {
      const seed = firstSeed + tally.stories
      const outcome = tell(storyOf(seed))
      // Only between turns of the loop is the process told of rejections.
      await new Promise((resolve) => setImmediate(resolve))
      if (rejection !== undefined) {
        const what = rejection instanceof Error ? rejection.stack : String(rejection)
        outcome.complaints.push({ kind: 'uncaught', what: what ?? '' })
      }
      add(tally, outcome)
      if (outcome.complaints.length > 0) tally.failure = describe(seed, outcome)
    }
  } finally {
    process.off('unhandledRejection', note)
  }
  return tally
}

function add(tally: Tally, { operations, deliveries, tookMs }: Outcome): void {
  tally.stories += 1
  tally.operations += operations
  tally.deliveries += deliveries
  tally.simulatedMs += tookMs
}

/** The seed, how to tell it again, and the shortest story that goes wrong in the same way. */
export function describe(seed: number, { complaints }: Outcome): string {
  const story = storyOf(seed)
  const kinds = [...new Set(complaints.map(({ kind }) => kind))]
  const steps = shrink(story.steps, (some) => failsWith(kinds, { ...story, steps: [...some] }))
  const shortest = tell({ ...story, steps })
  const found = shortest.complaints.length > 0 ? shortest.complaints : complaints
  return [
    `seed ${seed}: ${kinds.join(', ')}. To tell it again: npm run trials -- --seed ${seed}`,
    `of ${story.steps.length} steps these are left, with ${JSON.stringify(story.setting)}:`,
    ...steps.map(sentence),
    story.isLively ? '  in the end all becomes well, and then:' : '  then:',
    ...found.slice(0, 8).map(({ kind, what }) => `  ${kind}: ${what}`),
  ].join('\n')
}

function failsWith(kinds: readonly string[], story: Story): boolean {
  return tell(story).complaints.some(({ kind }) => kinds.includes(kind))
}

function sentence({ afterMs, ...what }: Step): string {
  return `  after ${afterMs.toFixed(1)} ms: ${JSON.stringify(what)}`
}
