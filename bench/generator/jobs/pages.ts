/** *pages*: history over HTTP, with one request in flight on each connection. */
import { Faults } from '../../stats.ts'
import { encodeRequest, HttpClient, type Response } from '../http.ts'
import type { Loop } from '../loop.ts'
import type { JobContext } from '../main.ts'
import { Openings } from '../openings.ts'
import { type PageCheck, Pages } from '../pages.ts'
import { Tally, type TallyResult } from '../tally.ts'
import { received } from '../tcp.ts'

export interface PagesJob {
  kind: 'pages'
  port: number
  token: string
  /** Ids of the rooms that are read. */
  rooms: string[]
  /** In each of them. */
  messages: number
  textBytes: number
  pageSize: number
  /** Of one room after the other, or of any room at any place. */
  which: 'newest' | 'random'
  connections: number
  warmUpS: number
  seconds: number
}

export interface PagesResult extends TallyResult {
  receivedBytes: number
  faults: string[]
  faultCount: number
}

const OK = 200
const FAULTS_KEPT = 5
/** For the random pages: the same ones in each run. */
const RANDOM_SEED = 20_261_124

export async function pages(job: PagesJob, context: JobContext): Promise<PagesResult> {
  const load = new PagesLoad(job, context)
  await load.open()
  load.start()
  await context.loop.sleep(job.warmUpS * 1_000)
  const bytesBefore = received.bytes
  const isBroken = () => load.faults.count > 0
  await load.tally.measure(context, { phase: 'pages', seconds: job.seconds, isBroken })
  const receivedBytes = received.bytes - bytesBefore
  load.close()
  const { count, texts } = load.faults
  return { ...load.tally.result(), receivedBytes, faults: texts, faultCount: count }
}

class PagesLoad {
  readonly faults = new Faults(FAULTS_KEPT)
  readonly tally = new Tally()
  readonly pages: Pages
  readonly #readers: PageReader[] = []
  readonly #openings: Openings

  constructor(job: PagesJob, { loop }: JobContext) {
    this.pages = new Pages(job.textBytes)
    const next = job.which === 'newest' ? newestInTurn(job) : anywhere(job)
    this.#openings = new Openings(job.connections, () => {
      this.#readers.push(new PageReader(this, loop, job.port, next))
    })
  }

  open(): Promise<void> {
    return this.#openings.run()
  }

  start(): void {
    for (const reader of this.#readers) reader.ask()
  }

  opened(): void {
    this.#openings.opened()
  }

  lost(why: string): void {
    this.faults.add(`a connection was lost: ${why}`)
    this.#openings.failed(why)
  }

  close(): void {
    for (const reader of this.#readers) reader.close()
  }
}

interface Asked extends PageCheck {
  request: Buffer
}

class PageReader {
  readonly #load: PagesLoad
  readonly #next: () => Asked
  readonly #client: HttpClient
  #asked: Asked | undefined
  #askedAt = 0

  constructor(load: PagesLoad, loop: Loop, port: number, next: () => Asked) {
    this.#load = load
    this.#next = next
    this.#client = new HttpClient(
      loop,
      { source: '127.0.0.1', port },
      {
        connected: () => load.opened(),
        answered: (response) => this.#answered(response),
        lost: (why) => load.lost(why),
      },
    )
  }

  ask(): void {
    this.#asked = this.#next()
    this.#askedAt = performance.now()
    this.#client.send(this.#asked.request)
  }

  close(): void {
    this.#client.close()
  }

  #answered({ status, bytes, bodyStart, bodyEnd }: Response): void {
    const asked = this.#asked
    if (asked === undefined) throw new Error('an answer to nothing')
    this.#asked = undefined
    if (status !== OK)
      throw new Error(`${status} instead of 200: ${bytes.toString('utf8', bodyStart, bodyEnd)}`)
    this.#load.pages.check(asked, bytes, bodyStart, bodyEnd)
    this.#load.tally.answered(performance.now() - this.#askedAt, this.#askedAt)
    this.ask()
  }
}

/** Encoded once for each room. */
function newestInTurn(job: PagesJob): () => Asked {
  const { messages, pageSize } = job
  const all = job.rooms.map((room) => ({
    room,
    first: messages - pageSize + 1,
    last: messages,
    request: requestOf(job, room, ''),
  }))
  let asked = 0
  return () => all[asked++ % all.length]!
}

function anywhere(job: PagesJob): () => Asked {
  const { rooms, messages, pageSize } = job
  const below = random(RANDOM_SEED)
  return () => {
    const room = rooms[below(rooms.length)]!
    const first = 1 + below(messages - pageSize + 1)
    const last = first + pageSize - 1
    return { room, first, last, request: requestOf(job, room, `&before=${last + 1}`) }
  }
}

function requestOf({ token, pageSize }: PagesJob, room: string, cursor: string): Buffer {
  return encodeRequest('GET', `/room/${room}/messages?limit=${pageSize}${cursor}`, {
    headers: { Authorization: `Bearer ${token}` },
  })
}

/** Whole numbers below a limit, always the same ones: a linear congruential generator. */
function random(seed: number): (limit: number) => number {
  let state = seed
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
}
