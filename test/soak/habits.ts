/**
 * What people and programs do all day, mixed: they talk, listen, leave and come back, turn pages,
 * sign in and out, stop reading, and send nonsense. Each habit is a loop that goes on until it is
 * told to stop; what a server should never do is told to `wrong`.
 */
import { randomBytes } from 'node:crypto'
import { type OpenSocket, openSocket, type Received } from '../../src/verify/transports.ts'
import { RawConnection } from '../faults/raw-socket.ts'
import { fetchJson, type Person, signIn, signUp, within } from '../harness.ts'
import { rawRequest } from '../raw.ts'

const CHATTERS = 20
const CHATTER_PAUSE_MS = 100
const LURKERS = 300
/** One of them leaves, and comes back with its cursor. */
const LURKER_PAUSE_MS = 200
const PAGE_PAUSE_MS = 50
const VISIT_PAUSE_MS = 1_000
const NONSENSE_PAUSE_MS = 200
const ANSWER_MS_MAX = 20_000
/** One who stops reading is closed long before. */
const DEAF_MS_MAX = 120_000
/** Names of visitors: few, for each costs a hash of the password and is kept for ever. */
const VISITORS = 50

/** Holds nothing back that could end: the longest are minutes. */
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms).unref())

export interface Tally {
  posts: number
  delivered: number
  returns: number
  pages: number
  visits: number
  deaf: number
  nonsense: number
}

export class Habits {
  readonly tally: Tally = {
    ...{ posts: 0, delivered: 0, returns: 0, pages: 0, visits: 0, deaf: 0, nonsense: 0 },
  }
  readonly #url: string
  readonly #wrong: (what: string) => void
  readonly #running: Promise<void>[] = []
  readonly #open = new Set<OpenSocket>()
  #stopped = false
  #people: Person[] = []
  #rooms: string[] = []

  constructor(url: string, wrong: (what: string) => void) {
    this.#url = url
    this.#wrong = wrong
  }

