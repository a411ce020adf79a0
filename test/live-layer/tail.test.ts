/** The tail of a timeline, and the cutting of long runs. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { LiveEvent } from '../../src/live/bus.ts'
import { cut, SLICE_CHARS } from '../../src/live/slice.ts'
import { Tail, TailBudget } from '../../src/live/tail.ts'
import { LiveTimeline } from '../../src/live/timeline.ts'

const event = (seq: number, chars = 10): LiveEvent => ({
  timeline: 'room',
  seq,
  json: 'x'.repeat(chars),
})

const seqsOf = (events: readonly LiveEvent[] | undefined) => events?.map(({ seq }) => seq)

function emptyTail(limits: { eventsMax: number; bytesMax: number }): Tail {
  return new Tail(new TailBudget({ ...limits, totalBytesMax: 1_000_000 }))
}

/** A tail with events `from` to `to` and no trimming yet. */
function tailOf(from: number, to: number, limits: { eventsMax: number; bytesMax: number }): Tail {
  const tail = emptyTail(limits)
  for (let seq = from; seq <= to; seq++) tail.push(event(seq))
  return tail
}

describe('a tail', () => {
  test('gives what comes after a seq, or says that it does not reach back so far', () => {
    const tail = tailOf(5, 9, { eventsMax: 100, bytesMax: 10_000 })
    expect(seqsOf(tail.after(4))).toEqual([5, 6, 7, 8, 9])
    expect(seqsOf(tail.after(7))).toEqual([8, 9])
    expect(seqsOf(tail.after(4, 2))).toEqual([5, 6])
    expect(seqsOf(tail.after(9))).toEqual([])
    expect(tail.after(3)).toBeUndefined()
    expect(emptyTail({ eventsMax: 1, bytesMax: 1 }).after(0)).toBeUndefined()
  })

  test('keeps as many events as its limit says, and not one more', () => {
    const tail = tailOf(1, 7, { eventsMax: 7, bytesMax: 10_000 })
    tail.trim(7)
    expect(seqsOf(tail.after(0))).toEqual([1, 2, 3, 4, 5, 6, 7])
    tail.push(event(8))
    tail.trim(8)
    expect(tail.after(0)).toBeUndefined()
    expect(seqsOf(tail.after(1))).toEqual([2, 3, 4, 5, 6, 7, 8])
  })

  test('keeps as many bytes as its limit says, and not one more', () => {
    const tail = tailOf(1, 7, { eventsMax: 100, bytesMax: 70 })
    tail.trim(7)
    expect(tail.size).toBe(7)
    tail.push(event(8, 1))
    tail.trim(8)
    expect(seqsOf(tail.after(1))).toEqual([2, 3, 4, 5, 6, 7, 8])
    tail.push(event(9, 1_000))
    tail.trim(9)
    expect(tail.size).toBe(0)
  })

  test('never lets go of what has not been flushed, whatever its limits', () => {
    const tail = tailOf(1, 9, { eventsMax: 2, bytesMax: 1 })
    tail.trim(0)
    expect(tail.size).toBe(9)
    tail.trim(3)
    expect(seqsOf(tail.after(3))).toEqual([4, 5, 6, 7, 8, 9])
    expect(tail.after(2)).toBeUndefined()
  })

  test('takes in older events that end right before its own, and no others', () => {
    const tail = tailOf(5, 7, { eventsMax: 100, bytesMax: 10_000 })
    tail.prepend([event(2), event(3)], 7)
    expect(tail.size).toBe(3)
    tail.prepend([event(3), event(4)], 7)
    expect(seqsOf(tail.after(2))).toEqual([3, 4, 5, 6, 7])
    const empty = emptyTail({ eventsMax: 100, bytesMax: 10_000 })
    empty.prepend([event(3), event(4)], 5)
    expect(empty.size).toBe(0)
    empty.prepend([event(4), event(5)], 5)
    expect(seqsOf(empty.after(3))).toEqual([4, 5])
  })

  test('gives the page before a seq if it has it whole', () => {
    const tail = tailOf(5, 9, { eventsMax: 100, bytesMax: 10_000 })
    expect(seqsOf(tail.before(99, 3))).toEqual([7, 8, 9])
    expect(seqsOf(tail.before(8, 3))).toEqual([5, 6, 7])
    expect(tail.before(8, 4)).toBeUndefined()
    const whole = tailOf(1, 3, { eventsMax: 100, bytesMax: 10_000 })
    expect(seqsOf(whole.before(99, 50))).toEqual([1, 2, 3])
    expect(seqsOf(whole.before(1, 50))).toEqual([])
  })

  test('has its own limit while all together are within theirs, and then an equal share', () => {
    const budget = new TailBudget({ eventsMax: 100, bytesMax: 50, totalBytesMax: 80 })
    const [one, two] = [new Tail(budget), new Tail(budget)]
    for (let seq = 1; seq <= 5; seq++) one.push(event(seq))
    for (let seq = 1; seq <= 3; seq++) two.push(event(seq))
    one.trim(5)
    expect([one.size, budget.chars, budget.exceeded]).toEqual([5, 80, false])
    two.push(event(4))
    expect(budget.exceeded).toBe(true)
    one.trim(5)
    expect([one.size, budget.chars]).toEqual([4, 80])
    two.drop()
    expect([budget.chars, budget.tails]).toEqual([40, 1])
  })

  test('agrees with a plain list, whatever is pushed, flushed and asked', () => {
    const step = fc.oneof(
      fc.record({ push: fc.integer({ min: 1, max: 40 }) }),
      fc.record({ flushTo: fc.double({ min: 0, max: 1, noNaN: true }) }),
    )
    const limits = fc.record({
      eventsMax: fc.integer({ min: 1, max: 20 }),
      bytesMax: fc.integer({ min: 1, max: 300 }),
    })
    fc.assert(
      fc.property(limits, fc.array(step, { maxLength: 80 }), fc.nat(5), (given, steps, start) => {
        const tail = emptyTail(given)
        let kept: LiveEvent[] = []
        let [head, flushed] = [start, start]
        for (const one of steps) {
          if ('push' in one) {
            head += 1
            tail.push(event(head, one.push))
            kept.push(event(head, one.push))
          } else {
            flushed += Math.floor((head - flushed) * one.flushTo)
            tail.trim(flushed)
            kept = trimmed(kept, given, flushed)
          }
          expect(tail.size).toBe(kept.length)
          for (let seq = Math.max(0, start - 2); seq <= head; seq++) {
            const reaches = kept.length > 0 && seq + 1 >= kept[0]!.seq
            const rest = reaches ? kept.filter((other) => other.seq > seq) : undefined
            expect(tail.after(seq)).toEqual(rest)
          }
        }
      }),
    )
  })
})

