/** My sign-ins: where I am signed in, and ending one of them. */
import { useEffect, useState } from 'preact/hooks'
import type { Session } from '../client'
import { Back } from './back.tsx'
import { sentence } from './faults.ts'
import type { Signed } from './signed.ts'
import { exactly, roughly } from './times.ts'

export function SessionsPage({ app }: { app: Signed }) {
  const [sessions, setSessions] = useState<Session[]>()
  const [fault, setFault] = useState<string>()
  const failed = (error: unknown) => setFault(sentence(error))
  const load = () => app.client.listSessions().then(setSessions, failed)
  useEffect(() => void load(), [])

  const end = async (session: Session) => {
    setFault(undefined)
    try {
      if (session.current) await app.signOut()
      else await app.client.endSession(session.id)
    } catch (error) {
      return failed(error)
    }
    if (!session.current) await load()
  }
  return (
    <main class="sessions">
      <header class="bar">
        <Back />
        <h1>Sessions</h1>
      </header>
      <div class="sheet">
        <p>
          Wherever you are signed in. Ending a session closes its page within a second; do so for
          any that you do not know.
        </p>
        {fault !== undefined && <p role="alert">{fault}</p>}
        <ul>
          {sessions?.map((session) => (
            <li key={session.id}>
              <div>
                <strong>{agentName(session.userAgent)}</strong>
                {session.current && <em> This one</em>}
                <small title={exactly(session.lastUsedAt)}>
                  Last used {roughly(session.lastUsedAt)}, signed in {roughly(session.createdAt)}
                </small>
              </div>
              <button type="button" class="quiet" onClick={() => end(session)}>
                End
              </button>
            </li>
          ))}
        </ul>
      </div>
    </main>
  )
}

/** “Firefox on Linux”, or what a program calls itself. */
function agentName(userAgent: string): string {
  const find = (names: [name: string, sign: RegExp][]) =>
    names.find(([, sign]) => sign.test(userAgent))?.[0]
  const browser = find([
    ['Edge', /Edg\//],
    ['Firefox', /Firefox\//],
    ['Chrome', /Chrome\//],
    ['Safari', /Safari\//],
  ])
  const system = find([
    ['Android', /Android/],
    ['iPhone', /iPhone/],
    ['iPad', /iPad/],
    ['Windows', /Windows/],
    ['macOS', /Mac OS X/],
    ['Linux', /Linux/],
  ])
  if (browser === undefined) return userAgent.slice(0, 60) || 'A program without a name'
  return system === undefined ? browser : `${browser} on ${system}`
}
