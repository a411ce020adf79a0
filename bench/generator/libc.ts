/**
 * The system calls of the generator, straight from libc. The runtime's own sockets make an object
 * and a copy of every chunk, which at a hundred thousand chunks a second would make the generator
 * slower than the server it is to load. Linux only.
 */
import { dlopen, FFIType, type Pointer, ptr, read } from 'bun:ffi'

const { i32, u64 } = FFIType
const pointer = FFIType.ptr

/** Sizes and results are narrower than libc's own: no call here moves more than 2 GiB. */
function openLibc() {
  return dlopen('libc.so.6', {
    socket: { args: [i32, i32, i32], returns: i32 },
    bind: { args: [i32, pointer, i32], returns: i32 },
    connect: { args: [i32, pointer, i32], returns: i32 },
    setsockopt: { args: [i32, i32, i32, pointer, i32], returns: i32 },
    getsockopt: { args: [i32, i32, i32, pointer, pointer], returns: i32 },
    recv: { args: [i32, pointer, u64, i32], returns: i32 },
    send: { args: [i32, pointer, u64, i32], returns: i32 },
    close: { args: [i32], returns: i32 },
    epoll_create1: { args: [i32], returns: i32 },
    epoll_ctl: { args: [i32, i32, i32, pointer], returns: i32 },
    epoll_wait: { args: [i32, pointer, i32, i32], returns: i32 },
    __errno_location: { args: [], returns: pointer },
  }).symbols
}

/** Elsewhere nothing is there to call; what only cuts and encodes can be loaded all the same. */
export const libc = process.platform === 'linux' ? openLibc() : ({} as ReturnType<typeof openLibc>)

const AF_INET = 2
const SOCK_STREAM = 1
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const IPPROTO_IP = 0
const IPPROTO_TCP = 6
const SOL_SOCKET = 1
const SO_ERROR = 4
const SO_LINGER = 13
const TCP_NODELAY = 1
const IP_BIND_ADDRESS_NO_PORT = 24
export const MSG_NOSIGNAL = 0x4000

const EINTR = 4
const EAGAIN = 11
const EINPROGRESS = 115

/** Of the call before; nothing else of ours may stand between. */
export function errno(): number {
  return read.i32(libc.__errno_location() as Pointer)
}

/** True if the call before failed only because it would have had to wait. */
export function wouldWait(): boolean {
  const code = errno()
  return code === EAGAIN || code === EINTR
}

/** Throws what a person can act on if a call failed. */
function must(result: number, what: string): number {
  if (result >= 0) return result
  const code = errno()
  const hint = code === 24 ? ': raise the limit of open files (ulimit -n)' : ''
  throw new Error(`${what} failed with error ${code} of the system${hint}`)
}

/** `sockaddr_in`; the port and the address are in the network's order. */
function socketAddress(address: string, port: number): Uint8Array {
  const bytes = new Uint8Array(16)
  new DataView(bytes.buffer).setUint16(0, AF_INET, true)
  new DataView(bytes.buffer).setUint16(2, port)
  bytes.set(address.split('.').map(Number), 4)
  return bytes
}

const on = new Int32Array([1])
/** On, 0 s: closing sends a reset, so that ten thousand connections leave no ports behind. */
const lingerNot = new Int32Array([1, 0])
const result = new Int32Array(1)
const resultLength = new Int32Array([4])

/**
 * Begins to connect to `port` of 127.0.0.1 from `source`, any address of 127.0.0.0/8: each has its
 * own ports. Returns the file; it is writable once connected or refused.
 */
export function connectFrom(source: string, port: number): number {
  const file = must(libc.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), 'socket')
  const set = (level: number, option: number, value: Int32Array) =>
    libc.setsockopt(file, level, option, ptr(value), value.byteLength)
  set(IPPROTO_TCP, TCP_NODELAY, on)
  set(SOL_SOCKET, SO_LINGER, lingerNot)
  set(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, on)
  const from = socketAddress(source, 0)
  must(libc.bind(file, ptr(from), from.length), `bind to ${source}`)
  const to = socketAddress('127.0.0.1', port)
  if (libc.connect(file, ptr(to), to.length) < 0 && errno() !== EINPROGRESS) must(-1, 'connect')
  return file
}

/** What became of a connection that was begun: 0, or the system's error. */
export function socketError(file: number): number {
  libc.getsockopt(file, SOL_SOCKET, SO_ERROR, ptr(result), ptr(resultLength))
  return result[0]!
}
