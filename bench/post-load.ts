/**
 * Posts in a closed loop: each connection keeps a fixed number in flight and sends the next as soon
 * as one is acknowledged. Every acknowledgement is checked: it must succeed, come in order, and
 * carry a seq that no other has.
 */
import { idOf, PostFrames, repliedSeq, replyId } from './frames.ts'
import { type Faults, Histogram, SeqSet } from './stats.ts'
import { openAll, Tcp, WebSocketClient } from './tcp.ts'
import { ResponseReader, readInteger } from './wire.ts'

const CREATED = 201
/** `{"seq":` */
const SEQ_AT = 7
/** After the last post was sent, the last acknowledgement must come within this time. */
const FINISH_MS_MAX = 15_000

/** What all connections of one load share. */
export class PostTally {
  /** Of what is acknowledged from now on; replaced when the measured time begins. */
  latency = new Histogram()
  stopping = false
  inFlight = 0
  readonly seqs = new SeqSet()
  readonly faults: Faults

  constructor(faults: Faults) {
    this.faults = faults
  }

  acknowledged(seq: number, after: number, sentAt: number, now: number): void {
    this.inFlight -= 1
    this.latency.record(now - sentAt)
    if (seq <= after) this.faults.add(`seq ${seq} was given after ${after} on one connection`)
    else if (!this.seqs.add(seq)) this.faults.add(`seq ${seq} was given twice`)
  }

  lost(why: string): void {
    this.stopping = true
    this.faults.add(why)
  }
}

export interface PostLoad {
  readonly tally: PostTally
  begin(): void
  /** Sends no more, waits for what is in flight, checks that nothing is missing, disconnects. */
  finish(): Promise<void>
}

interface Poster {
  begin(): void
  close(): void
}

function loadOf(tally: PostTally, posters: readonly Poster[]): PostLoad {
  return {
    tally,
    begin: () => {
      for (const poster of posters) poster.begin()
    },
    async finish() {
      tally.stopping = true
      const deadline = performance.now() + FINISH_MS_MAX
      while (tally.inFlight > 0 && tally.faults.count === 0 && performance.now() < deadline)
        await Bun.sleep(5)
      const { faults, inFlight, seqs } = tally
      faults.check(inFlight === 0, `${inFlight} posts were never acknowledged`)
      faults.check(seqs.isGapless, 'the seqs acknowledged have holes')
      for (const poster of posters) poster.close()
    },
  }
}

/**
 * One request in flight on each connection. `requestOf` gives a connection's ready-made request.
 */
export async function openHttpLoad(options: {
  port: number
  connections: number
  requestOf: (connection: number) => Uint8Array
  faults: Faults
}): Promise<PostLoad> {
  const { port, connections, requestOf, faults } = options
  const tally = new PostTally(faults)
  const posters = await openAll(connections, async (index) => {
    const tcp = await Tcp.open(port)
    return new HttpPoster(tcp, requestOf(index), tally)
  })
  return loadOf(tally, posters)
}

class HttpPoster implements Poster {
  readonly #tcp: Tcp
  readonly #request: Uint8Array
  readonly #tally: PostTally
  #sentAt = 0
  #lastSeq = 0

  constructor(tcp: Tcp, request: Uint8Array, tally: PostTally) {
    this.#tcp = tcp
    this.#request = request
    this.#tally = tally
    const responses = new ResponseReader((...response) => this.#answered(...response))
    tcp.onData = (chunk) => responses.push(chunk)
    tcp.onLost = (why) => tally.lost(why)
  }

  begin(): void {
    this.#tally.inFlight += 1
    this.#sentAt = performance.now()
    this.#tcp.write(this.#request)
  }

  close(): void {
    this.#tcp.close()
  }

  #answered(status: number, bytes: Buffer, start: number, end: number): void {
    if (status !== CREATED)
      throw new Error(
        `${status} instead of 201: ${bytes.toString('utf8', start, Math.min(end, start + 500))}`,
      )
    const seq = readInteger(bytes, start + SEQ_AT)
    this.#tally.acknowledged(seq, this.#lastSeq, this.#sentAt, performance.now())
    this.#lastSeq = seq
    if (!this.#tally.stopping) this.begin()
  }
}

/** `inFlight` posts on each of the WebSockets. */
export async function openSocketLoad(options: {
  port: number
  connections: number
  inFlight: number
  room: string
  text: string
  tokenOf: (connection: number) => string
  faults: Faults
}): Promise<PostLoad> {
  const { port, connections, inFlight, room, text, tokenOf, faults } = options
  const tally = new PostTally(faults)
  const frames = new PostFrames(room, text, inFlight)
  const posters = await openAll(connections, async (index) => {
    const socket = await WebSocketClient.open(port, tokenOf(index))
    return new SocketPoster(socket, frames, inFlight, tally)
  })
  return loadOf(tally, posters)
}

class SocketPoster implements Poster {
  readonly #socket: WebSocketClient
  readonly #frames: PostFrames
  readonly #inFlight: number
  readonly #tally: PostTally
  /** When each post in flight was sent, by its number modulo `inFlight`. */
  readonly #sentAt: Float64Array
  #sent = 0
  #answered = 0
  #lastSeq = 0

  constructor(socket: WebSocketClient, frames: PostFrames, inFlight: number, tally: PostTally) {
    this.#socket = socket
    this.#frames = frames
    this.#inFlight = inFlight
    this.#tally = tally
    this.#sentAt = new Float64Array(inFlight)
    socket.onText = (...frame) => this.#replied(...frame)
    socket.onChunkEnd = () => this.begin()
    socket.onLost = (why) => tally.lost(why)
  }

  /** Sends as many posts as there is room for, in one write. */
  begin(): void {
    const count = this.#inFlight - (this.#sent - this.#answered)
    if (count === 0 || this.#tally.stopping) return
    const now = performance.now()
    for (let i = 0; i < count; i++) this.#sentAt[(this.#sent + i) % this.#inFlight] = now
    this.#socket.write(this.#frames.take(this.#sent, count))
    this.#sent += count
    this.#tally.inFlight += count
  }

  close(): void {
    this.#socket.close()
  }

  /** Replies come in the order of the posts: that is a promise of the server, too. */
  #replied(bytes: Buffer, start: number, end: number): void {
    const id = replyId(bytes, start)
    if (Number.isNaN(id)) return
    const seq = repliedSeq(bytes, start, end)
    if (Number.isNaN(seq)) throw new Error(`A post failed: ${bytes.toString('utf8', start, end)}`)
    if (id !== idOf(this.#answered))
      throw new Error(`A reply to ${id} came where ${idOf(this.#answered)} was due.`)
    const sentAt = this.#sentAt[this.#answered % this.#inFlight]!
    this.#answered += 1
    this.#tally.acknowledged(seq, this.#lastSeq, sentAt, performance.now())
    this.#lastSeq = seq
  }
}
