/** The checker itself: it says nothing of a good run, and finds each fault that is planted. */
import { expect, test } from 'bun:test'
import { faultsOf } from '../../src/verify/checker.ts'
import type { Attempt, FaultKind, History, Reading, Seen } from '../../src/verify/history.ts'
import { workedMs } from '../harness.ts'

const ok = (n: number, more: Partial<Attempt> = {}): Attempt => ({
  client: 'ada',
  key: `k${n}`,
  timeline: 'room',
  text: `text ${n}`,
  invokedAt: n * 10,
  completedAt: n * 10 + 15,
  outcome: 'ok',
  seq: n,
  ...more,
})

const event = (n: number): Seen => ({ seq: n, text: `text ${n}`, at: n * 10 + 12 })
const inInbox = (seq: number, n: number, inner: number): Seen => ({ ...event(n), seq, inner })

const reading = (after: number, to: number, more: Partial<Reading> = {}): Reading => ({
  reader: 'bob',
  via: 'sse',
  timeline: 'room',
  after,
  events: Array.from({ length: to - after }, (_, index) => event(after + index + 1)),
  toTheEnd: true,
  ...more,
})

const INBOXES: [inbox: string, owner: string][] = ['ada', 'bob', 'eve'].map((owner) => [
  `${owner}'s inbox`,
  owner,
])

/** A run without a fault: overlapping posts, a retry, a refusal, an unknown that was not stored. */
function goodRun() {
  return {
    attempts: [
      ok(1),
      ok(2, { outcome: 'unknown', seq: undefined as never }),
      ok(2, { invokedAt: 60, completedAt: 65 }),
      ok(3),
      ok(4, { timeline: 'direct', seq: 1 }),
      ok(6, { timeline: 'direct', seq: 2, client: 'bob' }),
      ok(7, { timeline: 'direct', seq: 3 }),
      ok(5, { seq: 4 }),
      ok(98, { outcome: 'failed' }),
      ok(99, { outcome: 'unknown' }),
    ],
    log: new Map<string, Seen[]>([
      ['room', [{ ...event(1), stamp: 'ada, noon' }, event(2), event(3), { ...event(5), seq: 4 }]],
      ['direct', [4, 6, 7].map((n, index) => ({ ...event(n), seq: index + 1 }))],
      ["ada's inbox", [inInbox(1, 6, 2)]],
      ["bob's inbox", [inInbox(1, 4, 1), inInbox(2, 7, 3)]],
      ["eve's inbox", []],
    ]),
    readings: [
      reading(0, 3, { toTheEnd: false }),
      reading(3, 3, { events: [{ seq: 4, text: 'text 5', at: 70 }], signedOutAt: 65 }),
      reading(2, 3, { toTheEnd: false, via: 'history' }),
      reading(0, 0, {
        ...{ timeline: 'direct', toTheEnd: false },
        events: [{ seq: 1, text: 'text 4', at: 1 }],
      }),
      reading(0, 0, {
        timeline: "bob's inbox",
        events: [inInbox(1, 4, 1), inInbox(2, 7, 3)],
      }),
      reading(0, 0, { reader: 'eve', timeline: "eve's inbox" }),
    ],
    members: new Map([
      ['direct', ['ada', 'bob']],
      ...INBOXES.map(([inbox, owner]): [string, string[]] => [inbox, [owner]]),
    ]),
    inboxes: new Map(INBOXES),
  }
}

type Run = ReturnType<typeof goodRun>

test('a good run has no fault', () => {
  expect(faultsOf(goodRun())).toEqual([])
})

