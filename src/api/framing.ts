/**
 * Whoever sends frames that never become a message is let go. The runtime shows us whole messages
 * only: sixty thousand fragments of one byte, or empty ones without end, are nothing that we would
 * notice. The kernel counts the bytes that came; what is more than the messages account for went
 * into frames.
 *
 *   1. When a socket opens, its file is found by the address at its other end. What has come until
 *      then belongs to the handshake.
 *   2. Each message is counted as the most bytes that it may have had in one frame.
 *   3. Every few seconds each socket's bytes are compared with its count. A little is forgiven; the
 *      rest adds up. What the kernel still holds is no fault of the peer.
 *   4. More than one message that is under way, and `FRAMING_BYTES_MAX`: it has sent too many
 *      frames.
 *
 * Where the kernel cannot be asked nobody is let go; then only the size of a message is a limit.
 */
import { type Address, type SocketFiles, socketFiles } from './socket-files.ts'

/** All frames around messages that are tolerated, beside what is forgiven, in bytes. */
export const FRAMING_BYTES_MAX = 2 ** 16
/** Forgiven with each look: more than a thousand fragments. */
export const FRAMING_BYTES_FORGIVEN = 2 ** 13
/** Looks in the time of a heartbeat: five seconds apart by default. */
const LOOKS_A_BEAT = 4
/** One look is spread over so many turns. */
const TURNS = 10
/** Standard input, output and errors are no sockets. */
const FIRST_FILE = 3
/** Files that are asked for their peer before a socket is given up: it is not looked at then. */
const TRIES_MAX = 1_024
const HEADER_BYTES_MAX = 14
/** The most bytes of UTF-8 for one unit of UTF-16. */
const BYTES_A_UNIT_MAX = 3
const CONTROL_BYTES_MAX = 125

/** The most bytes of a frame with this text. */
export function frameBytesOf(text: string): number {
  return text.length * BYTES_A_UNIT_MAX + HEADER_BYTES_MAX
}

/** The most bytes of a ping or a pong. */
export const CONTROL_FRAME_BYTES = CONTROL_BYTES_MAX + HEADER_BYTES_MAX

export interface Framed {
  /** Bytes that its handshake and its messages account for. */
  framedBytes: number
  /** It sent too many frames. */
  overframed(): void
}

export class Framing<Socket extends Framed> {
  readonly #files: SocketFiles | undefined
  readonly #wasteBytesMax: number
  /** By the number of their file. */
  readonly #sockets: (Socket | undefined)[] = []
  readonly #timer: ReturnType<typeof setInterval>
  /** No file below it is likely to become a socket of ours next. */
  #next = FIRST_FILE
  #turn = 0

  constructor(options: { frameBytesMax: number; heartbeatMs: number; files?: SocketFiles }) {
    this.#files = options.files ?? socketFiles()
    this.#wasteBytesMax = options.frameBytesMax + FRAMING_BYTES_MAX
    const turnMs = options.heartbeatMs / LOOKS_A_BEAT / TURNS
    this.#timer = setInterval(() => this.#lookAtSome(), turnMs)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Returns the number of its file, for `remove`; undefined if it is not found. */
  add(socket: Socket, peer: Address): number | undefined {
    const files = this.#files
    const file = files && this.#find(files, peer)
    if (file === undefined) return undefined
    this.#next = file + 1
    this.#sockets[file] = socket
    socket.framedBytes = files!.receivedBytes(file) ?? Number.POSITIVE_INFINITY
    return file
  }

  remove(file: number): void {
    this.#sockets[file] = undefined
    this.#next = Math.min(this.#next, file)
  }

  /**
   * A new file gets the lowest number that is free. So it is mostly the next one; if not, files
   * have been closed that we know nothing of.
   */
  #find(files: SocketFiles, peer: Address): number | undefined {
    let tries = 0
    for (const from of [this.#next, FIRST_FILE])
      for (let file = from; tries < TRIES_MAX; file++) {
        if (this.#sockets[file] !== undefined) continue
        if (files.hasPeer(file, peer)) return file
        tries += 1
        if (from !== FIRST_FILE && tries > TRIES_MAX / 2) break
      }
    return undefined
  }

  #lookAtSome(): void {
    this.#turn = (this.#turn + 1) % TURNS
    for (let file = this.#turn; file < this.#sockets.length; file += TURNS) {
      const socket = this.#sockets[file]
      if (socket !== undefined) this.#look(file, socket)
    }
  }

  #look(file: number, socket: Socket): void {
    const received = this.#files!.receivedBytes(file) ?? 0
    const waste = received - socket.framedBytes
    // If it is less than nothing, messages were smaller than they were counted.
    socket.framedBytes += Math.min(waste, FRAMING_BYTES_FORGIVEN)
    if (waste <= this.#wasteBytesMax) return
    if (waste - this.#files!.unreadBytes(file) > this.#wasteBytesMax) socket.overframed()
  }
}
