/** The live transports as tests use them: each gives its events one by one, with a deadline. */
import { deferred } from '../src/clock.ts'
import { type Message, type Person, within } from './harness.ts'

/** What comes in, in order, for whoever waits for it. */
export class Arrivals<T> {
  readonly all: T[] = []
  #waiting: (() => void)[] = []
  #taken = 0

  add(item: T): void {
    this.all.push(item)
    for (const wake of this.#waiting.splice(0)) wake()
  }

  /** The next one that has not been taken. */
  next(what = 'something arrives', ms?: number): Promise<T> {
    return this.find(() => true, what, ms)
  }

  /** The next one that fits; those before it are passed over. */
  async find(fits: (item: T) => boolean, what = 'it arrives', ms?: number): Promise<T> {
    const found = async (): Promise<T> => {
      for (;;) {
        while (this.#taken < this.all.length) {
          const item = this.all[this.#taken++]!
          if (fits(item)) return item
        }
        const { promise, resolve } = deferred<void>()
        this.#waiting.push(resolve)
        await promise
      }
    }
    return within(found(), what, ms)
  }

  /** Resolves when there are so many in all. */
  async count(n: number, what = `${n} arrive`, ms?: number): Promise<T[]> {
    const enough = async (): Promise<T[]> => {
      while (this.all.length < n) {
        const { promise, resolve } = deferred<void>()
        this.#waiting.push(resolve)
        await promise
      }
      return this.all
    }
    return within(enough(), what, ms)
  }
}

// biome-ignore lint/suspicious/noExplicitAny: frames are looked into freely by tests
export type AnyFrame = any

/** A WebSocket client that checks nothing and shows everything. */
export class Socket {
  readonly frames = new Arrivals<AnyFrame>()
  /** Events of all timelines, in order of arrival. */
  readonly events = new Arrivals<{ timeline: string; event: Message }>()
  readonly closed: Promise<{ code: number; reason: string }>
  readonly raw: WebSocket
  #lastId = 0

  private constructor(raw: WebSocket) {
    this.raw = raw
    const { promise, resolve } = deferred<{ code: number; reason: string }>()
    this.closed = promise
    raw.onclose = ({ code, reason }) => resolve({ code, reason })
    raw.onmessage = ({ data }) => {
      const frame = JSON.parse(data as string)
      this.frames.add(frame)
      for (const event of frame.events ?? []) this.events.add({ timeline: frame.timeline, event })
    }
  }

  static async open(
    url: string,
    path = '/ws',
    headers: Record<string, string> = {},
  ): Promise<Socket> {
    const raw = new WebSocket(`${url.replace('http', 'ws')}${path}`, { headers } as never)
    const socket = new Socket(raw)
    const opened = deferred<void>()
    raw.onopen = () => opened.resolve()
    raw.onerror = () => opened.reject(new Error(`no WebSocket at ${path}`))
    await within(opened.promise, `a WebSocket opens at ${path}`)
    return socket
  }

  static of(person: Person, path = '/ws'): Promise<Socket> {
    return Socket.open(person.url, path, { authorization: `Bearer ${person.token}` })
  }

  send(frame: unknown): void {
    this.raw.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  }

  /** Sends an operation with an id of its own and resolves with the reply, whichever it is. */
  ask(op: string, fields: object = {}): Promise<AnyFrame> {
    this.#lastId += 1
    const id = this.#lastId
    this.send({ id, op, ...fields })
    return this.reply(id)
  }

  async reply(id: number): Promise<AnyFrame> {
    const earlier = this.frames.all.find((frame) => frame.re === id)
    return earlier ?? this.frames.find((frame) => frame.re === id, `the reply to ${id}`)
  }

  close(): void {
    this.raw.close()
  }
}

/** A stream of either form, as its events' JSON; SSE ids beside them. */
export class Stream {
  readonly events = new Arrivals<Message>()
  /** The `id:` lines of an event stream. */
  readonly ids: string[] = []
  /** Named events of an event stream, and control lines of NDJSON: `reset`. */
  readonly controls = new Arrivals<AnyFrame>()
  readonly response: Response
  /** Resolves when the server ends the stream, or cuts it. */
  readonly ended: Promise<void>
  readonly #abort: AbortController
  raw = ''

  private constructor(response: Response, abort: AbortController) {
    this.response = response
    this.#abort = abort
    this.ended = this.#run()
  }

  static async open(
    person: Person,
    path: string,
    headers: Record<string, string> = {},
  ): Promise<Stream> {
    const abort = new AbortController()
    const response = await within(
      person.fetch(path, { headers, signal: abort.signal }),
      `the headers of ${path}`,
    )
    return new Stream(response, abort)
  }

  static sse(person: Person, path: string, headers: Record<string, string> = {}): Promise<Stream> {
    return Stream.open(person, path, { accept: 'text/event-stream', ...headers })
  }

  close(): void {
    this.#abort.abort()
  }

  async #run(): Promise<void> {
    const decoder = new TextDecoder()
    const sse = this.response.headers.get('content-type')?.includes('event-stream') ?? false
    let rest = ''
    try {
      for await (const chunk of this.response.body!) {
        const text = decoder.decode(chunk, { stream: true })
        this.raw += text
        const parts = (rest + text).split(sse ? '\n\n' : '\n')
        rest = parts.pop()!
        for (const part of parts)
          if (sse) this.#readBlock(part)
          else this.#readLine(part)
      }
    } catch {
      // Cut by either side; what came before counts.
    }
  }

  #readLine(line: string): void {
    const value = JSON.parse(line)
    if (value.type === 'reset') this.controls.add(value)
    else this.events.add(value)
  }

  #readBlock(block: string): void {
    const fields = new Map<string, string>()
    for (const line of block.split('\n')) {
      const at = line.indexOf(': ')
      if (at > 0) fields.set(line.slice(0, at), line.slice(at + 2))
    }
    const id = fields.get('id')
    if (id !== undefined) this.ids.push(id)
    const data = fields.get('data')
    if (data === undefined) return
    if (fields.has('event')) this.controls.add({ event: fields.get('event'), ...JSON.parse(data) })
    else this.events.add(JSON.parse(data))
  }
}
