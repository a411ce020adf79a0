/**
 * A million posts through three nodes on one PostgreSQL, into a thousand rooms of which one is hot:
 * every node writes to the same rows at the same time. Each post is acknowledged, stands where its
 * answer said, and no two transactions ever wait for each other in a circle.
 */

import { deferred } from '../../src/clock.ts'
import { faultsOf } from '../../src/verify/checker.ts'
import { at, Cluster, findClusterPrograms } from '../cluster/cluster.ts'
import { type Person, signUp } from '../harness.ts'
import { Socket } from '../live.ts'
import { type Scene, Skipped, type Trial } from './trial.ts'

const POSTS = 1_000_000
const ROOMS = 1_000
/** One post in so many goes into the hot room. */
const HOT_EVERY = 5
const SOCKETS_PER_NODE = 4
const IN_FLIGHT = 64
const RETRY_MS = 50

export const million: Trial = {
  name: 'million',
  what: 'a million posts from three nodes into a thousand rooms, a fifth of them into one',
  minutesMax: 20,
  async run(scene) {
    const programs = await findClusterPrograms()
    if (programs === undefined) throw new Skipped('PostgreSQL or NATS is missing')
    const cluster = await Cluster.start(programs, 3)
    scene.afterwards(() => cluster.remove())
    // Before we give a lock up ourselves: otherwise a circle is broken before anyone has seen it.
    await cluster.postgres.sql`ALTER SYSTEM SET deadlock_timeout = '50ms'`
    await cluster.postgres.sql`SELECT pg_reload_conf()`
    const authors = await Promise.all(cluster.nodes.map((node) => signUp(node.url)))
    const rooms: string[] = []
    for (let i = 0; i < ROOMS; i++) rooms.push((await authors[0]!.createRoom()).id)
    const book = new Book(scene, rooms, authors)
    const startedAt = performance.now()
    const posters = cluster.nodes.flatMap((node, i) =>
      Array.from({ length: SOCKETS_PER_NODE }, () => post(at(node, authors[i]!), i, book)),
    )
    await Promise.all(posters)
    const seconds = (performance.now() - startedAt) / 1_000
    const faults = await judge(cluster, book)
    const [row] = await cluster.postgres.sql`
      SELECT sum(deadlocks)::int AS deadlocks FROM pg_stat_database`
    if (row!.deadlocks !== 0) faults.push(`PostgreSQL counts ${row!.deadlocks} deadlocks`)
    const rate = Math.round(book.acknowledged / seconds)
    const figures =
      `${book.acknowledged} posts acknowledged in ${Math.round(seconds)} s, ${rate} a second, ` +
      `${book.refused} tries refused for load, ${row!.deadlocks} deadlocks`
    return { figures, faults }
  },
}

/** What is to be posted, and what was answered; in arrays, for there is a lot of it. */
class Book {
  readonly rooms: readonly string[]
  readonly authors: readonly Person[]
  readonly posts: number
  readonly room: Uint16Array
  readonly author: Uint8Array
  readonly seq: Uint32Array
  readonly invokedAt: Float64Array
  readonly completedAt: Float64Array
  acknowledged = 0
  refused = 0
  readonly #scene: Scene
  #next = 0

  constructor(scene: Scene, rooms: readonly string[], authors: readonly Person[]) {
    this.#scene = scene
    this.rooms = rooms
    this.authors = authors
    this.posts = scene.times(POSTS, 1_000)
    this.room = new Uint16Array(this.posts)
    this.author = new Uint8Array(this.posts)
    this.seq = new Uint32Array(this.posts)
    this.invokedAt = new Float64Array(this.posts)
    this.completedAt = new Float64Array(this.posts)
  }

  /** The number of a post that nobody has posted yet; undefined when there is none left. */
  draw(author: number): number | undefined {
    if (this.#next === this.posts) return undefined
    const n = this.#next++
    this.room[n] = n % HOT_EVERY === 0 ? 0 : this.#scene.below(this.rooms.length)
    this.author[n] = author
    this.invokedAt[n] = performance.now()
    return n
  }

  acknowledge(n: number, seq: number): void {
    this.seq[n] = seq
    this.completedAt[n] = performance.now()
    this.acknowledged += 1
    this.#scene.progress(`${this.acknowledged} of ${this.posts} posts acknowledged`)
  }
}

/** Keeps so many posts under way over one WebSocket until none is left. */
async function post(author: Person, index: number, book: Book): Promise<void> {
  const { raw } = await Socket.of(author)
  const { promise, resolve, reject } = deferred<void>()
  let underWay = 0
  const send = (n: number) => {
    const frame = { op: 'post', room: book.rooms[book.room[n]!], text: `post ${n}`, key: `${n}` }
    raw.send(JSON.stringify({ id: n, ...frame }))
  }
  const sendNext = () => {
    const n = book.draw(index)
    if (n !== undefined) {
      underWay += 1
      send(n)
    } else if (underWay === 0) resolve()
  }
  raw.onmessage = ({ data }) => {
    const { re, ok, error } = JSON.parse(data as string)
    if (ok === undefined) {
      if (error.status !== 503) reject(new Error(data as string))
      book.refused += 1
      setTimeout(send, RETRY_MS, re)
      return
    }
    book.acknowledge(re, ok.seq)
    underWay -= 1
    sendNext()
  }
  raw.onclose = ({ code }) => reject(new Error(`the connection was closed with ${code}`))
  for (let i = 0; i < IN_FLIGHT; i++) sendNext()
  await promise
  raw.onclose = null
  raw.close()
}

/** Room by room: everything is read back and compared. */
async function judge(cluster: Cluster, book: Book): Promise<string[]> {
  const numbers = book.rooms.map((): number[] => [])
  for (let n = 0; n < book.posts; n++) numbers[book.room[n]!]!.push(n)
  const sql = cluster.postgres.connect(cluster.databaseUrl)
  const faults: string[] = []
  for (const [index, timeline] of book.rooms.entries()) {
    const rows = await sql<{ seq: string; body: string }[]>`
      SELECT seq, body::text AS body FROM events WHERE timeline = ${timeline} ORDER BY seq`
    const log = rows.map(({ seq, body }) => ({ seq: Number(seq), text: JSON.parse(body).text }))
    const attempts = numbers[index]!.map((n) => ({
      ...{ client: book.authors[book.author[n]!]!.name, key: `${n}`, timeline, text: `post ${n}` },
      ...{ invokedAt: book.invokedAt[n]!, completedAt: book.completedAt[n]! },
      ...{ outcome: 'ok' as const, seq: book.seq[n]! },
    }))
    for (const { kind, what } of faultsOf({
      attempts,
      log: new Map([[timeline, log]]),
      readings: [],
    }))
      faults.push(`${kind} in ${timeline}: ${what}`)
    faults.push(...(await wrongHeads(cluster, book.authors[0]!, timeline, attempts.length, index)))
  }
  return faults
}

/** Every node says of the hot room, and one of each other, that it holds what was posted. */
async function wrongHeads(
  cluster: Cluster,
  reader: Person,
  room: string,
  posted: number,
  index: number,
): Promise<string[]> {
  const nodes = index === 0 ? cluster.nodes : [cluster.nodes[index % cluster.nodes.length]!]
  const wrong: string[] = []
  for (const node of nodes) {
    const { head } = await at(node, reader).get<{ head: number }>(`/room/${room}`)
    if (head !== posted) wrong.push(`${posted} posts in ${room}, and its head is ${head}`)
  }
  return wrong
}
