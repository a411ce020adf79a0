/**
 * A connection of the generator's. What comes in goes into one static buffer and is handed on from
 * there; only an incomplete message is kept, and its rest is then received right behind it.
 */
import { type Pointer, ptr } from 'bun:ffi'
import { connectFrom, errno, libc, MSG_NOSIGNAL, socketError, wouldWait } from './libc.ts'
import type { Loop, Watcher } from './loop.ts'

/** Small enough to stay in the core's own cache, large enough for a few frames of a flush. */
const RECEIVE_BYTES = 128 * 1_024
/** What may wait for one connection's kernel buffer: past it the server has stopped reading. */
const BACKLOG_BYTES_MAX = 4 << 20
/** Past it, a server that sends such a message is at fault. */
const MESSAGE_BYTES_MAX = 64 << 20
const SMALLEST_POWER = 9

export interface TcpHandler {
  connected(): void
  /**
   * The bytes from 0 to `length`; valid only during the call. Returns how many were whole messages;
   * the rest comes again with what follows. `need` is then the length of the message that begins
   * there, as far as it is known.
   */
  received(bytes: Buffer, length: number): number
  readonly need: number
  /** It ended, and not by `close`. */
  lost(why: string): void
}

interface Block {
  bytes: Buffer
  at: Pointer
}

/**
 * On an ArrayBuffer of its own: the runtime keeps the bytes of a small array beside the object, and
 * moves them once somebody asks for their buffer, which would leave the address behind.
 */
function block(size: number): Block {
  const bytes = Buffer.from(new ArrayBuffer(size))
  return { bytes, at: ptr(bytes) }
}

const receive = block(RECEIVE_BYTES)

/** Buffers for incomplete messages, by the power of two that is their size. */
const spare: Block[][] = []

function takeBlock(size: number): Block {
  const power = Math.max(SMALLEST_POWER, 32 - Math.clz32(size - 1))
  return spare[power]?.pop() ?? block(2 ** power)
}

function giveBack(one: Block): void {
  const power = 31 - Math.clz32(one.bytes.length)
  spare[power] ??= []
  spare[power].push(one)
}

/** What all connections have received so far. */
export const received = { bytes: 0 }

export class Tcp implements Watcher {
  readonly #loop: Loop
  readonly #handler: TcpHandler
  #file: number
  #connecting = true
  /** An incomplete message, `#kept` bytes of it, of `#need`. */
  #rest: Block | undefined
  #kept = 0
  #need = 0
  #backlog: Buffer | undefined

  constructor(loop: Loop, source: string, port: number, handler: TcpHandler) {
    this.#loop = loop
    this.#handler = handler
    this.#file = connectFrom(source, port)
    loop.watch(this.#file, this, true)
  }

  get isOpen(): boolean {
    return this.#file >= 0
  }

  /** Copies what the kernel does not take at once. */
  send(bytes: Uint8Array): void {
    if (this.#file < 0) return
    let sent = 0
    if (this.#backlog === undefined && !this.#connecting) {
      sent = libc.send(this.#file, ptr(bytes), bytes.length, MSG_NOSIGNAL)
      if (sent === bytes.length) return
      if (sent < 0 && !wouldWait()) return this.#fail(`sending failed with error ${errno()}`)
      sent = Math.max(0, sent)
      this.#loop.rewatch(this.#file, true)
    }
    const left = bytes.subarray(sent)
    this.#backlog = this.#backlog ? Buffer.concat([this.#backlog, left]) : Buffer.from(left)
    if (this.#backlog.length > BACKLOG_BYTES_MAX) this.#fail('the server does not read any more')
  }

  /** Cuts it. Nothing more is told of it. */
  close(): void {
    if (this.#file < 0) return
    this.#loop.unwatch(this.#file)
    libc.close(this.#file)
    this.#file = -1
    if (this.#rest !== undefined) giveBack(this.#rest)
    this.#rest = undefined
    this.#backlog = undefined
  }

  writable(): void {
    if (this.#file < 0) return
    if (this.#connecting) {
      const error = socketError(this.#file)
      if (error !== 0) return this.#fail(`connecting failed with error ${error} of the system`)
      this.#connecting = false
      this.#loop.rewatch(this.#file, false)
      this.#handler.connected()
    }
    const backlog = this.#backlog
    if (backlog === undefined) return
    this.#backlog = undefined
    this.send(backlog)
    if (this.#file >= 0 && this.#backlog === undefined) this.#loop.rewatch(this.#file, false)
  }

  readable(): void {
    if (this.#file < 0 || this.#connecting) return
    const rest = this.#rest
    const into = rest ?? receive
    const max = rest === undefined ? RECEIVE_BYTES : this.#room(rest)
    const at = (into.at + this.#kept) as Pointer
    const count = libc.recv(this.#file, at, max, 0)
    if (count <= 0) {
      if (count < 0 && wouldWait()) return
      return this.#fail(count === 0 ? 'the server closed it' : `error ${errno()} of the system`)
    }
    received.bytes += count
    this.#kept += count
    if (rest !== undefined && this.#kept < this.#need) return
    this.#handOn(into.bytes, this.#kept)
    if (rest !== undefined && this.#file >= 0) giveBack(rest)
  }

  /** As much as the message lacks; without a known length, what the buffer holds. */
  #room(rest: Block): number {
    return this.#need > this.#kept ? this.#need - this.#kept : rest.bytes.length - this.#kept
  }

  #handOn(bytes: Buffer, length: number): void {
    let used: number
    try {
      used = this.#handler.received(bytes, length)
    } catch (error) {
      return this.#fail((error as Error).message)
    }
    if (this.#file < 0) return
    this.#rest = undefined
    this.#kept = length - used
    if (this.#kept === 0) return
    this.#need = this.#handler.need
    if (this.#need > MESSAGE_BYTES_MAX) return this.#fail(`a message of ${this.#need} bytes`)
    // Twice as much as is there, where the length is not known: it then has room to grow.
    this.#rest = takeBlock(Math.max(this.#need, this.#kept * 2))
    bytes.copy(this.#rest.bytes, 0, used, length)
  }

  #fail(why: string): void {
    this.close()
    this.#handler.lost(why)
  }
}
