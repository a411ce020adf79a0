/** The order in which one WebSocket's operations take effect. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Frame, type FrameHandler, FrameQueue, type Post } from '../../src/api/frames.ts'
import { type Deferred, deferred } from '../../src/clock.ts'

/**
 * Writes down what begins and ends. Operations and commits wait until they are told to end; the
 * look-up before a post waits if its frame says `slow`.
 */
class Recording implements FrameHandler {
  readonly log: string[] = []
  readonly pending = new Map<string, Deferred<void>>()
  running = 0
  runningMax = 0

  preparePost({ id, rest }: Frame) {
    this.log.push(`prepare ${id}`)
    const go: Post = (answered) => {
      this.log.push(`post ${id}`)
      if (rest.refused === true) return answered()
      this.running += 1
      this.runningMax = Math.max(this.runningMax, this.running)
      void this.#until(`commit ${id}`).then(() => {
        this.running -= 1
        answered()
      })
    }
    return rest.slow === true ? this.#until(`find ${id}`).then(() => go) : go
  }

  operate({ id, op }: Frame): Promise<void> {
    this.log.push(`${op} ${id}`)
    return this.#until(`end ${id}`)
  }

  malformed(): void {
    this.log.push('malformed')
  }

  #until(what: string): Promise<void> {
    const waiting = deferred<void>()
    this.pending.set(what, waiting)
    return waiting.promise.then(() => void this.log.push(what))
  }

  /** Lets it end, and everything that follows from that. */
  async end(what: string): Promise<void> {
    const waiting = this.pending.get(what)
    if (waiting === undefined) throw new Error(`${what} is not under way`)
    this.pending.delete(what)
    waiting.resolve()
    await turn()
  }
}

/** A turn of the event loop: everything that was going to happen by itself has happened. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

const frame = (id: number, op: string, rest: object = {}) => JSON.stringify({ id, op, ...rest })
const post = (id: number, slow = false) => frame(id, 'post', slow ? { slow } : {})

function queueOf(max = 100): { handler: Recording; queue: FrameQueue } {
  const handler = new Recording()
  return { handler, queue: new FrameQueue(handler, max) }
}

describe('order', () => {
  test('posts that are refused at once are answered once each, and hold back nothing', async () => {
    const { handler, queue } = queueOf(2)
    for (const id of [1, 2, 3, 4, 5]) queue.push(frame(id, 'post', { refused: true }))
    queue.push(frame(6, 'ping'))
    expect(handler.log.filter((line) => !line.startsWith('prepare'))).toEqual([
      ...['post 1', 'post 2', 'post 3', 'post 4', 'post 5', 'ping 6'],
    ])
    await handler.end('end 6')
  })

  test('posts do not wait for each other’s commits', () => {
    const { handler, queue } = queueOf()
    for (const id of [1, 2, 3]) queue.push(post(id))
    expect(handler.log.filter((line) => line.startsWith('post'))).toEqual([
      'post 1',
      'post 2',
      'post 3',
    ])
  })

  test('a slow look-up holds back the posts behind it, and they keep their order', async () => {
    const { handler, queue } = queueOf()
    queue.push(post(1, true))
    queue.push(post(2))
    queue.push(post(3, true))
    queue.push(post(4))
    await turn()
    expect(handler.log).toEqual(['prepare 1'])
    await handler.end('find 1')
    expect(handler.log.slice(-3)).toEqual(['prepare 2', 'post 2', 'prepare 3'])
    await handler.end('find 3')
    const posted = handler.log.filter((line) => line.startsWith('post'))
    expect(posted).toEqual(['post 1', 'post 2', 'post 3', 'post 4'])
  })

  test('any other operation waits for the posts before it, and runs alone', async () => {
    const { handler, queue } = queueOf()
    queue.push(post(1))
    queue.push(post(2))
    queue.push(frame(3, 'subscribe'))
    queue.push(post(4))
    queue.push(frame(5, 'ping'))
    await handler.end('commit 2')
    expect(handler.log).not.toContain('subscribe 3')
    await handler.end('commit 1')
    expect(handler.log.at(-1)).toBe('subscribe 3')
    await handler.end('end 3')
    expect(handler.log.at(-1)).toBe('post 4')
    await handler.end('commit 4')
    expect(handler.log.at(-1)).toBe('ping 5')
  })

  test('frames that come in between keep their place', async () => {
    const { handler, queue } = queueOf()
    queue.push(frame(1, 'subscribe'))
    queue.push(post(2))
    await handler.end('end 1')
    queue.push(frame(3, 'unsubscribe'))
    queue.push(post(4))
    await handler.end('commit 2')
    await handler.end('end 3')
    const begun = handler.log.filter((line) => /^(subscribe|post|unsubscribe)/.test(line))
    expect(begun).toEqual(['subscribe 1', 'post 2', 'unsubscribe 3', 'post 4'])
  })
})

describe('bounds', () => {
  test('as many frames may wait as the limit says, and one more is refused', async () => {
    const { handler, queue } = queueOf(3)
    // This one begins at once, so it does not wait.
    expect(queue.push(frame(1, 'subscribe'))).toBe(true)
    for (const id of [2, 3, 4]) expect(queue.push(post(id))).toBe(true)
    expect(queue.push(post(5))).toBe(false)
    await handler.end('end 1')
    expect(handler.log).not.toContain('post 5')
    expect(handler.log).toContain('post 4')
    expect(queue.push(post(6))).toBe(true)
  })

  test('as many posts may be in flight as the limit says; the next one waits', async () => {
    const { handler, queue } = queueOf(3)
    for (const id of [1, 2, 3, 4, 5]) expect(queue.push(post(id))).toBe(true)
    expect(handler.running).toBe(3)
    await handler.end('commit 1')
    expect(handler.log).toContain('post 4')
    expect(handler.running).toBe(3)
  })

  test('once stopped, what waits is forgotten and what has begun goes on', async () => {
    const { handler, queue } = queueOf()
    queue.push(post(1))
    queue.push(frame(2, 'subscribe'))
    queue.push(post(3))
    queue.stop()
    await handler.end('commit 1')
    expect(handler.log).toEqual(['prepare 1', 'post 1', 'commit 1'])
  })

  test('stopping in the middle of an operation is safe', async () => {
    const { handler, queue } = queueOf()
    queue.push(frame(1, 'subscribe'))
    queue.push(post(2))
    queue.stop()
    await handler.end('end 1')
    expect(handler.log).toEqual(['subscribe 1', 'end 1'])
  })
})

describe('what is no operation', () => {
  test.each([
    ['no JSON', 'hello'],
    ['no object', '[]'],
    ['no id', '{"op":"ping"}'],
    ['no op', '{"id":1}'],
    ['an id that is text', '{"id":"1","op":"ping"}'],
    ['an id below 0', '{"id":-1,"op":"ping"}'],
    ['an id that is not whole', '{"id":1.5,"op":"ping"}'],
    ['an id beyond 2^53', '{"id":9007199254740992,"op":"ping"}'],
    ['an op that is a number', '{"id":1,"op":1}'],
    ['the id twice', '{"id":1,"id":2,"op":"ping"}'],
    ['nothing', ''],
  ])('%s', (_, text) => {
    const { handler, queue } = queueOf()
    queue.push(text)
    expect(handler.log).toEqual(['malformed'])
  })

  test('the lowest and the highest id are fine', () => {
    const { handler, queue } = queueOf()
    queue.push(post(0))
    queue.push(post(Number.MAX_SAFE_INTEGER))
    expect(handler.log).toContain('post 0')
    expect(handler.log).toContain(`post ${Number.MAX_SAFE_INTEGER}`)
  })
})

/** One thing that happens: a frame comes in, or the nth of what is under way comes to its end. */
type Step = { op: 'post' | 'slow' | 'ping' } | { ends: number }

