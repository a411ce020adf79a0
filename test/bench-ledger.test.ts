/**
 * Posts, pages and sign-ins of the load generator, against servers that do one thing wrong: each
 * acknowledgement and each page that is claimed is checked, and each kind of wrong one is noticed.
 */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Response as Answer, ResponseCutter } from '../bench/generator/http.ts'
import type { PagesJob, PagesResult } from '../bench/generator/jobs/pages.ts'
import type { PostsJob, PostsResult } from '../bench/generator/jobs/posts.ts'
import type { SignInsResult } from '../bench/generator/jobs/sign-ins.ts'
import { Pages } from '../bench/generator/pages.ts'
import { textOf } from '../bench/generator/texts.ts'
import { generate } from '../bench/generator-process.ts'
import { compareHeads } from '../bench/scenarios/posts.ts'
import { medianRate } from '../bench/scenarios/runs.ts'
import { readPasswordHash, seedAccounts, seedHistory } from '../bench/seed.ts'
import { SlowDisk } from '../bench/slow-disk.ts'
import { type AnswerPost, startPostServer, startWebServer } from './bench-desk.ts'
import { PASSWORD, ServerProcess, scratchFolder } from './harness.ts'

const ROOMS = ['r0000000000000001', 'r0000000000000002']
const TEXT_BYTES = 32
/** For what comes, if the machine lets it; and for what never comes. */
const FINISH_S = 10
const FINISH_S_IN_VAIN = 0.2

async function postTo(answer?: AnswerPost, load: Partial<PostsJob> = {}): Promise<PostsResult> {
  const server = startPostServer(answer)
  const job: PostsJob = {
    kind: 'posts',
    ports: [server.port!],
    tokens: [''],
    rooms: ROOMS,
    textBytes: TEXT_BYTES,
    connections: 4,
    inFlightMax: 8,
    warmUpS: 0,
    seconds: 1,
    finishS: FINISH_S,
    ...load,
  }
  try {
    return await generate<PostsResult>(job, { core: undefined })
  } finally {
    server.stop(true)
  }
}

test.concurrent('posts that are acknowledged rightly have no faults', async () => {
  const { faults, faultCount, acknowledged, count, seconds, latencyMs, series } = await postTo()
  expect({ faults, faultCount }).toEqual({ faults: [], faultCount: 0 })
  expect(acknowledged[0]! + acknowledged[1]!).toBeGreaterThanOrEqual(count)
  expect(count / seconds).toBeGreaterThan(100)
  expect(latencyMs.max).toBeGreaterThan(0)
  expect(series.map(({ atS }) => atS)).toEqual([1])
})

test.concurrent('an open loop sends what is planned, and not more', async () => {
  // What is due after a pause of the machine is sent at once.
  const load = { postsPerSecond: 200, inFlightMax: 200 }
  const { faults, acknowledged, seconds } = await postTo(undefined, load)
  expect(faults).toEqual([])
  const sum = acknowledged[0]! + acknowledged[1]!
  expect(sum).toBeGreaterThanOrEqual(190)
  expect(sum).toBeLessThanOrEqual(200 * seconds + 10)
})

/** Late enough that each room has had a post before. */
const WRONG = 50

