/**
 * WebSockets that are sent anything: frames held against a model of RFC 6455, and operations held
 * against /asyncapi.json. All the while somebody else follows a busy room on the same server, and
 * misses nothing.
 *
 * PARLEY_FUZZ_RUNS says how many connections of each kind. A failure prints the seed and the path
 * of the smallest case found: run it again with PARLEY_SEED and PARLEY_PATH.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test'
import fc from 'fast-check'
import { errorKinds, fieldReasons } from '../../src/errors.ts'
import { type Person, signUp } from '../harness.ts'
import { type AnyFrame, Socket } from '../live.ts'
import { OPCODE, type RawFrame, RawWebSocket } from '../raw.ts'
import { Document } from './documents.ts'
import { demandedBy, frameSequences, piecesOf } from './fuzz-frames.ts'
import { type Known, objectOf } from './fuzz-requests.ts'
import { Target } from './unharmed.ts'

const RUNS = Number(process.env.PARLEY_FUZZ_RUNS ?? 1_000)
const SEED = Number(process.env.PARLEY_SEED ?? Date.now() % 1e9)
const PATH = process.env.PARLEY_PATH
const parameters = {
  numRuns: RUNS,
  seed: SEED,
  ...(PATH && { path: PATH, endOnFailure: true }),
}

let target: Target
let eve: Person
let reader: Socket
let document: Document

beforeAll(async () => {
  console.log(`${RUNS} connections of each kind from PARLEY_SEED=${SEED}`)
  target = await Target.start({ connectsPerSecondMax: 100_000, connectsBurstMax: 100_000 })
  document = await Document.fetch(`${target.url}/asyncapi.json`)
  eve = await signUp(target.url)
  reader = await Socket.of(await signUp(target.url), `${target.place}/subscribe?after=0`)
})

afterAll(() => target.stop())

/** The reader was not disturbed: it has every message of the room, once, and in order. */
afterEach(async () => {
  await target.isUnharmed()
  const { head } = await target.ada.get<{ head: number }>(target.place)
  const seen = await reader.events.count(head, 'the reader has everything')
  expect(seen.map(({ event }) => event.seq)).toEqual(Array.from({ length: head }, (_, i) => i + 1))
})

const END = 'the end'

/** All that comes back until the connection is closed, or until the last ping is answered. */
async function outcomeOf(socket: RawWebSocket) {
  const pongs: string[] = []
  const replies: number[] = []
  let code: number | undefined
  for (;;) {
    const frame = await socket.next()
    if (frame === undefined) return { pongs, replies, code }
    if (frame.opcode === OPCODE.text) replies.push(JSON.parse(frame.payload.toString()).re)
    if (frame.opcode === OPCODE.close)
      code = frame.payload.length === 0 ? 1_005 : frame.payload.readUInt16BE(0)
    if (frame.opcode !== OPCODE.pong) continue
    if (frame.payload.toString() === END) return { pongs, replies, code: 0 }
    pongs.push(frame.payload.toString('latin1'))
  }
}

async function expectDemanded(frames: RawFrame[], cuts: number[]): Promise<void> {
  const demanded = demandedBy(frames)
  const socket = await RawWebSocket.open(target.url, eve.token)
  try {
    const posted = target.ada.post(target.place, 'the room is busy')
    target.countPost()
    for (const piece of piecesOf(frames, cuts)) {
      socket.connection.write(piece)
      // The next turn of the loop: pieces that are written at once arrive as one.
      await new Promise((resolve) => setImmediate(resolve))
    }
    socket.send({ opcode: OPCODE.ping, payload: Buffer.from(END) })
    const { pongs, replies, code } = await outcomeOf(socket)
    expect([...demanded.codes, ...(demanded.codes.size === 0 ? [0] : [])]).toContain(code!)
    // A violation of the WebSocket protocol ends it at once, with what was about to be said.
    const isViolation = [1_002, 1_007, 1_009].includes(code!)
    const due = isViolation ? demanded.replies.slice(0, replies.length) : demanded.replies
    expect(replies).toEqual(due)
    expect(pongs).toEqual(demanded.pongs)
    await posted
  } finally {
    socket.connection.cut()
  }
}

test('whatever frames come, what follows is what RFC 6455 demands', async () => {
  const cuts = fc.array(fc.nat(), { maxLength: 4 })
  const property = fc.asyncProperty(frameSequences, cuts, expectDemanded)
  await fc.assert(property, parameters)
}, 300_000)

