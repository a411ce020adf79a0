/**
 * The four ways to follow a timeline, as a stranger would write them from the protocol's page:
 * nothing of the server's own code is used, for that is what is on trial.
 */
import type { Logged } from './history.ts'
import type { Spot } from './journal.ts'

export const transports = ['websocket', 'sse', 'ndjson', 'long-poll'] as const
export type Transport = (typeof transports)[number]

/** An event as the protocol has it: a message, or an entry of an inbox with the message in it. */
export interface Received {
  seq: number
  at?: string
  from?: { id: string; name: string }
  text?: string
  message?: Received
}

/** What the checker is told of it. */
export function loggedOf({ seq, message, ...event }: Received): Logged {
  const { at, from, text } = message ?? event
  const logged = { seq, text: text!, stamp: `${from?.name} (${from?.id}) at ${at}` }
  return message === undefined ? logged : { ...logged, inner: message.seq }
}

/** A subscription: it calls back until it ends, for whatever reason. */
export interface Following {
  ended: Promise<void>
  cut(): void
}

export interface Subscriber {
  url: string
  token: string
  spot: Spot
  after: number
  onEvent: (event: Logged) => void
}

const WAIT_S = 5

export function follow(transport: Transport, subscriber: Subscriber): Following {
  if (transport === 'websocket') return followSocket(subscriber)
  const abort = new AbortController()
  const following =
    transport === 'long-poll'
      ? poll(subscriber, abort.signal)
      : followStream(transport, subscriber, abort.signal)
  return { ended: following.catch(() => {}), cut: () => abort.abort() }
}

function followSocket({ url, token, spot, after, onEvent }: Subscriber): Following {
  const socket = openSocket(url, token, (frame) => {
    for (const event of (frame.events as Received[] | undefined) ?? []) onEvent(loggedOf(event))
  })
  socket.send({ id: 2, op: 'subscribe', ...spot.frame, after })
  return { ended: socket.closed, cut: socket.cut }
}

export interface OpenSocket {
  /** Sent once the socket is open; what comes too late is dropped. */
  send(frame: object): void
  closed: Promise<void>
  cut(): void
}

/** A WebSocket that signs in by its first frame. */
export function openSocket(
  url: string,
  token: string,
  onFrame: (frame: Record<string, unknown>) => void,
): OpenSocket {
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws`)
  const waiting: object[] = [{ id: 1, op: 'auth', token }]
  const send = (frame: object) => socket.send(JSON.stringify(frame))
  socket.onopen = () => {
    for (const frame of waiting.splice(0)) send(frame)
  }
  socket.onmessage = ({ data }) => onFrame(JSON.parse(String(data)))
  const closed = new Promise<void>((resolve) => {
    socket.onclose = () => resolve()
    socket.onerror = () => resolve()
  })
  return {
    send: (frame) => (socket.readyState === WebSocket.OPEN ? send(frame) : waiting.push(frame)),
    closed,
    cut: () => socket.close(),
  }
}

async function followStream(
  transport: 'sse' | 'ndjson',
  { url, token, spot, after, onEvent }: Subscriber,
  signal: AbortSignal,
): Promise<void> {
  const accept = transport === 'sse' ? 'text/event-stream' : 'application/x-ndjson'
  const headers = { authorization: `Bearer ${token}`, accept }
  const response = await fetch(`${url}${spot.path}/subscribe?after=${after}`, { headers, signal })
  if (!response.ok) throw new Error(`${response.status}`)
  const eventOf = transport === 'sse' ? /^data: (.*)$/ : /^ *(\{.*)$/
  let rest = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body!) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop()!
    for (const line of lines) {
      const json = eventOf.exec(line)?.[1]
      if (json !== undefined) onEvent(loggedOf(JSON.parse(json)))
    }
  }
}

async function poll(subscriber: Subscriber, signal: AbortSignal): Promise<void> {
  const { url, token, spot, onEvent } = subscriber
  let { after } = subscriber
  while (!signal.aborted) {
    const response = await fetch(`${url}${spot.path}/messages?after=${after}&wait=${WAIT_S}`, {
      headers: { authorization: `Bearer ${token}` },
      signal,
    })
    if (!response.ok) throw new Error(`${response.status}`)
    for (const event of (await response.json()) as Received[]) {
      onEvent(loggedOf(event))
      after = event.seq
    }
  }
}
