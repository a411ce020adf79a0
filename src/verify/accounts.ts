/** What comes before talking: accounts and requests. */
import type { Person } from './journal.ts'

const PASSWORD = 'correct horse battery staple'

/** Rejects with what was answered, unless it is good. A `body` is posted. */
export async function ask<T>(url: string, path: string, token: string, body?: object): Promise<T> {
  const response = await fetch(url + path, {
    ...(body && { method: 'POST', body: JSON.stringify(body) }),
    headers: {
      ...(token && { authorization: `Bearer ${token}` }),
      ...(body && { 'content-type': 'application/json' }),
    },
  })
  if (!response.ok) throw new Error(`${path} answers ${response.status}: ${await response.text()}`)
  return (await response.json()) as T
}

/** New people, signed in, with names that nobody has; by any of the nodes, if there are several. */
export async function signUpPeople(where: () => string, count: number): Promise<Person[]> {
  const run = Math.random().toString(36).slice(2, 8)
  const all: Person[] = []
  for (let i = 0; i < count; i++) {
    const name = `verify-${run}-${i}`
    const { id } = await ask<{ id: string }>(where(), '/users', '', { name, password: PASSWORD })
    all.push({ id, name, token: await signIn(where(), name) })
  }
  return all
}

/** A token of a new session. */
export async function signIn(url: string, name: string): Promise<string> {
  const account = { name, password: PASSWORD }
  return (await ask<{ token: string }>(url, '/sessions', '', account)).token
}
