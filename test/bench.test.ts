/**
 * The benchmark's own instruments: what encodes, parses and counts must be right before it
 * measures.
 */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { EventFrames, idOf, PostFrames, repliedSeq, replyId } from '../bench/frames.ts'
import { parseCoreList } from '../bench/machine.ts'
import { table } from '../bench/report.ts'
import { Faults, Histogram, SeqSet, slope } from '../bench/stats.ts'
import { parseCoreStat, parsePs, parseStat, parseStatus } from '../bench/usage.ts'
import {
  encodeFrame,
  encodeHandshake,
  encodeRequest,
  encodeText,
  FrameReader,
  handshakeEnd,
  OPCODE,
  ResponseReader,
  readInteger,
} from '../bench/wire.ts'

/** The same bytes, in pieces cut at `cuts`. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...ends].map((from, i) => bytes.subarray(from, ends[i] ?? bytes.length))
}

const cuts = fc.array(fc.nat(), { maxLength: 20 })

/** A server's frame: as a client's, but without a mask. */
function serverFrame(opcode: number, payload: Buffer): Buffer {
  const masked = Buffer.from(encodeFrame(opcode, payload))
  masked[1]! &= 0x7f
  const head = masked.length - payload.length - 4
  return Buffer.concat([masked.subarray(0, head), payload])
}

