/**
 * The queue of connections that the kernel has accepted and we have not. Bun 1.4.5 asks for 512.
 * A connection that finds it full is tried again by its kernel a second later: too late when ten
 * thousand come back at once. Listening again on the same socket gives it a longer queue
 * (listen(2)); the system's own limit (`net.core.somaxconn`) still holds.
 */
import { dlopen, FFIType, ptr } from 'bun:ffi'
import { readdirSync, readlinkSync } from 'node:fs'

/** Linux's own default limit since 5.4. */
const BACKLOG = 4_096
const SOL_SOCKET = 1
const SO_ACCEPTCONN = 30

/**
 * Lengthens the queues of all sockets this process listens on. Returns how many there are: 0
 * elsewhere than on Linux, or where the C library cannot be reached; then the queues stay as short
 * as they were.
 */
export function lengthenListenQueues(): number {
  if (process.platform !== 'linux') return 0
  try {
    return openSockets().filter(lengthen).length
  } catch {
    return 0
  }
}

function openSockets(): number[] {
  return readdirSync('/proc/self/fd').map(Number).filter(isSocket)
}

function isSocket(file: number): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${file}`).startsWith('socket:')
  } catch {
    // The one that the folder itself was read through is closed by now.
    return false
  }
}

function lengthen(socket: number): boolean {
  const { listen, getsockopt } = libc().symbols
  const accepts = new Int32Array(1)
  const size = new Uint32Array([accepts.byteLength])
  getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, ptr(accepts), ptr(size))
  return accepts[0] === 1 && listen(socket, BACKLOG) === 0
}

let opened: ReturnType<typeof open> | undefined

function libc() {
  opened ??= open()
  return opened
}

function open() {
  const { i32, ptr: pointer } = FFIType
  return dlopen('libc.so.6', {
    listen: { args: [i32, i32], returns: i32 },
    getsockopt: { args: [i32, i32, i32, pointer, pointer], returns: i32 },
  })
}
