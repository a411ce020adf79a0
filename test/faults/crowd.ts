/** Many who come back at once, each from a cursor of its own, by the rules. */
import type { Person } from '../harness.ts'
import { handshake, OPCODE, RawWebSocket, rawRequest } from '../raw.ts'

const WAIT_MS_MAX = 10_000
/** The longest that a server that is overrun may take for an answer, or for the next frame. */
const ANSWER_MS_MAX = 30_000

/** The numbers after `from`, up to `head`. */
export const upTo = (head: number, from = 0): number[] =>
  Array.from({ length: head - from }, (_, index) => from + index + 1)

/**
 * Comes back as a good client does, when it is told to; resolves with its WebSocket. Counts the
 * statuses that it met on the way.
 */
export async function comeBack(
  person: Person,
  path: string,
  statuses: Map<number, number>,
): Promise<RawWebSocket> {
  const { host } = new URL(person.url)
  const headers = { Host: host, Authorization: `Bearer ${person.token}` }
  for (;;) {
    const asked = await rawRequest(person.url, handshake(path, headers), ANSWER_MS_MAX)
    const { response, connection } = asked
    if (response === undefined) throw new Error('closed without an answer')
    statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1)
    if (response.status === 101) return RawWebSocket.over(connection)
    connection.cut()
    const waitMs = Number(response.headers.get('retry-after')) * 1_000
    if (!(waitMs > 0 && waitMs <= WAIT_MS_MAX))
      throw new Error(`${response.status} says to come back after ${waitMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, waitMs))
  }
}

/** The seqs of events, until there are so many. */
export async function seqsOf(socket: RawWebSocket, count: number): Promise<number[]> {
  const seqs: number[] = []
  while (seqs.length < count) {
    const frame = await socket.next(ANSWER_MS_MAX)
    if (frame === undefined) throw new Error(`closed after ${seqs.length} of ${count}`)
    if (frame.opcode !== OPCODE.text) continue
    for (const { seq } of JSON.parse(frame.payload.toString()).events ?? []) seqs.push(seq)
  }
  return seqs
}

/** The value of a metric, by its name and labels; 0 if it is not there yet. */
export async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const line = text.split('\n').find((one) => one.startsWith(`parley_${name}`))
  return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(' ') + 1))
}
