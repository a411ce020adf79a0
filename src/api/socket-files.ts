/**
 * What the kernel knows and can do about a socket, by the number of its file: the runtime shows us
 * neither. Linux with glibc or a compatible library only; elsewhere `socketFiles` is undefined.
 */
import { dlopen, FFIType, ptr } from 'bun:ffi'

const SOL_SOCKET = 1
const SO_ACCEPTCONN = 30
const SOL_TCP = 6
const TCP_INFO = 11
/** Of `tcpi_bytes_received` in `struct tcp_info`, `linux/tcp.h`; there since Linux 4.1. */
const RECEIVED_AT = 128
const FIONREAD = 0x541b
const AF_INET = 2
const AF_INET6 = 10

export interface Address {
  address: string
  port: number
}

export type SocketFiles = NonNullable<ReturnType<typeof open>>

let opened: { files: ReturnType<typeof open> } | undefined

/** Undefined elsewhere than on Linux, or where the C library cannot be reached. */
export function socketFiles(): SocketFiles | undefined {
  opened ??= { files: open() }
  return opened.files
}

function open() {
  if (process.platform !== 'linux') return undefined
  try {
    return functionsOf(load())
  } catch {
    return undefined
  }
}

function load() {
  const { i32, u64, ptr: pointer } = FFIType
  return dlopen('libc.so.6', {
    listen: { args: [i32, i32], returns: i32 },
    getsockopt: { args: [i32, i32, i32, pointer, pointer], returns: i32 },
    getpeername: { args: [i32, pointer, pointer], returns: i32 },
    ioctl: { args: [i32, u64, pointer], returns: i32 },
  }).symbols
}

function functionsOf({ listen, getsockopt, getpeername, ioctl }: ReturnType<typeof load>) {
  // Made with their buffers, which stay where they are: one of a small array's own would move.
  const bytes = new DataView(new ArrayBuffer(256))
  const length = new Uint32Array(new ArrayBuffer(4))
  const [bytesAt, lengthAt] = [ptr(bytes), ptr(length)]

  function readOption(file: number, level: number, option: number): boolean {
    length[0] = bytes.byteLength
    return getsockopt(file, level, option, bytesAt, lengthAt) === 0
  }

  return {
    /** Whether connections are accepted on it. */
    isListening: (file: number) =>
      readOption(file, SOL_SOCKET, SO_ACCEPTCONN) && bytes.getInt32(0, true) === 1,

    /** Accepts, with a queue of so many, or changes the queue's length (listen(2)). */
    listen: (file: number, backlog: number) => listen(file, backlog) === 0,

    /** All bytes that have come since it was opened, read or not; undefined if it is none. */
    receivedBytes(file: number): number | undefined {
      if (!readOption(file, SOL_TCP, TCP_INFO)) return undefined
      if (length[0]! < RECEIVED_AT + 8) return undefined
      return bytes.getUint32(RECEIVED_AT, true) + bytes.getUint32(RECEIVED_AT + 4, true) * 2 ** 32
    },

    /** Bytes that have come and nobody has read yet. */
    unreadBytes: (file: number) =>
      ioctl(file, FIONREAD, bytesAt) === 0 ? bytes.getInt32(0, true) : 0,

    /** Whether this is at its other end; some 1 µs if the port is another one. */
    hasPeer(file: number, { address, port }: Address): boolean {
      length[0] = bytes.byteLength
      if (getpeername(file, bytesAt, lengthAt) !== 0 || bytes.getUint16(2) !== port) return false
      const family = bytes.getUint16(0, true)
      if (family === AF_INET) return ipv4(bytes, 4) === withoutPrefix(address)
      return family === AF_INET6 && ipv6(bytes, 8) === canonical(address)
    },
  }
}

function ipv4(bytes: DataView, at: number): string {
  return [0, 1, 2, 3].map((i) => bytes.getUint8(at + i)).join('.')
}

function ipv6(bytes: DataView, at: number): string {
  return canonical(
    [0, 2, 4, 6, 8, 10, 12, 14].map((i) => bytes.getUint16(at + i).toString(16)).join(':'),
  )
}

/** Of the many ways to write an address, the one that a URL has. */
function canonical(address: string): string {
  return address.includes(':')
    ? new URL(`http://[${address.split('%')[0]}]`).hostname
    : canonical(`::ffff:${address}`)
}

/** An IPv4 address may be told as IPv6 does. */
function withoutPrefix(address: string): string {
  return address.replace(/^::ffff:/i, '')
}
