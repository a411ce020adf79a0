/**
 * The mistakes that chat servers are made with, each planted in a copy of the sources: stories go
 * wrong with every one of them, and the checker says in which way. One more, a database that does
 * not sync what it commits, is planted where the power is cut (`test/faults/power-cut.test.ts`).
 */
import { expect, test } from 'bun:test'
import { spawn } from 'bun'
import type { FaultKind } from '../../src/verify/history.ts'
import { type Plant, plantedCopy } from '../faults/planted.ts'

/** Far more than any of them takes. */
const STORIES_MAX = 5_000
/** Some go wrong once in thousands of stories; from here on each does so soon. */
const FIRST_SEED = 3_300
/** Prints what the first story that goes wrong complains of, unshrunk: that takes longest. */
const TELL = `
  process.on('unhandledRejection', () => {})
  const { tell } = await import('./test/simulation/tell.ts')
  const { storyOf } = await import('./test/simulation/story.ts')
  for (let seed = ${FIRST_SEED}; seed < ${FIRST_SEED + STORIES_MAX}; seed++) {
    const { complaints } = tell(storyOf(seed))
    if (complaints.length > 0) {
      console.log(JSON.stringify(complaints.map(({ kind }) => kind)))
      break
    }
  }
  process.exit()`

/** Pages that lack the end, and readers who are told to start over, are judged by stories alone. */
type Kind = FaultKind | 'stale' | 'false-restart'

const APPEND = 'const answer = store.append(batch.map((waiting) => waiting.given))'

const MISTAKES: [what: string, kinds: Kind[], plants: Plant[]][] = [
  [
    'numbers come from a sequence, which what is not recorded uses up, too',
    ['gap'],
    [
      [
        'test/contracts/model-log.ts',
        'const scope = JSON.stringify([timeline, author, key])',
        `const numbers = ((this as any).numbers ??= new Map())
         const number = (numbers.get(timeline) ?? 0) + 1
         numbers.set(timeline, number)
         const scope = JSON.stringify([timeline, author, key])`,
      ],
      ['test/contracts/model-log.ts', 'seq: log.length + 1, type', 'seq: number, type'],
    ],
  ],
  [
    'a post is acknowledged before it is committed',
    ['lost'],
    [
      [
        'src/chat/record.ts',
        APPEND,
        `const given = batch.map((waiting) => waiting.given)
         const committed = store.append(given)
         committed.catch(() => {})
         const answer = Promise.race([committed, new Promise((resolve) => setTimeout(resolve, 3))])
           .then((told: any) => told ?? given.map((one) => ({ outcome: 'recorded',
             inboxEntry: null, event: { ...one, seq: (store as any).guess?.() ?? 1 } })))`,
      ],
    ],
  ],
  [
    'keys are kept in a map of the process',
    ['duplicate'],
    [
      [
        'src/chat/record.ts',
        APPEND,
        `const given = batch.map((waiting) => waiting.given)
         const known = ((this as any).known ??= new Map())
         const scope = (one: any) => one.key && JSON.stringify([one.timeline, one.author, one.key])
         const fresh = given.filter((one) => !known.has(scope(one)))
         const answer = store.append(fresh.map((one) => ({ ...one, key: undefined })))
           .then((told) => given.map((one) => {
             const original = known.get(scope(one))
             const isSame = original?.body === one.body
             if (original) return { outcome: isSame ? 'replayed' : 'key_reused', event: original }
             const recorded: any = told[fresh.indexOf(one)]
             if (one.key) known.set(scope(one), recorded.event)
             return recorded
           }))`,
      ],
    ],
  ],
  [
    'the head is read first, and what comes meanwhile is not kept',
    ['unseen', 'stale'],
    [['src/live/hub.ts', 'timeline.early.push(event)', 'void event']],
  ],
  [
    'an event past a hole is taken for the next one',
    ['gap'],
    [
      [
        'src/live/hub.ts',
        'if (event.seq > timeline.head + 1) return this.#holes.add(timeline, event)',
        '',
      ],
    ],
  ],
  [
    'what the bus was given is taken for delivered',
    ['unseen'],
    [['src/live/head-check.ts', 'if (head <= timeline.head) continue', 'continue']],
  ],
  [
    'a cursor is the highest number there is, and not the last one given',
    ['gap', 'unseen'],
    [['src/live/feed.ts', 'this.#cursor = slice.last', 'this.#cursor = this.timeline.head']],
  ],
  [
    'a restored backup keeps its epoch',
    ['inconsistent', 'gap', 'lost', 'unseen', 'false-restart'],
    [['test/simulation/disk.ts', 'this.#restores += 1\n    this.epoch =', 'this.epoch =']],
  ],
]

test.concurrent.each(MISTAKES)(
  'it is found that %s',
  async (_, kinds, plants) => {
    const { path, remove } = plantedCopy(plants, ['src', 'test', 'client'])
    const cmd = [process.execPath, '-e', TELL]
    const told = spawn({ cmd, cwd: path, stdout: 'pipe', stderr: 'inherit' })
    const printed = await new Response(told.stdout).text()
    remove()
    const found = JSON.parse(printed || '[]') as Kind[]
    expect([found, found.some((kind) => kinds.includes(kind))]).toEqual([found, true])
  },
  60_000,
)
