/** What someone signed in sees: conversations at the side, one of them open. */
import { useEffect, useState } from 'preact/hooks'
import { hrefOf, keyOf, placeOf, type Route } from './places.ts'
import { SessionsPage } from './sessions.tsx'
import { Sidebar } from './sidebar.tsx'
import type { Signed } from './signed.ts'
import { StatusLine } from './status.tsx'
import { Switcher } from './switcher.tsx'
import { Talk } from './talk/talk.tsx'

export function Shell({ app, route }: { app: Signed; route: Route }) {
  const [switching, setSwitching] = useState(false)
  useShortcut(() => setSwitching(true))
  useEffect(() => {
    // Back where one was, unless the address says otherwise. On a phone the list comes first.
    const last = app.kept.lastPlace
    const wide = matchMedia('(min-width: 720px)').matches
    if (route.page === 'home' && last !== undefined && wide)
      history.replaceState(null, '', hrefOf(placeOf(last)))
    dispatchEvent(new Event('hashchange'))
  }, [])
  return (
    <div class="shell" data-page={route.page}>
      <StatusLine client={app.client} />
      <Sidebar app={app} route={route} onSwitch={() => setSwitching(true)} />
      <Page app={app} route={route} />
      {switching && <Switcher app={app} onClose={() => setSwitching(false)} />}
    </div>
  )
}

function Page({ app, route }: { app: Signed; route: Route }) {
  switch (route.page) {
    case 'talk':
      return <Talk key={keyOf(route.place)} app={app} place={route.place} seq={route.seq} />
    case 'sessions':
      return <SessionsPage app={app} />
    default:
      return <Welcome name={app.me.name} />
  }
}

function Welcome({ name }: { name: string }) {
  return (
    <main class="welcome">
      <h1>Good to see you, {name}.</h1>
      <p>
        Choose a room, or open a new one. To write to one person, search for their name:{' '}
        <kbd>Ctrl</kbd> <kbd>K</kbd> goes anywhere.
      </p>
      <p>
        Everything here can be done by program, too: <a href="/docs">the API</a>.
      </p>
    </main>
  )
}

/** Ctrl-K, or ⌘-K. */
function useShortcut(open: () => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== 'k' || !(event.ctrlKey || event.metaKey)) return
      event.preventDefault()
      open()
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [])
}