test.concurrent.each<[what: string, answer: AnswerPost, fault: RegExp]>([
  [
    'with a seq that was given before',
    (n, reply) => (n === WRONG ? [reply(1)] : undefined),
    /^room \d: seq 1 was given (twice|after \d+ on one connection)$/,
  ],
  [
    'with a seq beyond a hole',
    (n, reply, seq) => [reply(n < WRONG ? seq : seq + 1)],
    /^room \d: the seqs acknowledged have holes$/,
  ],
  ['with no seq', (n, reply) => (n === WRONG ? [reply(Number.NaN)] : undefined), /was answered/],
  [
    'as if it were another',
    (n, reply) => (n === WRONG ? [reply(5, 99_999_999)] : undefined),
    /a reply to 99999999 came where \d+ was due/,
  ],
  [
    'with an error',
    (n) => (n === WRONG ? ['{"re":10000000,"error":{"status":503}}'] : undefined),
    /a post was answered \{"re":10000000,"error"/,
  ],
  [
    'twice',
    (n, reply) => (n === WRONG ? [reply(5), reply(5)] : undefined),
    /given twice|on one connection|came where/,
  ],
  ['never', (n) => (n >= WRONG ? [] : undefined), /^\d+ posts were never acknowledged$/],
])('a post is noticed that is acknowledged %s', async (_, answer, fault) => {
  const { faults, faultCount } = await postTo(answer, { finishS: FINISH_S_IN_VAIN })
  expect(faultCount).toBeGreaterThan(0)
  expect(faults.join('\n')).toMatch(new RegExp(fault.source, 'm'))
})

test.concurrent('posts that are answered in another order than sent are noticed', async () => {
  let held = ''
  const { faults } = await postTo(
    (n, reply) => {
      if (n === WRONG) held = reply(WRONG)
      if (n === WRONG + 1) return [reply(WRONG + 1), held]
      return n === WRONG ? [] : [reply(n)]
    },
    { connections: 1, rooms: ROOMS.slice(0, 1) },
  )
  expect(faults.join('\n')).toMatch(/a reply to \d+ came where \d+ was due/)
})

test.concurrent('seqs that fall on one connection are noticed, each given once', async () => {
  const swapped = (n: number) => (n === WRONG ? n + 1 : n === WRONG + 1 ? n - 1 : n)
  const { faults } = await postTo((n, reply) => [reply(swapped(n))], {
    connections: 1,
    rooms: ROOMS.slice(0, 1),
  })
  expect(faults).toContain(`room 0: seq ${WRONG} was given after ${WRONG + 1} on one connection`)
  expect(faults.join()).not.toContain('twice')
})

test('heads that do not match what was acknowledged are told', () => {
  const heads = new Map([
    ['a', 5],
    ['b', 6],
  ])
  expect(compareHeads(['a', 'b'], heads, [5, 6])).toEqual([])
  expect(compareHeads(['a', 'b'], heads, [5, 7])).toEqual([
    'room 1: the head is 6, but 7 posts were acknowledged',
  ])
  expect(compareHeads(['a', 'c'], heads, [4, 0])).toHaveLength(2)
})

/** A page as Parley sends it. */
function page(room: string, first: number, last: number) {
  return Array.from({ length: last - first + 1 }, (_, i) => ({
    seq: first + i,
    type: 'message',
    text: textOf(first + i - 1, TEXT_BYTES),
    room,
  }))
}

type Message = ReturnType<typeof page>[number]

test.each<[what: string, change: (messages: Message[]) => unknown[], fault: string]>([
  ['lacks its last message', (all) => all.slice(0, -1), 'a page of 4 messages'],
  ['has a message twice', (all) => [all[0], all[0], ...all.slice(2)], 'message 11 stands where 12'],
  ['has a hole', (all) => [...all.slice(0, 4), { ...all[4], seq: 16 }], 'message 16 stands'],
  ['is the neighbour of what was asked for', () => page('r', 12, 16), 'message 12 stands where 11'],
  ['is another room’s', () => page('s', 11, 15), 'is not what was stored'],
  ['has another text', (all) => all.with(2, { ...all[2]!, text: 'x' }), 'message 13 is not what'],
])('a page is noticed that %s, also if it was right before', (_, change, fault) => {
  const pages = new Pages(TEXT_BYTES)
  const asked = { room: 'r', first: 11, last: 15 }
  const check = (messages: unknown[]) => {
    const bytes = Buffer.from(JSON.stringify(messages))
    pages.check(asked, bytes, 0, bytes.length)
  }
  const right = page('r', 11, 15)
  expect(() => check(change(right))).toThrow(fault)
  check(right)
  check(right)
  expect(() => check(change(right))).toThrow(fault)
})

test('responses come out whole, however the network cuts them', () => {
  const one = (status: number, body: string, header: string) =>
    `HTTP/1.1 ${status} Any\r\nA: b\r\n${header}: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  const all = Buffer.from(
    one(201, '{"seq":1}', 'Content-Length') +
      one(503, '', 'content-length') +
      one(201, 'é\r\n\r\nContent-Length: 7', 'Content-Length'),
  )
  fc.assert(
    fc.property(fc.array(fc.nat(all.length), { maxLength: 20 }), (cuts) => {
      const seen: [number, string][] = []
      const cutter = new ResponseCutter()
      let rest = Buffer.alloc(0)
      const ends = [...cuts, all.length].sort((a, b) => a - b)
      for (const [i, end] of ends.entries()) {
        const bytes = Buffer.concat([rest, all.subarray(ends[i - 1] ?? 0, end)])
        const used = cutter.cut(bytes, bytes.length, (answer: Answer) =>
          seen.push([
            answer.status,
            answer.bytes.toString('utf8', answer.bodyStart, answer.bodyEnd),
          ]),
        )
        rest = bytes.subarray(used)
      }
      expect(seen).toEqual([
        [201, '{"seq":1}'],
        [503, ''],
        [201, 'é\r\n\r\nContent-Length: 7'],
      ])
    }),
  )
  const chunked = Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')
  expect(() => new ResponseCutter().cut(chunked, chunked.length, () => {})).toThrow(
    'without a length',
  )
})

const PEOPLE = ['ada', 'grace', 'edith']

async function signInAt(answer: (n: number, name: string) => Response): Promise<SignInsResult> {
  const server = startWebServer((n, body) => answer(n, JSON.parse(body).name))
  const rush = { names: PEOPLE, password: PASSWORD, withinS: 0.1, giveUpS: 5 }
  try {
    return await generate<SignInsResult>(
      { kind: 'sign-ins', port: server.port, ...rush } as { kind: string },
      { core: undefined },
    )
  } finally {
    server.stop(true)
  }
}

function welcome(n: number, name: string): Response {
  return Response.json({ token: String(n).padStart(43, 't'), user: { name } }, { status: 201 })
}

function away(retryAfter?: string): Response {
  const headers = retryAfter === undefined ? {} : { 'Retry-After': retryAfter }
  return new Response('{}', { status: 503, headers })
}

test.concurrent('whoever is sent away comes back when told, until all are in', async () => {
  const { faults, signedIn, sentAway, seconds, latencyMs } = await signInAt((n, name) =>
    n <= 2 ? away('1') : welcome(n, name),
  )
  expect(faults).toEqual([])
  expect({ signedIn, sentAway }).toEqual({ signedIn: 3, sentAway: 2 })
  expect(seconds).toBeGreaterThanOrEqual(1)
  expect(latencyMs.max).toBeGreaterThanOrEqual(1_000)
})

test.concurrent.each<[what: string, answer: (n: number, name: string) => Response, fault: RegExp]>([
  [
    'refused',
    (n, name) => (n === 2 ? new Response('no', { status: 401 }) : welcome(n, name)),
    /401/,
  ],
  ['sent away without a time', (n, name) => (n === 2 ? away() : welcome(n, name)), /Retry-After/],
  ['given the session of another', (n) => welcome(n, 'ada'), /a session of another/],
  ['given a token twice', (_, name) => welcome(1, name), /a token was given twice/],
])('somebody is noticed who is %s', async (_, answer, fault) => {
  const { faults, signedIn } = await signInAt(answer)
  expect(faults.join('\n')).toMatch(fault)
  expect(signedIn).toBeLessThan(PEOPLE.length)
})

test('what is seeded is served: rooms, pages, and accounts that can sign in', async () => {
  const folder = scratchFolder()
  try {
    const rooms = seedHistory(folder.path, { rooms: 3, messages: 120, textBytes: TEXT_BYTES })
    const server = await ServerProcess.start({}, folder.path)
    const account = { name: 'ada', password: PASSWORD }
    const post = (path: string, json: unknown) =>
      fetch(server.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(json),
      })
    expect((await post('/users', account)).status).toBe(201)
    await server.stop()
    expect(seedAccounts(folder.path, 'ada', 2)).toEqual(['worker-0', 'worker-1'])
    expect(() => seedAccounts(folder.path, 'nobody', 1)).toThrow('no account "nobody"')
    expect(readPasswordHash(folder.path, 'worker-1')).toBe(readPasswordHash(folder.path, 'ada'))
    await server.restart()
    const session = await post('/sessions', { name: 'worker-1', password: PASSWORD })
    const { token } = (await session.json()) as { token: string }
    for (const which of ['newest', 'random'] as const) {
      const pagesJob: PagesJob = {
        kind: 'pages',
        port: Number(new URL(server.url).port),
        ...{ token, rooms, messages: 120, textBytes: TEXT_BYTES, pageSize: 50, which },
        ...{ connections: 2, warmUpS: 0, seconds: 1 },
      }
      const { faults, count } = await generate<PagesResult>(pagesJob, { core: undefined })
      expect(faults).toEqual([])
      expect(count).toBeGreaterThan(0)
    }
    await server.stop()
  } finally {
    folder.remove()
  }
})

test('a slow disk makes each sync take longer', () => {
  const disk = SlowDisk.build()
  if (!(disk instanceof SlowDisk))
    return console.warn(`\n  SKIPPED: a slow disk, because ${disk}\n`)
  const script = `
    const fs = require('node:fs')
    const file = fs.openSync('/dev/null', 'w')
    const startedAt = performance.now()
    for (let i = 0; i < 10; i++) try { fs.fdatasyncSync(file); } catch {}
    for (let i = 0; i < 10; i++) try { fs.fsyncSync(file); } catch {}
    console.log(performance.now() - startedAt)`
  const env = { ...process.env, ...disk.env(5) }
  const { stdout } = Bun.spawnSync([process.execPath, '-e', script], { env })
  disk.remove()
  expect(Number(stdout.toString())).toBeGreaterThan(100)
})

test('of several runs the one with the median rate counts, with the faults of all', () => {
  const names = { scenario: 'ledger', subject: 'parley', load: 'x', unit: 'posts' } as const
  const run = (perSecond: number, faults: string[] = []) => ({
    ...{ ...names, durable: '', ordered: '', perSecond, rssMiB: perSecond, faults },
  })
  expect(medianRate([run(3), run(1, ['lost']), run(2)])).toMatchObject({
    perSecond: 2,
    runs: [3, 1, 2],
    rssMiB: 3,
    faults: ['lost'],
  })
  expect(medianRate([run(3)])).toEqual(run(3))
})
