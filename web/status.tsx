/** The truth about the connection, always in sight. */
import { useEffect, useReducer } from 'preact/hooks'
import type { Parley, Status } from '../client'
import { useChanges } from './signal.ts'

const SECOND_MS = 1_000

export function StatusLine({ client }: { client: Parley }) {
  const [, render] = useReducer((count: number) => count + 1, 0)
  const status = useStatus(client)
  useChanges(client.outbox)
  const waiting = client.outbox.posts().filter(({ state }) => state === 'sending').length
  const counting = status.state === 'offline'
  useEffect(() => {
    if (!counting) return
    const timer = setInterval(() => render(undefined), SECOND_MS)
    return () => clearInterval(timer)
  }, [counting])
  return (
    <div class="status">
      <span role="status" data-state={status.state} title={hint(status)}>
        {words(status, waiting)}
      </span>
      {counting && (
        <button type="button" onClick={() => client.reconnect()}>
          Try now
        </button>
      )}
    </div>
  )
}

/** Renders the component again whenever it changes. */
export function useStatus(client: Parley): Status {
  const [, render] = useReducer((count: number) => count + 1, 0)
  useEffect(() => client.onStatus(() => render(undefined)), [client])
  return client.status
}

function words(status: Status, waiting: number): string {
  switch (status.state) {
    case 'live':
    case 'idle':
      return 'Live'
    case 'catching-up':
      return 'Catching up'
    case 'signed-out':
      return 'Signed out'
    case 'offline': {
      const unsent = waiting === 0 ? '' : `, ${waiting} unsent`
      return `Offline${unsent}`
    }
  }
}

function hint(status: Status): string {
  if (status.state === 'live') return 'You see everything as it is said.'
  if (status.state !== 'offline') return ''
  const seconds = Math.max(0, Math.ceil((status.retryAt - Date.now()) / SECOND_MS))
  return `Trying again in ${seconds} s. What you write is kept and sent then.`
}
