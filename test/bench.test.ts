/**
 * The benchmark's own instruments: what encodes, cuts, checks and counts must be right before it
 * measures. `bench-faults.test.ts` has the generator whole, against servers that do wrong.
 */
import { describe, expect, spyOn, test } from 'bun:test'
import fc from 'fast-check'
import { KnownFrames } from '../bench/generator/known-frames.ts'
import { Places } from '../bench/generator/places.ts'
import { readNumber, textOf, writeNumber } from '../bench/generator/texts.ts'
import {
  encodeFrame,
  encodeText,
  encodeUpgrade,
  FrameCutter,
  OPCODE,
  upgradeEnd,
} from '../bench/generator/websocket.ts'
import { parseCoreList } from '../bench/machine.ts'
import { Faults, Histogram, SeqSet, slope } from '../bench/stats.ts'
import { parseCoreStat, parsePs, parseStat, parseStatus } from '../bench/usage.ts'
import { serverFrame } from './bench-server.ts'

describe('frames', () => {
  const ignore = { frame() {} }

  /** Opcodes and payloads of the whole frames, and where the rest begins. */
  function cut(bytes: Buffer) {
    const data: [number, string][] = []
    const control: [number, string][] = []
    const collect = (into: [number, string][]) => ({
      frame: (opcode: number, chunk: Buffer, start: number, end: number) =>
        void into.push([opcode, chunk.toString('utf8', start, end)]),
    })
    const cutter = new FrameCutter()
    const rest = cutter.cut(bytes, 0, bytes.length, collect(data), collect(control))
    return { data, control, rest, need: cutter.need }
  }

  test('come out whole, whatever their length; what is no data is kept apart', () => {
    const lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 3]
    const payloads = lengths.map((length, i) => Buffer.alloc(length, 97 + i))
    const frames = payloads.map((payload) => serverFrame(OPCODE.text, payload))
    const ping = serverFrame(OPCODE.ping, Buffer.from('p'))
    const { data, control, rest } = cut(Buffer.concat([...frames, ping]))
    expect(data).toEqual(payloads.map((payload) => [OPCODE.text, payload.toString()]))
    expect(control).toEqual([[OPCODE.ping, 'p']])
    expect(rest).toBe(Buffer.concat([...frames, ping]).length)
  })

  test('that are incomplete wait, and say how long they are once that is known', () => {
    const frame = serverFrame(OPCODE.text, Buffer.alloc(300, 'x'))
    const bytes = Buffer.concat([serverFrame(OPCODE.text, Buffer.from('a')), frame])
    const first = bytes.length - frame.length
    for (let length = first; length < bytes.length; length++) {
      const { data, rest, need } = cut(bytes.subarray(0, length))
      expect([data.length, rest]).toEqual([1, first])
      expect(need).toBe(length - first < 4 ? 0 : frame.length)
    }
  })

  test('that no server may send are refused', () => {
    const read = (bytes: number[]) =>
      new FrameCutter().cut(Buffer.from(bytes), 0, bytes.length, ignore, ignore)
    expect(() => read([0x01, 0x00])).toThrow('fragmented')
    expect(() => read([0x81, 0x80, 0, 0, 0, 0])).toThrow('mask')
    expect(() => read([0xc1, 0x00])).toThrow('reserved')
  })

  test('and upgrades are what a real server understands', async () => {
    const told: string[] = []
    const ended = Promise.withResolvers<void>()
    const server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: (request, self) =>
        request.headers.get('authorization') === 'Bearer secret' && self.upgrade(request)
          ? undefined
          : new Response('', { status: 401 }),
      websocket: { message: (_, text) => void told.push(text as string), close: () => {} },
    })
    let received = Buffer.alloc(0)
    const socket = await Bun.connect({
      hostname: '127.0.0.1',
      port: server.port!,
      socket: {
        data(own, chunk) {
          received = Buffer.concat([received, chunk])
          if (upgradeEnd(received, received.length) === 0) return
          own.write(Buffer.concat([encodeText('one'), encodeText('x'.repeat(300))]))
          own.write(encodeFrame(OPCODE.close, Buffer.alloc(0)))
        },
        close: () => ended.resolve(),
      },
    })
    socket.write(encodeUpgrade('/ws', { Authorization: 'Bearer secret' }))
    await ended.promise
    await server.stop(true)
    expect(told).toEqual(['one', 'x'.repeat(300)])
  })

  test('do not begin before the upgrade is answered, and not if it is refused', () => {
    const refusal = Buffer.from('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n')
    expect(upgradeEnd(refusal, 20)).toBe(0)
    expect(() => upgradeEnd(refusal, refusal.length)).toThrow('401')
    const endless = Buffer.alloc(20_000, 'x')
    expect(() => upgradeEnd(endless, endless.length)).toThrow('no end')
  })
})

