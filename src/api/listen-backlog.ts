/**
 * The queue of connections that the kernel has accepted and we have not. Bun 1.4.5 asks for 512.
 * A connection that finds it full is tried again by its kernel a second later: too late when ten
 * thousand come back at once. Listening again on the same socket gives it a longer queue; the
 * system's own limit (`net.core.somaxconn`) still holds.
 */
import { readdirSync } from 'node:fs'
import { socketFiles } from './socket-files.ts'

/** Linux's own default limit since 5.4. */
const BACKLOG = 4_096

/**
 * Lengthens the queues of all sockets this process listens on. Returns how many there are: 0 where
 * the kernel cannot be asked; then the queues stay as short as they were.
 */
export function lengthenListenQueues(): number {
  const files = socketFiles()
  if (files === undefined) return 0
  return openFiles().filter((file) => files.isListening(file) && files.listen(file, BACKLOG)).length
}

/** None where `/proc` may not be read: shorter queues are no reason not to start. */
function openFiles(): number[] {
  try {
    return readdirSync('/proc/self/fd').map(Number)
  } catch {
    return []
  }
}