/** Operations as /asyncapi.json has them; a mutation makes most of them wrong in one thing. */
function operations(known: Known): fc.Arbitrary<AnyFrame[]> {
  const { messages } = document.json.channels.socket
  const valid = OPS.map((op) => {
    const { properties, required } = messages[op].payload
    const { id: _, op: __, ...fields } = properties
    const mine = required.filter((name: string) => name in fields)
    return objectOf({ properties: fields, required: mine }, known).map((rest) => ({ op, ...rest }))
  })
  const nearly = fc
    .tuple(fc.oneof(...valid), fc.nat(), fc.jsonValue())
    .map(([frame, n, junk]) => mutated(frame, n, junk))
  return fc.array(fc.oneof(...valid, nearly, nearly), { minLength: 1, maxLength: 8 })
}

const OPS = ['auth', 'subscribe', 'unsubscribe', 'post', 'ping']

function mutated(frame: AnyFrame, n: number, junk: unknown): AnyFrame {
  const names = Object.keys(frame)
  const name = names[n % names.length]!
  const { [name]: dropped, ...rest } = frame
  switch (n % 5) {
    case 0:
      return name === 'op' ? { ...frame, op: `${dropped}x` } : rest
    case 1:
      return { ...frame, [name === 'op' ? 'admin' : name]: junk }
    case 2:
      return { ...frame, ['a'.repeat(n % 200)]: junk }
    case 3:
      return {
        ...frame,
        op: ['toString', '__proto__', 'close', '', 'a'.repeat(1_000)][n % 7] ?? 'x',
      }
    default:
      return { ...frame, [name === 'op' ? 'text' : name]: 'é\u0000😀'.repeat(n % 4_000) }
  }
}

const named = new Set<string>(errorKinds().map(({ code }) => code))
const ofField = new RegExp(`^\\w+_(${Object.keys(fieldReasons).join('|')})$`)
/** What no schema can say, and is refused all the same. */
const BEYOND_SCHEMAS = new Set([
  ...['target_unclear', 'no_such_room', 'no_such_user', 'already_subscribed', 'not_subscribed'],
  ...['already_signed_in', 'text_blank', 'text_too_long', 'key_reused'],
])

/** The reply to a frame is a declared one, and agrees with the document about the frame. */
function expectReply(frame: AnyFrame, { error, ...rest }: AnyFrame): void {
  const isKnown = OPS.includes(frame.op)
  const at = (message: string) => ['channels', 'socket', 'messages', message, 'payload']
  const isAllowed = isKnown && document.faults(at(frame.op), frame).length === 0
  if (error === undefined) {
    expect([frame, isAllowed]).toEqual([frame, true])
    expect(document.faults(at(`${frame.op}Reply`), rest)).toEqual([])
    return
  }
  expect(named.has(error.code) || ofField.test(error.code), error.code).toBe(true)
  expect(error.status).toBeLessThan(500)
  if (isKnown) expect(document.faults(at(`${frame.op}Reply`), { ...rest, error })).toEqual([])
  if (isAllowed) expect([...BEYOND_SCHEMAS]).toContain(error.code)
}

test('whatever operations come, each is answered once, as declared', async () => {
  const [room, other] = [await eve.createRoom(), await eve.createRoom()]
  const known: Known = {
    room: [room.id, other.id],
    user: [eve.id, target.ada.id],
    timeline: [room.id, other.id],
    token: [eve.token],
    key: ['one', 'two'],
  }
  const property = fc.asyncProperty(operations(known), async (frames) => {
    const socket = await Socket.of(eve)
    try {
      const sent = frames.map((frame, i) => ({ id: i + 1, ...frame }))
      for (const frame of sent) socket.send(frame)
      // A post is answered as it commits, one that is refused at once; a ping waits for all.
      const last = sent.length + 1
      socket.send({ id: last, op: 'ping' })
      await socket.reply(last)
      const replies = socket.frames.all.filter(({ re }) => re !== undefined && re !== last)
      expect(replies.map(({ re }) => re).sort((a, b) => a - b)).toEqual(sent.map(({ id }) => id))
      for (const frame of sent)
        expectReply(
          frame,
          replies.find(({ re }) => re === frame.id),
        )
    } finally {
      socket.close()
    }
  })
  await fc.assert(property, parameters)
}, 300_000)