describe('texts', () => {
  test('have the post’s number in front and a fixed length', () => {
    for (const bytes of [8, 9, 32, 128]) expect(textOf(42, bytes)).toHaveLength(bytes)
    const text = Buffer.from(textOf(42, 32))
    expect(readNumber(text, 0, 8)).toBe(42)
    writeNumber(text, 0, 99_999_999, 8)
    expect(text.toString()).toBe(textOf(99_999_999, 32))
    expect(readNumber(text, 1, 8)).toBeNaN()
  })
})

describe('events', () => {
  const ROOMS = ['r0000000000000001', 'r0000000000000002']
  const frames = new KnownFrames(ROOMS, 32)
  const event = (seq: number, n: number) => ({ seq, type: 'message', text: textOf(n, 32) })
  const frame = (events: unknown[], timeline = ROOMS[1]) =>
    Buffer.from(JSON.stringify({ timeline, events }))
  /** At an odd place in a larger chunk, as they come. */
  const read = (bytes: Buffer) => {
    const chunk = Buffer.concat([Buffer.from('..'), bytes, Buffer.from('..')])
    return frames.read(chunk, 2, 2 + bytes.length)
  }

  test('of a frame are read once, and its copies known by their bytes', () => {
    const run = read(frame([event(3, 7), event(4, 5)]))
    expect(run).toMatchObject({ room: 1, first: 3, last: 4, numbers: Int32Array.of(7, 5) })
    expect(read(frame([event(3, 7), event(4, 5)]))).toBe(run!)
    expect(read(frame([event(3, 7), event(4, 6)]))).not.toBe(run!)
    expect(read(Buffer.from(`{"timeline":"${ROOMS[0]}","caughtUp":3}`))).toBeUndefined()
  })

  test('are known in any slice, and what differs by a byte is not', () => {
    const fresh = new KnownFrames(ROOMS, 32)
    const parse = spyOn(JSON, 'parse')
    const numbersOf = (events: unknown[]) => {
      parse.mockClear()
      const bytes = frame(events)
      const run = fresh.read(bytes, 0, bytes.length)!
      return [run.first, run.last, ...run.numbers, parse.mock.calls.length]
    }
    try {
      expect(numbersOf([event(9, 0), event(10, 1), event(11, 2)])).toEqual([9, 11, 0, 1, 2, 1])
      expect(numbersOf([event(11, 2), event(12, 3)])).toEqual([11, 12, 2, 3, 1])
      expect(numbersOf([event(10, 1), event(11, 2), event(12, 3)])).toEqual([10, 12, 1, 2, 3, 0])
      expect(numbersOf([event(9, 0)])).toEqual([9, 9, 0, 0])
      expect(numbersOf([event(12, 3)])).toEqual([12, 12, 3, 0])
      expect(numbersOf([event(10, 1), event(11, 4)])).toEqual([10, 11, 1, 4, 1])
      expect(numbersOf([event(8, 7), event(9, 0)])).toEqual([8, 9, 7, 0, 1])
      expect(numbersOf([event(20, 9)])).toEqual([20, 20, 9, 1])
      expect(numbersOf([event(12, 3), event(13, 5)])).toEqual([12, 13, 3, 5, 1])
    } finally {
      parse.mockRestore()
    }
  })

  test('of any number and cut are what they were', () => {
    const fresh = new KnownFrames(ROOMS, 32)
    const all = Array.from({ length: 40_000 }, (_, i) => event(i + 1, (i * 7) % 99_991))
    const take = (from: number, to: number) => {
      const bytes = frame(all.slice(from, to))
      const { first, last, numbers } = fresh.read(bytes, 0, bytes.length)!
      expect([first, last]).toEqual([from + 1, to])
      expect([numbers[0], numbers.at(-1)]).toEqual([(from * 7) % 99_991, ((to - 1) * 7) % 99_991])
    }
    for (let at = 0; at < 40_000; at += 100) take(at, at + 100)
    for (let at = 1; at < 39_000; at += 977) take(at, at + 1 + (at % 300))
  })

  test('that are wrong are refused', () => {
    expect(() => read(frame([event(3, 7), event(5, 8)]))).toThrow('event 5 stands where 4 should')
    expect(() => read(frame([{ ...event(3, 7), text: 'else' }]))).toThrow('does not say')
    expect(() => read(frame([{ ...event(3, 7), text: `x${textOf(7, 31)}` }]))).toThrow('not say')
    expect(() => read(frame([{ ...event(3, 7), text: `${textOf(7, 31)}X` }]))).toThrow('not say')
    expect(() => read(frame([event(3, 7)], 'r0000000000000003'))).toThrow('another room')
    expect(() => read(frame([]))).toThrow('without events')
  })

  test('stand in one place each, whoever tells of it', () => {
    const told: string[] = []
    const places = new Places(1, (text) => void told.push(text))
    places.delivered(0, 1, Int32Array.of(0, 2, 1), 100)
    places.enter(0, 2, 2, 100)
    places.delivered(0, 3, Int32Array.of(1, 99), 100)
    expect(told).toEqual([])
    places.enter(0, 1, 2, 100)
    places.delivered(0, 5, Int32Array.of(0), 100)
    places.delivered(0, 6, Int32Array.of(100), 100)
    expect(told).toEqual([
      'post 1 of room 0 is told to stand at 3 and at 2',
      'post 0 of room 0 is told to stand at 1 and at 5',
      'post 100 of room 0, at 6, was never sent',
    ])
  })
})

