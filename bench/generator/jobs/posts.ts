/**
 * *posts*: durable posts. In a closed loop each connection keeps a fixed number in flight; in an
 * open one posts go out when they are planned, over the connections in turn. Nobody reads along.
 */
import { Faults } from '../../stats.ts'
import { Ledger } from '../ledger.ts'
import type { JobContext } from '../main.ts'
import { Openings } from '../openings.ts'
import { PostFrames } from '../post-frames.ts'
import { type PostDesk, Poster } from '../poster.ts'
import { Tally, type TallyResult } from '../tally.ts'
import { received } from '../tcp.ts'

export interface PostsJob {
  kind: 'posts'
  /** Of servers that share their data; the first connections go to the first, and so on. */
  ports: number[]
  tokens: string[]
  /** Their ids. Connections are spread over them evenly. */
  rooms: string[]
  textBytes: number
  connections: number
  /** On each connection. In an open loop, past it the server counts as overrun. */
  inFlightMax: number
  /** Of an open loop, from all connections together. */
  postsPerSecond?: number
  warmUpS: number
  seconds: number
  /** After the last post was sent, the last acknowledgement must come within this time. */
  finishS: number
}

/**
 * Latency counts from the time a post was sent, in an open loop from the time it was planned for.
 */
export interface PostsResult extends TallyResult {
  /** In each room, from the beginning to the end. */
  acknowledged: number[]
  receivedBytes: number
  faults: string[]
  faultCount: number
}

const STEP_MS = 5
/** The loop sleeps by whole milliseconds; less would only wake it without a post to send. */
const PACE_MS = 1
const FAULTS_KEPT = 5

export async function posts(job: PostsJob, context: JobContext): Promise<PostsResult> {
  const { loop } = context
  const load = new PostsLoad(job, context)
  await load.open()
  const end = job.postsPerSecond === undefined ? load.runClosed() : load.runOpen(job.postsPerSecond)
  await loop.sleep(job.warmUpS * 1_000)
  const bytesBefore = received.bytes
  const isBroken = () => load.faults.count > 0
  await load.tally.measure(context, { phase: 'posts', seconds: job.seconds, isBroken })
  const receivedBytes = received.bytes - bytesBefore
  end()
  const acknowledged = await load.finish(job.finishS)
  const { count, texts } = load.faults
  return { ...load.tally.result(), acknowledged, receivedBytes, faults: texts, faultCount: count }
}

class PostsLoad implements PostDesk {
  readonly loop: JobContext['loop']
  readonly faults = new Faults(FAULTS_KEPT)
  readonly ledger: Ledger
  readonly tally = new Tally()
  readonly #openings: Openings
  readonly #posters: Poster[] = []
  #acknowledged: (poster: Poster) => void = () => {}

  constructor(job: PostsJob, { loop }: JobContext) {
    this.loop = loop
    this.ledger = new Ledger(job.rooms.length, this.faults)
    const inOneWrite = job.postsPerSecond === undefined ? job.inFlightMax : 1
    const frames = job.rooms.map((id) => new PostFrames(id, job.textBytes, inOneWrite))
    this.#openings = new Openings(job.connections, (index) => {
      const room = index % job.rooms.length
      const token = job.tokens[index % job.tokens.length]!
      const port = job.ports[Math.floor((index / job.connections) * job.ports.length)]!
      const { inFlightMax } = job
      this.#posters.push(
        new Poster(this, { index, port, token, room, frames: frames[room]!, inFlightMax }),
      )
    })
  }

  open(): Promise<void> {
    return this.#openings.run()
  }

  opened(): void {
    this.#openings.opened()
  }

  lost(why: string): void {
    this.faults.add(`a connection was lost: ${why}`)
    this.#openings.failed(why)
  }

  acknowledged(poster: Poster, sinceMs: number): void {
    this.tally.answered(performance.now() - sinceMs, sinceMs)
    this.#acknowledged(poster)
  }

  /**
   * Whoever was answered posts again at the end of the loop's turn: what came in one chunk is then
   * made up for in one write. The function returned ends it.
   */
  runClosed(): () => void {
    let answered: Poster[] = []
    const refill = () => {
      const now = performance.now()
      const due = answered
      answered = []
      for (const poster of due) if (poster.room > 0) poster.post(poster.room, now)
    }
    this.#acknowledged = (poster) => {
      if (answered.length === 0) this.loop.at(0, refill)
      if (answered.at(-1) !== poster) answered.push(poster)
    }
    answered = [...this.#posters]
    refill()
    return () => {
      this.#acknowledged = () => {}
      answered = []
    }
  }

  /** The function returned ends it. */
  runOpen(perSecond: number): () => void {
    const startedAt = performance.now()
    const posters = this.#posters
    const atMs = (n: number) => startedAt + (n / perSecond) * 1_000
    let sent = 0
    let isStopped = false
    const sendDue = () => {
      const now = performance.now()
      for (; !isStopped && atMs(sent) <= now; sent++) {
        const poster = posters[sent % posters.length]!
        if (poster.room === 0) {
          this.faults.add(`a connection waits for ${poster.inFlight} answers: the load is too much`)
          isStopped = true
        } else poster.post(1, atMs(sent))
      }
      if (!isStopped) this.loop.at(Math.max(atMs(sent), now + PACE_MS), sendDue)
    }
    sendDue()
    return () => {
      isStopped = true
    }
  }

  /** Waits for what is in flight. Returns how many were acknowledged in each room. */
  async finish(withinS: number): Promise<number[]> {
    const deadline = performance.now() + withinS * 1_000
    const inFlight = () => this.#posters.reduce((sum, poster) => sum + poster.inFlight, 0)
    while (inFlight() > 0 && this.faults.count === 0 && performance.now() < deadline)
      await this.loop.sleep(STEP_MS)
    this.faults.check(inFlight() === 0, `${inFlight()} posts were never acknowledged`)
    for (const poster of this.#posters) poster.close()
    return this.ledger.close()
  }
}
