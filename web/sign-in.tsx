/** Signing in, or making an account first. */
import { useState } from 'preact/hooks'
import type { Parley, User } from '../client'
import { sentence } from './faults.ts'

interface Props {
  client: Parley
  /** Why one is here again. */
  notice: string | undefined
  onSignedIn: (me: User) => void
}

export function SignIn({ client, notice, onSignedIn }: Props) {
  const [isNew, setNew] = useState(false)
  const [fault, setFault] = useState<string>()
  const [busy, setBusy] = useState(false)

  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget as HTMLFormElement)
    const name = String(form.get('name')).trim().toLowerCase()
    const password = String(form.get('password'))
    setBusy(true)
    setFault(undefined)
    try {
      if (isNew) await client.signUp(name, password)
      onSignedIn(await client.signIn(name, password))
    } catch (error) {
      setFault(sentence(error))
      setBusy(false)
    }
  }
  return (
    <main class="sign-in">
      <form onSubmit={submit}>
        <h1>Parley</h1>
        <p class="motto">{notice ?? 'Every word numbered, none lost.'}</p>
        <Fields isNew={isNew} />
        {fault !== undefined && <p role="alert">{fault}</p>}
        <button type="submit" class="primary" disabled={busy}>
          {isNew ? 'Sign up' : 'Sign in'}
        </button>
        <button
          type="button"
          class="quiet"
          onClick={() => {
            setNew(!isNew)
            setFault(undefined)
          }}
        >
          {isNew ? 'I have an account' : 'Create an account'}
        </button>
      </form>
    </main>
  )
}

/** For an account that is to be made, with the rules. */
function Fields({ isNew }: { isNew: boolean }) {
  return (
    <>
      <label>
        Name
        <input
          name="name"
          autocomplete="username"
          autocapitalize="none"
          spellcheck={false}
          required
          autofocus
          maxLength={32}
          aria-describedby={isNew ? 'name-rule' : undefined}
        />
      </label>
      {isNew && <small id="name-rule">2–32 of a–z, 0–9, dot, dash and underscore</small>}
      <label>
        Password
        <input
          name="password"
          type="password"
          autocomplete={isNew ? 'new-password' : 'current-password'}
          required
          maxLength={256}
          aria-describedby={isNew ? 'password-rule' : undefined}
        />
      </label>
      {isNew && <small id="password-rule">At least 8 characters</small>}
    </>
  )
}