function jsonFrame(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

test('responses come out whole, however the network cuts them', () => {
  const one = (status: number, body: string, header: string) =>
    `HTTP/1.1 ${status} Any\r\nA: b\r\n${header}: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  const bytes = Buffer.from(
    one(201, '{"seq":1}', 'Content-Length') +
      one(503, '', 'content-length') +
      one(201, 'é\r\n\r\nContent-Length: 7', 'Content-Length'),
  )
  fc.assert(
    fc.property(cuts, (at) => {
      const seen: [number, string][] = []
      const reader = new ResponseReader((status, chunk, start, end) =>
        seen.push([status, chunk.toString('utf8', start, end)]),
      )
      for (const piece of pieces(bytes, at)) reader.push(piece)
      expect(seen).toEqual([
        [201, '{"seq":1}'],
        [503, ''],
        [201, 'é\r\n\r\nContent-Length: 7'],
      ])
    }),
  )
})

test('a response of unknown length is refused, not guessed', () => {
  const reader = new ResponseReader(() => {})
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
  expect(() => reader.push(Buffer.from(chunked))).toThrow('without a length')
})

test('frames come out whole, whatever their length and however they are cut', () => {
  const lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 3]
  const payloads = lengths.map((length, i) => Buffer.alloc(length, 97 + i))
  const bytes = Buffer.concat(payloads.map((payload) => serverFrame(OPCODE.text, payload)))
  fc.assert(
    fc.property(cuts, (at) => {
      const seen: Buffer[] = []
      const reader = new FrameReader((opcode, chunk, start, end) => {
        expect(opcode).toBe(OPCODE.text)
        seen.push(Buffer.from(chunk.subarray(start, end)))
      })
      for (const piece of pieces(bytes, at)) reader.push(piece)
      expect(seen.map(({ length }) => length)).toEqual(lengths)
      expect(Buffer.concat(seen).equals(Buffer.concat(payloads))).toBe(true)
    }),
    { numRuns: 30 },
  )
})

test('frames that no server may send are refused', () => {
  const read = (bytes: number[]) => new FrameReader(() => {}).push(Buffer.from(bytes))
  expect(() => read([0x01, 0x00])).toThrow('fragmented')
  expect(() => read([0x81, 0x80, 0, 0, 0, 0])).toThrow('mask')
})

test('what is sent is what a server understands', async () => {
  const body = { text: 'héllo' }
  const told: unknown[] = []
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request, self) {
      if (request.headers.get('authorization') !== 'Bearer secret')
        return new Response('', { status: 401 })
      if (self.upgrade(request)) return undefined
      told.push([request.method, new URL(request.url).pathname, await request.json()])
      return new Response('', { status: 201 })
    },
    websocket: { message: (_, text) => void told.push(text) },
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  let received = Buffer.alloc(0)
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port: server.port!,
    socket: {
      data(own, chunk) {
        received = Buffer.concat([received, chunk])
        if (received.includes('201 Created') && !received.includes('101 Switching')) {
          own.write(encodeHandshake('/ws', 'secret'))
          return
        }
        const upgraded = received.subarray(received.indexOf('HTTP/1.1 101'))
        if (handshakeEnd(upgraded) === -1) return
        own.write(Buffer.concat([encodeText('one'), encodeText('x'.repeat(300))]))
        own.write(encodeFrame(OPCODE.close, Buffer.alloc(0)))
      },
      close: () => resolve(),
    },
  })
  socket.write(encodeRequest({ method: 'POST', path: '/room/r/messages', token: 'secret', body }))
  await promise
  await server.stop(true)
  expect(told).toEqual([['POST', '/room/r/messages', body], 'one', 'x'.repeat(300)])
})

test('a refused handshake says so', () => {
  const refusal = Buffer.from('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n')
  expect(handshakeEnd(refusal.subarray(0, 20))).toBe(-1)
  expect(() => handshakeEnd(refusal)).toThrow('401')
})

test('posts carry ids that count up, each in a frame of its own', () => {
  const frames = new PostFrames('room-1', 'hello', 4)
  const read = (bytes: Uint8Array): unknown[] => {
    const seen: unknown[] = []
    const text = Buffer.from(bytes)
    for (let at = 0; at < text.length; ) {
      const length = text[at + 1]! & 0x7f
      seen.push(JSON.parse(text.toString('utf8', at + 6, at + 6 + length)))
      at += 6 + length
    }
    return seen
  }
  const post = (n: number) => ({ id: idOf(n), op: 'post', room: 'room-1', text: 'hello' })
  expect(read(frames.take(0, 2))).toEqual([post(0), post(1)])
  expect(read(frames.take(8, 4))).toEqual([post(8), post(9), post(10), post(11)])
  expect(idOf(1)).toBe(idOf(0) + 1)
})

test('replies are told from errors and from events', () => {
  const seqOf = (value: unknown) => {
    const bytes = jsonFrame(value)
    return [replyId(bytes, 0), repliedSeq(bytes, 0, bytes.length)]
  }
  expect(seqOf({ re: 1_000_042, ok: { timeline: 'r', seq: 58, at: '' } })).toEqual([1_000_042, 58])
  expect(seqOf({ re: 7, ok: { timeline: 'r', seq: 9 } })).toEqual([7, 9])
  expect(seqOf({ re: 10, ok: { seq: 8 } })).toEqual([10, 8])
  expect(seqOf({ re: 10, ok: {} })).toEqual([10, Number.NaN])
  expect(seqOf({ re: 3, error: { detail: '"seq":5' } })).toEqual([3, Number.NaN])
  expect(seqOf({ timeline: 'r', events: [{ seq: 5 }] })).toEqual([Number.NaN, Number.NaN])
  const next = Buffer.concat([jsonFrame({ re: 1, ok: {} }), jsonFrame({ re: 2, ok: { seq: 3 } })])
  expect(repliedSeq(next, 0, jsonFrame({ re: 1, ok: {} }).length)).toBeNaN()
})

test('events of a frame are checked once and its copies byte by byte', () => {
  const frames = new EventFrames('r', 'hi')
  const frame = (seqs: number[], text = 'hi', timeline = 'r') =>
    jsonFrame({ timeline, events: seqs.map((seq) => ({ seq, type: 'message', text })) })
  const read = (bytes: Buffer) => {
    // At an odd place in a larger chunk, as they come.
    const chunk = Buffer.concat([Buffer.from('..'), bytes, Buffer.from('..')])
    const run = frames.read(chunk, 2, 2 + bytes.length)
    return run && [run.first, run.last]
  }
  expect(read(frame([3, 4, 5]))).toEqual([3, 5])
  expect(read(frame([3, 4, 5]))).toEqual([3, 5])
  expect(read(frame([3, 4]))).toEqual([3, 4])
  expect(read(frame([3 + 256]))).toEqual([259, 259])
  expect(() => read(frame([3, 5]))).toThrow('event 5 stands where 4 should')
  expect(() => read(frame([3, 4], 'ho'))).toThrow('does not say what was posted')
  expect(read(frame([3], 'hi', 'other'))).toBeUndefined()
  expect(read(jsonFrame({ timeline: 'r', caughtUp: 3 }))).toBeUndefined()
})

test('digits are read up to the first other byte', () => {
  expect(readInteger(Buffer.from('a120,5'), 1)).toBe(120)
  expect(readInteger(Buffer.from('42'), 0)).toBe(42)
  expect(readInteger(Buffer.from('x'), 0)).toBeNaN()
})

test('a percentile is at most one part in 64 above the true one', () => {
  // From microseconds to minutes, each magnitude as likely as the next.
  const latency = fc.double({ min: -3, max: 5, noNaN: true }).map((power) => 10 ** power)
  const latencies = fc.array(latency, { minLength: 1, size: 'medium' })
  fc.assert(
    fc.property(latencies, fc.constantFrom(0.01, 0.5, 0.99, 1), (values, share) => {
      const histogram = new Histogram()
      for (const value of values) histogram.record(value)
      const sorted = [...values].sort((a, b) => a - b)
      const exact = sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1]!
      const told = histogram.percentileMs(share)
      // Half a microsecond is lost to rounding.
      expect(told).toBeGreaterThanOrEqual(exact - 0.0005)
      expect(told).toBeLessThanOrEqual(exact * (1 + 1 / 64) + 0.0015)
      expect(histogram.maxMs).toBe(sorted.at(-1)!)
    }),
  )
})

test('seqs must be 1, 2, 3 … once each', () => {
  const seqs = new SeqSet()
  for (const seq of [2, 1, 100_000]) expect(seqs.add(seq)).toBe(true)
  for (const seq of [2, 0, -1, Number.NaN]) expect(seqs.add(seq)).toBe(false)
  expect([seqs.size, seqs.isGapless]).toEqual([3, false])
  const whole = new SeqSet()
  for (const seq of [3, 1, 2]) whole.add(seq)
  expect([whole.size, whole.isGapless]).toEqual([3, true])
})

test('all faults are counted, a few are kept', () => {
  const faults = new Faults(2)
  faults.check(true, 'holds')
  for (const text of ['a', 'b', 'c']) faults.check(false, text)
  expect([faults.count, faults.texts]).toEqual([3, ['a', 'b']])
})

test('the slope is that of the line, whatever its height', () => {
  expect(
    slope([
      [1_000, 52_000],
      [5_000, 60_000],
      [10_000, 70_000],
    ]),
  ).toBeCloseTo(2)
})

test('CPU time and memory are read from the system’s own words', () => {
  const stat = '77 (bun (x) y) S 1 77 77 0 -1 4194304 9 0 0 0 250 125 0 0 20 0 9 0 1 2 3'
  expect(parseStat(stat)).toBe(3.75)
  expect(parseStatus('VmHWM:\t 900 kB\nVmRSS:\t  512 kB\n')).toBe(524_288)
  expect(parsePs('  512 01:02:03\n')).toEqual({ rssBytes: 524_288, cpuSeconds: 3_723 })
  expect(parsePs('  1 2-00:01:30.50')).toEqual({ rssBytes: 1_024, cpuSeconds: 172_890.5 })
  const cores =
    'cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\ncpu1 100 20 30 9 9 9 9 50 7 7\n'
  expect(parseCoreStat(cores, 1)).toBe(2)
  expect(parseCoreList('0,2-4')).toEqual([0, 2, 3, 4])
})

test('a row that failed its checks says so in the table', () => {
  const row = { part: 'http', load: 'any', unit: 'posts', perSecond: 12_345.6 }
  const lines = table([
    { ...row, faults: [] },
    { ...row, faults: ['lost'] },
    { part: 'floor', load: 'broken off', unit: '' },
  ]).split('\n')
  expect(lines).toHaveLength(5)
  expect(lines[2]).toContain('| 12,346 posts |')
  expect([lines[2], lines[3], lines[4]].map((line) => /passed|FAILED/.exec(line!)?.[0])).toEqual([
    'passed',
    'FAILED',
    undefined,
  ])
  expect(new Set(lines.map((line) => line.length)).size).toBe(1)
})