test('whatever comes and ends when: effects are in order, alone where due, complete', async () => {
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ op: fc.constantFrom('post' as const, 'slow' as const, 'ping' as const) }),
    fc.record({ ends: fc.nat(1_000) }),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 5 }),
      async (steps, max) => {
        const { handler, queue } = queueOf(max)
        const accepted: string[] = []
        const endOne = async (ends: number) => {
          const names = [...handler.pending.keys()]
          if (names.length > 0) await handler.end(names[ends % names.length]!)
        }
        let id = 0
        for (const one of steps) {
          if ('ends' in one) {
            await endOne(one.ends)
            continue
          }
          id += 1
          const text = one.op === 'ping' ? frame(id, 'ping') : post(id, one.op === 'slow')
          const name = one.op === 'ping' ? 'ping' : 'post'
          if (queue.push(text)) accepted.push(`${name} ${id}`)
        }
        while (handler.pending.size > 0) await endOne(id)
        expect(handler.log.filter((line) => /^(post|ping) /.test(line))).toEqual(accepted)
        expect(handler.runningMax).toBeLessThanOrEqual(max)
        expectAlone(handler.log)
      },
    ),
    { numRuns: 300 },
  )
})

/** Between the beginning and the end of anything but a post nothing else begins or ends. */
function expectAlone(log: string[]): void {
  const open = new Set<string>()
  for (const line of log) {
    const [what, id] = line.split(' ')
    if (what === 'ping') {
      expect(open).toEqual(new Set())
      open.add(`end ${id}`)
    } else if (what === 'post') {
      expect([...open].filter((one) => one.startsWith('end'))).toEqual([])
      open.add(`commit ${id}`)
    } else open.delete(line)
  }
}