describe('figures', () => {
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

  test('a histogram that absorbs others holds what they held, and empties them', () => {
    const [total, second, whole] = [new Histogram(), new Histogram(), new Histogram()]
    for (const values of [[1, 2, 300], [0.5], []]) {
      for (const value of values) {
        second.record(value)
        whole.record(value)
      }
      total.absorb(second)
      expect([second.count, second.maxMs]).toEqual([0, 0])
    }
    expect(total.count).toBe(4)
    expect(total.percentiles).toEqual(whole.percentiles)
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
    const line = [1_000, 5_000, 10_000].map((x) => [x, 50_000 + 2 * x] as const)
    expect(slope(line)).toBeCloseTo(2)
  })

  test('CPU time and memory are read from the system’s own words', () => {
    const stat = '77 (bun (x) y) S 1 77 77 0 -1 4194304 9 0 0 0 250 125 40 10 20 0 9 0 1 2 3'
    expect(parseStat(stat)).toBe(4.25)
    expect(parseStatus('VmHWM:\t 900 kB\nVmRSS:\t  512 kB\n')).toBe(524_288)
    expect(parsePs('  512 01:02:03\n')).toEqual({ rssBytes: 524_288, cpuSeconds: 3_723 })
    expect(parsePs('  1 2-00:01:30.50')).toEqual({ rssBytes: 1_024, cpuSeconds: 172_890.5 })
    const cores =
      'cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\ncpu1 100 20 30 9 9 9 9 50 7 7\n'
    expect(parseCoreStat(cores, 1)).toBe(2)
    expect(parseCoreList('0,2-4')).toEqual([0, 2, 3, 4])
  })
})
