/**
 * The bare loop: what the runtime gets out of this machine if nothing is stored, nobody signs in
 * and nothing is checked. Parley's wire shapes, one fixed tick for all rooms, a frame for each room
 * and tick, the frames of one connection corked into one write. It shows the limit, and is no chat
 * server.
 *
 * Run as a script it listens on a free port; `PUT /tick?ms=5` sets the tick.
 */
import type { ServerWebSocket } from 'bun'
import { ServerProcess } from '../server.ts'

const BACKLOG_BYTES_MAX = 64 << 20
const FIRST_TICK_MS = 100

interface Room {
  id: string
  seq: number
  news: string[]
  readers: Connection[]
}

/** A connection, and the frames it gets with this tick. */
interface Mailbox {
  frames: string[]
}
type Connection = ServerWebSocket<Mailbox>

interface Request {
  id: number
  op: 'subscribe' | 'post'
  room: string
  text: string
}

class BareLoop {
  readonly #rooms = new Map<string, Room>()
  /** With news since the last tick. */
  readonly #talking: Room[] = []
  readonly #receivers: Connection[] = []
  #timer: Timer | undefined

  setTick(ms: number): void {
    clearInterval(this.#timer)
    this.#timer = setInterval(() => this.#tick(), ms)
  }

  receive(connection: Connection, frame: string): void {
    const { id, op, room: name, text } = JSON.parse(frame) as Request
    const room = this.#room(name)
    if (op === 'subscribe') {
      room.readers.push(connection)
      connection.send(
        `{"re":${id},"ok":{"timeline":"${name}","epoch":"e","head":${room.seq},"recovered":true}}`,
      )
      return
    }
    room.seq += 1
    if (room.news.length === 0) this.#talking.push(room)
    const at = new Date().toISOString()
    room.news.push(
      `{"seq":${room.seq},"type":"message","at":"${at}",` +
        `"from":{"id":"u0123456789abcdef","name":"bench"},"text":${JSON.stringify(text)}}`,
    )
    connection.send(`{"re":${id},"ok":{"timeline":"${name}","seq":${room.seq},"at":"${at}"}}`)
  }

  #room(id: string): Room {
    let room = this.#rooms.get(id)
    if (room === undefined) {
      room = { id, seq: 0, news: [], readers: [] }
      this.#rooms.set(id, room)
    }
    return room
  }

  #tick(): void {
    for (const room of this.#talking) {
      const frame = `{"timeline":"${room.id}","events":[${room.news.join(',')}]}`
      room.news.length = 0
      for (const reader of room.readers) {
        if (reader.data.frames.push(frame) === 1) this.#receivers.push(reader)
      }
    }
    this.#talking.length = 0
    for (const receiver of this.#receivers) {
      const { frames } = receiver.data
      if (frames.length === 1) receiver.sendText(frames[0]!)
      else
        receiver.cork(() => {
          for (const frame of frames) receiver.sendText(frame)
        })
      frames.length = 0
    }
    this.#receivers.length = 0
  }
}

function listen(): void {
  const loop = new BareLoop()
  loop.setTick(FIRST_TICK_MS)
  const server = Bun.serve<Mailbox>({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request, self) {
      const tickMs = new URL(request.url).searchParams.get('ms')
      if (tickMs !== null) loop.setTick(Number(tickMs))
      return self.upgrade(request, { data: { frames: [] } }) ? undefined : new Response('')
    },
    websocket: {
      perMessageDeflate: false,
      idleTimeout: 0,
      backpressureLimit: BACKLOG_BYTES_MAX,
      message: (connection, frame) => loop.receive(connection, frame as string),
    },
  })
  process.on('SIGTERM', () => process.exit(0))
  console.log(`listening on ${server.url.origin}`)
}

/** Rooms of the bare loop: ids as long as Parley's, that differ at their ends. */
export function bareRooms(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `r${String(i).padStart(16, '0')}`)
}

export async function setTick(server: ServerProcess, ms: number): Promise<void> {
  await fetch(`${server.url}/tick?ms=${ms}`, { method: 'PUT' })
}

export function startBareLoop(core: number | undefined): Promise<ServerProcess> {
  return ServerProcess.start({ script: 'bench/peers/bare-loop.ts', core })
}

if (import.meta.main) listen()
