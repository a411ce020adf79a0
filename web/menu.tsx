/** One's own menu: sign-ins, theme, notifications, the way out. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { sentence } from './faults.ts'
import { allowNotifications, canNotify } from './notify.ts'
import { SESSIONS_HREF } from './places.ts'
import type { Signed } from './signed.ts'
import { currentTheme, setTheme, THEMES, type Theme } from './theme.ts'

export function AccountMenu({ app }: { app: Signed }) {
  const [open, setOpen] = useState(false)
  const menu = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (!open) return
    const close = ({ target }: Event) => menu.current?.contains(target as Node) || setOpen(false)
    addEventListener('pointerdown', close)
    return () => removeEventListener('pointerdown', close)
  }, [open])
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape in any of its controls closes it
    <div
      class="account"
      ref={menu}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || !open) return
        setOpen(false)
        menu.current?.querySelector('button')?.focus()
      }}
    >
      <button
        type="button"
        class="me"
        aria-label={`Account ${app.me.name}`}
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        <bdi>{app.me.name}</bdi>
        <span aria-hidden="true">{open ? '▾' : '▴'}</span>
      </button>
      {open && <Choices app={app} onDone={() => setOpen(false)} />}
    </div>
  )
}

function Choices({ app, onDone }: { app: Signed; onDone: () => void }) {
  const [theme, choose] = useState(currentTheme())
  const [fault, setFault] = useState<string>()
  const unsent = app.client.outbox.posts().filter(({ state }) => state === 'sending').length
  return (
    <div class="choices">
      <a href={SESSIONS_HREF} onClick={onDone}>
        Sessions
      </a>
      <label>
        Theme
        <select
          value={theme}
          onChange={(event) => {
            const chosen = event.currentTarget.value as Theme
            setTheme(chosen)
            choose(chosen)
          }}
        >
          {THEMES.map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </select>
      </label>
      {canNotify && <Notifications app={app} />}
      <a href="/docs">API</a>
      {unsent > 0 && <p class="hint">{unsent} of your messages are not sent yet.</p>}
      {fault !== undefined && <p role="alert">{fault}</p>}
      <button
        type="button"
        onClick={() => app.signOut().catch((error) => setFault(sentence(error)))}
      >
        Sign out
      </button>
    </div>
  )
}

function Notifications({ app }: { app: Signed }) {
  const [on, setOn] = useState(app.kept.notifies && Notification.permission === 'granted')
  const [refused, setRefused] = useState(false)
  return (
    <label title="For direct messages, while you look elsewhere.">
      Notifications
      <input
        type="checkbox"
        checked={on}
        onChange={async (event) => {
          const wanted = event.currentTarget.checked
          const allowed = wanted && (await allowNotifications())
          app.kept.notifies = allowed
          setOn(allowed)
          setRefused(wanted && !allowed)
        }}
      />
      {refused && <small>Your browser does not allow them for this page.</small>}
    </label>
  )
}