  async start(): Promise<void> {
    for (let i = 0; i < 4; i++) this.#people.push(await signUp(this.#url))
    for (const person of this.#people) this.#rooms.push((await person.createRoom()).id)
    for (let i = 0; i < VISITORS; i++) await signUp(this.#url, visitorName(i))
    for (let i = 0; i < CHATTERS; i++) this.#keep('talking', () => this.#talk(i))
    for (let i = 0; i < LURKERS; i++) this.#keep('listening', () => this.#lurk(i))
    this.#keep('turning pages', () => this.#turnPages())
    this.#keep('visiting', () => this.#visit())
    this.#keep('not reading', () => this.#stopReading())
    this.#keep('nonsense', () => this.#sendNonsense())
  }

  /** Resolves when nobody is connected any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const socket of this.#open) socket.cut()
    await Promise.all(this.#running)
  }

  /** Does it again and again. What goes wrong once is told, and the habit goes on. */
  #keep(what: string, once: () => Promise<void>): void {
    const go = async () => {
      while (!this.#stopped)
        await once().catch(async (error: Error) => {
          if (this.#stopped) return
          this.#wrong(`${what}: ${error.message}`)
          await pause(1_000)
        })
    }
    this.#running.push(go())
  }

  #person(i: number): Person {
    return this.#people[i % this.#people.length]!
  }

  #room(i: number): string {
    return this.#rooms[i % this.#rooms.length]!
  }

  #openSocket(person: Person, onFrame: (frame: Record<string, unknown>) => void): OpenSocket {
    const socket = openSocket(this.#url, person.token, onFrame)
    this.#open.add(socket)
    void socket.closed.then(() => this.#open.delete(socket))
    return socket
  }

  /** One connection's life: a hundred posts, each after the answer to the one before. */
  async #talk(i: number): Promise<void> {
    let answered: (frame: Record<string, unknown>) => void = () => {}
    const socket = this.#openSocket(this.#person(i), (frame) => answered(frame))
    for (let n = 2; n < 102 && !this.#stopped; n++) {
      const answer = new Promise<Record<string, unknown>>((resolve) => {
        answered = (frame) => frame.re === n && resolve(frame)
      })
      const [key, text] = [randomBytes(9).toString('base64url'), `${'talk '.repeat(n % 30)}${n}`]
      socket.send({ id: n, op: 'post', room: this.#room(i), text, key })
      const closed = socket.closed.then(() => ({ error: { code: 'closed' } }))
      const frame = await within(Promise.race([answer, closed]), 'an answer', ANSWER_MS_MAX)
      if (this.#stopped) break
      if (!('ok' in frame)) throw new Error(`a post is answered ${JSON.stringify(frame)}`)
      this.tally.posts += 1
      await pause(Math.random() * 2 * CHATTER_PAUSE_MS)
    }
    socket.cut()
    await socket.closed
  }

  /** Follows a room, leaves after a while, comes back for what was missed, and so on. */
  async #lurk(i: number): Promise<void> {
    let cursor: number | undefined
    while (!this.#stopped) {
      const socket = this.#openSocket(this.#person(i), (frame) => {
        for (const { seq } of (frame.events as Received[] | undefined) ?? []) {
          if (cursor !== undefined && seq !== cursor + 1)
            this.#wrong(`listening: ${seq} after ${cursor}`)
          cursor = seq
          this.tally.delivered += 1
        }
      })
      const after = cursor === undefined ? {} : { after: cursor }
      socket.send({ id: 2, op: 'subscribe', room: this.#room(i), ...after })
      // All of them together return at one pace, whatever their number.
      const staysMs = Math.random() * 2 * LURKER_PAUSE_MS * LURKERS
      await Promise.race([pause(Math.min(staysMs, 300_000)), socket.closed])
      socket.cut()
      await socket.closed
      this.tally.returns += 1
    }
  }

  async #turnPages(): Promise<void> {
    const i = Math.floor(Math.random() * this.#rooms.length)
    const person = this.#person(i)
    const [newest] = (await person.list(`/room/${this.#room(i)}`, '?limit=1')) as { seq: number }[]
    const before = 1 + Math.floor(Math.random() * (newest?.seq ?? 1))
    const page = await person.list(`/room/${this.#room(i)}`, `?before=${before}&limit=50`)
    const due = Math.min(50, before - 1)
    if (page.length !== due) this.#wrong(`pages: ${page.length} before ${before}, not ${due}`)
    this.tally.pages += 1
    await pause(PAGE_PAUSE_MS)
  }

  /** Signs in, looks around, listens, writes to somebody, and signs out, which ends the stream. */
  async #visit(): Promise<void> {
    const name = visitorName(Math.floor(Math.random() * VISITORS))
    const visitor = await signIn(this.#url, name)
    await visitor.get('/rooms?limit=20')
    await visitor.get('/messages?limit=20')
    const stream = await visitor.fetch(`/room/${this.#room(0)}/subscribe`)
    const ended = stream.text().catch(() => '')
    await visitor.post(`/user/${this.#person(0).id}`, `hello from ${name}`)
    await visitor.signOut()
    await within(ended, 'a stream ends with its session', ANSWER_MS_MAX)
    this.tally.visits += 1
    await pause(VISIT_PAUSE_MS)
  }

  /** Asks for everything from the beginning, and reads nothing of it, until it is thrown out. */
  async #stopReading(): Promise<void> {
    const path = `/room/${this.#room(0)}/subscribe?after=0`
    const connection = await RawConnection.socket(this.#person(0), path)
    connection.stopReading()
    const stopped = (async () => {
      while (!this.#stopped) await pause(100)
    })()
    const deadline = pause(DEAF_MS_MAX)
    await Promise.race([connection.closed, stopped, deadline])
    connection.destroy()
    this.tally.deaf += 1
  }

  async #sendNonsense(): Promise<void> {
    const [what, send] = NONSENSE[this.tally.nonsense % NONSENSE.length]!
    const status = await send(this.#url, this.#person(0))
    if (!(status >= 400 && status < 500)) this.#wrong(`nonsense: ${what} is answered ${status}`)
    this.tally.nonsense += 1
    await pause(NONSENSE_PAUSE_MS)
  }
}

function visitorName(i: number): string {
  return `visitor-${process.pid}-${i}`
}

/** Each resolves with the status, which should be one of the caller's own faults. */
const NONSENSE: [what: string, send: (url: string, person: Person) => Promise<number>][] = [
  ['no token', async (url) => (await fetch(`${url}/me`)).status],
  [
    'a wrong token',
    async (url) => (await fetch(`${url}/me`, { headers: { authorization: 'Bearer x' } })).status,
  ],
  [
    'broken JSON',
    async (url) => (await fetch(`${url}/users`, { method: 'POST', body: '{"name":' })).status,
  ],
  [
    'a body of 300 KB',
    async (_, person) =>
      (await person.fetch('/rooms', { method: 'POST', json: { name: 'x'.repeat(300_000) } }))
        .status,
  ],
  [
    'a wrong password',
    async (url) => {
      const json = { name: visitorName(0), password: 'not the password' }
      return (await fetchJson(url, '/sessions', { method: 'POST', json })).status
    },
  ],
  ['no such path', async (_, person) => (await person.fetch(`/room/${'%2e'.repeat(9)}/x`)).status],
  [
    'two lengths',
    async (url) => {
      const head = `POST /users HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n`
      return (await rawRequest(url, `${head}\r\nab`)).response?.status ?? 400
    },
  ],
  [
    'frames that are none',
    async (_, person) => {
      const socket = openSocket(person.url, person.token, () => {})
      socket.send({ op: 'no such operation' })
      socket.send({ id: 'x'.repeat(70_000) })
      await within(socket.closed, 'a socket that sends nonsense is closed', ANSWER_MS_MAX)
      return 400
    },
  ],
]