function trimmed(
  kept: readonly LiveEvent[],
  { eventsMax, bytesMax }: { eventsMax: number; bytesMax: number },
  flushed: number,
): LiveEvent[] {
  const rest = [...kept]
  const bytes = () => rest.reduce((sum, { json }) => sum + json.length, 0)
  while (rest.length > 0 && rest[0]!.seq <= flushed)
    if (rest.length > eventsMax || bytes() > bytesMax) rest.shift()
    else break
  return rest
}

describe('slices', () => {
  const timeline = new LiveTimeline(
    'room',
    new TailBudget({ eventsMax: 1, bytesMax: 1, totalBytesMax: 1 }),
  )
  const slices = (events: readonly LiveEvent[]) => cut(timeline, events).map((one) => one.events)

  test('put together are the run, each within the limit unless it is one event', () => {
    const sizes = fc.array(
      fc.oneof(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 1, max: 60_000 })),
      { maxLength: 40 },
    )
    fc.assert(
      fc.property(sizes, (given) => {
        const events = given.map((chars, index) => event(index + 1, chars))
        const cut = [...slices(events)]
        expect(cut.flat()).toEqual(events)
        for (const slice of cut) {
          const chars = slice.reduce((sum, { json }) => sum + json.length, 0)
          expect(slice.length > 0 && (slice.length === 1 || chars <= SLICE_CHARS)).toBe(true)
        }
        // No two neighbours would have fitted into one.
        for (let i = 1; i < cut.length; i++) {
          const chars = [...cut[i - 1]!, cut[i]![0]!].reduce(
            (sum, { json }) => sum + json.length,
            0,
          )
          expect(chars).toBeGreaterThan(SLICE_CHARS)
        }
      }),
      { numRuns: 60 },
    )
  })

  test('a run of exactly the limit is one slice, one character more makes two', () => {
    expect([...slices([event(1, SLICE_CHARS - 1), event(2, 1)])]).toHaveLength(1)
    expect([...slices([event(1, SLICE_CHARS - 1), event(2, 2)])]).toHaveLength(2)
    expect([...slices([])]).toEqual([])
  })
})
