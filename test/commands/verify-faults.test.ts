/**
 * `parley verify` finds what is wrong with servers that break their promises: copies of the sources
 * with a fault planted in each.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { countFlushes, durabilityOf } from '../../src/verify/flushes.ts'
import type { FaultKind } from '../../src/verify/history.ts'
import { hasPassed, reportOf } from '../../src/verify/report.ts'
import { type Outcome, runTrial } from '../../src/verify/trial.ts'
import type { Plant } from '../faults/planted.ts'
import { planted, TRIAL_MS_MAX, undoAll } from './on-trial.ts'

const TRIAL = { people: 8, seconds: 3, kills: 2, restMsMax: 3_000 }

type Fault = [what: string, kinds: FaultKind[], ...Plant, more?: Plant]

const faults: Fault[] = [
  [
    'acknowledges before it commits',
    ['lost'],
    'src/chat/record.ts',
    'const answer = store.append(batch.map((waiting) => waiting.given))',
    `const given = batch.map((waiting) => waiting.given)
    const answer = Math.random() < 0.1
      ? Promise.resolve(given.map((one) => ({ outcome: 'recorded' as const, inboxEntry: null,
          event: { ...one, seq: 1 } })))
      : store.append(given)`,
  ],
  [
    'forgets keys, and does not always answer in time',
    ['duplicate'],
    'src/chat/record.ts',
    'else done(null, { event: result.event',
    `else if (Math.random() < 0.05) done(problem('outcome_unknown'))
      else done(null, { event: result.event`,
    // Beside it: nothing stands between a repetition and a second message.
    ['src/chat/messages.ts', 'key,', 'key: undefined,'],
  ],
  [
    'leaves out an event now and then',
    ['gap'],
    'src/live/hub.ts',
    'timeline.tail.push(event)',
    'if (event.seq % 20 !== 0) timeline.tail.push(event)',
  ],
  [
    'enters a direct message in the inbox of somebody else now and then',
    ['leak', 'lost'],
    'src/chat/access.ts',
    'inbox: inboxTimeline(id) }',
    `inbox: inboxTimeline(Math.random() < 0.1 ? SOMEBODY : id) }
    SOMEBODY = viewer.id`,
    ['src/chat/access.ts', 'export class Access {', "let SOMEBODY = ''\n\nexport class Access {"],
  ],
  [
    'goes on telling those who have signed out',
    ['zombie'],
    'src/chat/sessions.ts',
    'this.#holder.ended(id)',
    '',
    ['src/api/connections.ts', 'if (viewer && !isLive(viewer))', 'if (false)'],
  ],
  [
    'tells of another time than it has stored',
    ['diverge'],
    'src/live/hub.ts',
    'timeline.tail.push(event)',
    `const json = event.json.replace(/"at":"..../, '"at":"1999')
    timeline.tail.push({ ...event, json })`,
  ],
  [
    'leaves out an event between two pages, backwards',
    ['gap'],
    'src/chat/messages.ts',
    'return this.#list(place, { before, limit })',
    'return this.#list(place, { before: before - 1, limit })',
  ],
]

/** On trial all at once, for what a trial does is mostly to wait. */
const outcomes = new Map<Fault, Promise<Outcome>>()

beforeAll(() => {
  for (const fault of faults) {
    const outcome = tried(fault)
    // It is the test's to say so.
    outcome.catch(() => {})
    outcomes.set(fault, outcome)
  }
})

afterAll(undoAll)

async function tried([, kinds, file, text, fault, more]: Fault): Promise<Outcome> {
  const server = await planted([[file, text, fault], more])
  // A kill ends what a sign-out should have ended.
  const kills = kinds.includes('zombie') ? 0 : TRIAL.kills
  return runTrial({ ...TRIAL, kills, urls: [server.url], servers: [server], tell: () => {} })
}

for (const fault of faults) {
  const [what, kinds] = fault
  test(
    `it fails a server that ${what}`,
    async () => {
      const outcome = await outcomes.get(fault)!
      const found = outcome.faults.map((one) => one.kind)
      for (const kind of kinds) expect(found).toContain(kind)
      const verdict = {
        ...{ ...outcome, subject: what, circumstances: '', seconds: TRIAL.seconds },
        durability: durabilityOf(undefined),
      }
      expect(hasPassed(verdict)).toBe(false)
      expect(reportOf(verdict)).toMatch(/ {2}! \w.*\nFAIL$/s)
    },
    TRIAL_MS_MAX,
  )
}

test(
  'it fails a server whose posts are not on the disk',
  async () => {
    const honest = await planted([])
    const counted = await countFlushes(honest.url, honest.folder)
    if (counted === undefined) {
      if (process.env.CI) console.warn('SKIPPED: this disk does not count flushes')
      return
    }
    expect(counted.flushes).toBeGreaterThanOrEqual(counted.posts)
    const lying = await planted([
      [
        'src/store/sqlite-database.ts',
        'if (journalMode !== ',
        "db.run('PRAGMA synchronous = OFF')\n  if (false && journalMode !== ",
      ],
    ])
    const durability = durabilityOf(await countFlushes(lying.url, lying.folder))
    expect(hasPassed({ faults: [], durability })).toBe(false)
    const outcome = await outcomes.get(faults[0]!)!
    const told = { subject: '', circumstances: '', seconds: TRIAL.seconds, durability }
    expect(reportOf({ ...outcome, ...told })).toContain('ACKNOWLEDGED POSTS ARE NOT ON THE DISK')
  },
  TRIAL_MS_MAX,
)
