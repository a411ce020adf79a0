/** The whole page: who is asking, and then what they see. */
import { useEffect, useState } from 'preact/hooks'
import type { Parley } from '../client'
import { parseRoute, type Route } from './places.ts'
import { Shell } from './shell.tsx'
import { SignIn } from './sign-in.tsx'
import { type Off, useChanges } from './signal.ts'
import { type Signed, signed } from './signed.ts'

type Who = 'asking' | 'unreachable' | 'nobody' | Signed

export function App({ client }: { client: Parley }) {
  const [who, setWho] = useState<Who>('asking')
  const [notice, setNotice] = useState<string>()
  const route = useRoute()

  const ask = () => {
    setWho('asking')
    client.resume().then(
      (me) => setWho(me === undefined ? 'nobody' : signed(client, me)),
      () => setWho('unreachable'),
    )
  }
  useEffect(ask, [])
  useEffect(() => {
    if (typeof who === 'string') return
    who.conversations.start()
    const off = client.onStatus(({ state }) => {
      if (state !== 'signed-out') return
      setNotice('Your session has ended. Sign in to go on.')
      setWho('nobody')
    })
    return () => {
      off()
      who.conversations.stop()
    }
  }, [who])

  if (who === 'asking') return <Asking />
  if (who === 'unreachable') return <Unreachable onRetry={ask} />
  if (who === 'nobody')
    return (
      <SignIn client={client} notice={notice} onSignedIn={(me) => setWho(signed(client, me))} />
    )
  const signOut = async () => {
    await client.signOut()
    who.kept.forget()
    setNotice(undefined)
    setWho('nobody')
  }
  return <Shell app={{ ...who, signOut }} route={route} />
}

function Asking() {
  return (
    <main class="asking">
      <h1 class="brand">Parley</h1>
    </main>
  )
}

function Unreachable({ onRetry }: { onRetry: () => void }) {
  return (
    <main class="asking">
      <p role="alert">The server cannot be reached.</p>
      <button type="button" class="primary" onClick={onRetry}>
        Try again
      </button>
    </main>
  )
}

function useRoute(): Route {
  useChanges(addressBar)
  return parseRoute(location.hash)
}

const addressBar = {
  onChange(listener: () => void): Off {
    addEventListener('hashchange', listener)
    return () => removeEventListener('hashchange', listener)
  },
}