const planted: [string, FaultKind, (run: Run) => void][] = [
  [
    'an acknowledged post is missing from the log',
    'lost',
    ({ log }) => void log.get('room')!.pop(),
  ],
  [
    'a seen event is missing from the log',
    'lost',
    (run) => {
      run.attempts[5]!.outcome = 'unknown'
      run.log.get('room')!.pop()
    },
  ],
  [
    'the log has what nobody sent',
    'phantom',
    ({ log }) => {
      log.get('room')!.push({ seq: 5, text: 'from nowhere', at: 1 })
    },
  ],
  [
    'the log has what was sent elsewhere',
    'phantom',
    ({ log }) => {
      log.get('room')![3]!.text = 'text 4'
    },
  ],
  [
    'a reader has seen what nobody sent',
    'phantom',
    ({ readings }) => {
      readings[0]!.events.push({ seq: 4, text: 'from nowhere', at: 1 })
    },
  ],
  [
    'a refused post is in the log',
    'aborted-read',
    ({ log }) => {
      log.get('room')!.push({ seq: 5, text: 'text 98', at: 1 })
    },
  ],
  [
    'a refused post was seen',
    'aborted-read',
    ({ readings }) => {
      readings[1]!.events.push({ seq: 5, text: 'text 98', at: 1 })
    },
  ],
  [
    'one key stands at two seqs',
    'duplicate',
    ({ log }) => {
      log.get('room')!.push({ seq: 5, text: 'text 2', at: 1 })
    },
  ],
  [
    'a retry was answered with another seq',
    'duplicate',
    ({ attempts }) => {
      attempts.push(ok(3, { seq: 4 }))
    },
  ],
  [
    'the log has a hole',
    'gap',
    ({ log }) => {
      for (const later of log.get('room')!.slice(2)) later.seq += 1
    },
  ],
  ['a reader was given a hole', 'gap', ({ readings }) => void readings[0]!.events.splice(1, 1)],
  [
    'a reader was not given the first after its cursor',
    'gap',
    ({ readings }) => {
      readings[0]!.events.shift()
    },
  ],
  [
    'a reader saw another text than the log has',
    'inconsistent',
    ({ readings }) => {
      readings[0]!.events[1]!.text = 'text 3'
    },
  ],
  [
    'an answer named another seq than the log',
    'inconsistent',
    ({ attempts }) => {
      attempts[0]!.seq = 3
    },
  ],
  [
    'a reader was given an event twice',
    'nonmonotonic',
    ({ readings }) => {
      readings[0]!.events.splice(1, 0, event(1))
    },
  ],
  [
    'a reader was given two events the wrong way round',
    'nonmonotonic',
    ({ readings }) => {
      readings[0]!.events.reverse()
    },
  ],
  [
    'a post stands before one acknowledged before it was sent',
    'realtime-inversion',
    (run) => {
      run.attempts[0]!.invokedAt = 900
      run.attempts[0]!.completedAt = 910
    },
  ],
  ['a reader who stayed lacks the end', 'unseen', ({ readings }) => void readings[1]!.events.pop()],
  [
    'a stranger reads a direct conversation',
    'leak',
    ({ readings }) => {
      readings[3]!.reader = 'eve'
    },
  ],
  [
    'a direct message is not in the inbox of whom it was for',
    'lost',
    ({ log }) => void log.get("ada's inbox")!.pop(),
  ],
  [
    'a direct message is in an inbox twice',
    'duplicate',
    ({ log }) => void log.get("bob's inbox")!.push(inInbox(3, 4, 1)),
  ],
  [
    'an inbox has messages of a conversation the wrong way round',
    'nonmonotonic',
    ({ log }) => void log.set("bob's inbox", [inInbox(1, 7, 3), inInbox(2, 4, 1)]),
  ],
  [
    'an inbox names another place than the conversation',
    'inconsistent',
    ({ log }) => {
      log.get("bob's inbox")![1]!.inner = 2
    },
  ],
  [
    'an inbox has a hole',
    'gap',
    ({ log }) => {
      log.get("bob's inbox")![1]!.seq = 3
    },
  ],
  [
    'an inbox has what its owner wrote',
    'phantom',
    ({ log }) => void log.get("ada's inbox")!.push(inInbox(2, 7, 3)),
  ],
  [
    'an inbox has what nobody wrote',
    'phantom',
    ({ log }) =>
      void log.get("eve's inbox")!.push({ seq: 1, text: 'from nowhere', at: 1, inner: 1 }),
  ],
  [
    "a message for somebody else is in a stranger's inbox",
    'leak',
    ({ log }) => void log.get("eve's inbox")!.push(inInbox(1, 4, 1)),
  ],
  [
    'a stranger who listens to the own inbox is told of a message for somebody else',
    'leak',
    ({ readings }) => void readings[5]!.events.push(inInbox(1, 4, 1)),
  ],
  [
    'a reader was told of another author or time than the log has',
    'diverge',
    ({ readings }) => {
      readings[0]!.events[0]!.stamp = 'bob, noon'
    },
  ],
  [
    'an event came after the sign-out',
    'zombie',
    ({ readings }) => {
      readings[1]!.events[0]!.at = 65 + 1_001
    },
  ],
]

for (const [what, kind, plant] of planted)
  test(`it is found that ${what}`, () => {
    const run = goodRun()
    plant(run)
    expect(faultsOf(run).map((fault) => fault.kind)).toContain(kind)
  })

test('a second is allowed between sign-out and silence, and no more', () => {
  const run = goodRun()
  run.readings[1]!.events[0]!.at = 65 + 1_000
  expect(faultsOf(run)).toEqual([])
})

test('a run in which two keys share a text cannot be judged', () => {
  const run = goodRun()
  run.attempts.push(ok(1, { key: 'another' }))
  expect(() => faultsOf(run)).toThrow('two keys')
})

test('a long run is judged in one pass', () => {
  const count = 200_000
  const numbers = Array.from({ length: count }, (_, index) => index + 1)
  const run: History = {
    attempts: numbers.map((n) => ok(n)),
    log: new Map([['room', numbers.map(event)]]),
    readings: [reading(0, count), reading(count / 2, count)],
  }
  const startedAtMs = workedMs()
  expect(faultsOf(run)).toEqual([])
  // Comparing each event with each other would take minutes.
  expect(workedMs() - startedAtMs).toBeLessThan(10_000)
})
