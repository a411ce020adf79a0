/** Accounts and sign-ins over HTTP: every row of the table, with exactly its answers. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import {
  fetchJson,
  newName,
  PASSWORD,
  Person,
  read,
  ServerProcess,
  signIn,
  signUp,
} from '../harness.ts'
import { refusal } from './codes.ts'

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const ID = /^[\w-]{17}$/

let server: ServerProcess
let ada: Person
let bob: Person

beforeAll(async () => {
  server = await ServerProcess.start()
  ada = await signUp(server.url)
  bob = await signUp(server.url)
})

afterAll(() => server.stopAndForget())

const postUsers = (json: unknown) => fetchJson(server.url, '/users', { method: 'POST', json })
const postSessions = (json: unknown) => fetchJson(server.url, '/sessions', { method: 'POST', json })

interface SessionJson {
  id: string
  current: boolean
  userAgent: string
  createdAt: string
  lastUsedAt: string
  expiresAt: string
}

describe('POST /users', () => {
  test('201: the account, and where it is', async () => {
    const name = newName()
    const response = await postUsers({ name, password: PASSWORD })
    expect(response.status).toBe(201)
    const user = (await response.json()) as { id: string; name: string; createdAt: string }
    expect(user).toEqual({
      id: expect.stringMatching(ID) as never,
      name,
      createdAt: expect.stringMatching(TIME) as never,
    })
    expect(response.headers.get('location')).toBe(`${server.url}/user/${user.id}`)
    // An account is not yet a sign-in.
    expect(response.headers.get('set-cookie')).toBeNull()
    const found = await ada.fetch(`/user/${user.id}`)
    expect(await read<typeof user>(found, 200)).toEqual(user)
  })

  test('409: the name is taken, even by two at the same moment', async () => {
    expect(await refusal(postUsers({ name: ada.name, password: PASSWORD }))).toBe('409 name_taken')
    const name = newName()
    const both = await Promise.all([1, 2, 3].map(() => postUsers({ name, password: PASSWORD })))
    expect(both.map(({ status }) => status).sort()).toEqual([201, 409, 409])
  })

  test.each([
    [{ name: 'ada' }, 'password_missing'],
    [{ password: PASSWORD }, 'name_missing'],
    [{ name: 'Ada!', password: PASSWORD }, 'name_invalid'],
    [{ name: 'ada', password: 'short' }, 'password_too_short'],
    [{ name: 'ada', password: PASSWORD, admin: true }, 'unknown_field'],
    [[], 'body_not_object'],
  ])('400: %o', async (json, code) => {
    expect(await refusal(postUsers(json))).toBe(`400 ${code}`)
  })
})

describe('POST /sessions', () => {
  test('201: a token that works, for whom and until when', async () => {
    const response = await postSessions({ name: ada.name, password: PASSWORD })
    expect(response.status).toBe(201)
    const signedIn = (await response.json()) as { token: string; expiresAt: string }
    const me = await ada.get<object>('/me')
    expect(signedIn).toEqual({
      token: expect.stringMatching(/^[\w-]{43}$/) as never,
      user: me,
      expiresAt: expect.stringMatching(TIME) as never,
    } as never)
    const lifetimeMs = Date.parse(signedIn.expiresAt) - Date.now()
    expect(lifetimeMs / 86_400_000).toBeCloseTo(30, 1)
    const again = new Person(server.url, ada.id, ada.name, signedIn.token)
    expect(await again.get<object>('/me')).toEqual(me)
    const session = response.headers.get('location')!.replace(`${server.url}/sessions/`, '')
    const sessions = await again.get<SessionJson[]>('/sessions')
    expect(sessions.find(({ current }) => current)?.id).toBe(session)
    await again.signOut()
  })

  test('401: a wrong password, a name nobody has', async () => {
    const wrong = { name: ada.name, password: 'not the password' }
    expect(await refusal(postSessions(wrong))).toBe('401 wrong_credentials')
    const nobody = { name: newName('nobody'), password: PASSWORD }
    expect(await refusal(postSessions(nobody))).toBe('401 wrong_credentials')
    // Too short to be anybody's: wrong like any other.
    const short = { name: ada.name, password: '' }
    expect(await refusal(postSessions(short))).toBe('401 wrong_credentials')
  })

  test('400: what could not be a sign-in at all', async () => {
    expect(await refusal(postSessions({ name: ada.name }))).toBe('400 password_missing')
    const long = { name: ada.name, password: 'x'.repeat(257) }
    expect(await refusal(postSessions(long))).toBe('400 password_too_long')
  })
})

describe('my sessions', () => {
  test('GET /sessions: mine alone, newest first, the present one marked', async () => {
    const eve = await signUp(server.url)
    const laptop = await signIn(server.url, eve.name)
    const phone = await signIn(server.url, eve.name)
    const sessions = await laptop.get<SessionJson[]>('/sessions')
    expect(sessions.map(({ current }) => current)).toEqual([false, true, false])
    for (const session of sessions) {
      expect(Object.keys(session).sort()).toEqual([
        'createdAt',
        'current',
        'expiresAt',
        'id',
        'lastUsedAt',
        'userAgent',
      ])
      expect(session.userAgent).toStartWith('Bun/')
      for (const at of [session.createdAt, session.lastUsedAt, session.expiresAt])
        expect(at).toMatch(TIME)
    }
    const created = sessions.map(({ createdAt }) => createdAt)
    expect(created).toEqual([...created].sort().reverse())
    await phone.signOut()
    expect(await laptop.get<SessionJson[]>('/sessions')).toHaveLength(2)
  })

  test('DELETE /sessions/{id}: 204 ends that one and no other; then 404', async () => {
    const eve = await signUp(server.url)
    const phone = await signIn(server.url, eve.name)
    const sessions = await phone.get<SessionJson[]>('/sessions')
    const first = sessions.find(({ current }) => !current)!
    const end = () => phone.fetch(`/sessions/${first.id}`, { method: 'DELETE' })
    const response = await end()
    expect([response.status, await response.text()]).toEqual([204, ''])
    expect(await refusal(end())).toBe('404 no_such_session')
    expect(await refusal(eve.fetch('/me'))).toBe('401 not_signed_in')
    expect((await phone.get<SessionJson[]>('/sessions')).map(({ id }) => id)).not.toContain(
      first.id,
    )
  })

  test('DELETE /sessions/{id}: somebody else’s is none of mine', async () => {
    const [mine] = await ada.get<SessionJson[]>('/sessions')
    const foreign = bob.fetch(`/sessions/${mine!.id}`, { method: 'DELETE' })
    expect(await refusal(foreign)).toBe('404 no_such_session')
    expect((await ada.fetch('/me')).status).toBe(200)
  })

  test('DELETE /session: 204, and from then on 401', async () => {
    const eve = await signIn(server.url, bob.name)
    const response = await eve.fetch('/session', { method: 'DELETE' })
    expect([response.status, await response.text()]).toEqual([204, ''])
    expect(response.headers.get('set-cookie')).toContain('parley_session=; Path=/')
    expect(response.headers.get('set-cookie')).toContain('Max-Age=0')
    expect(await refusal(eve.fetch('/session', { method: 'DELETE' }))).toBe('401 not_signed_in')
    expect((await bob.fetch('/me')).status).toBe(200)
  })

  test('with too many sign-ins the oldest ends', async () => {
    const few = await ServerProcess.start({ sessionsPerUserMax: 2 })
    try {
      const first = await signUp(few.url)
      const second = await signIn(few.url, first.name)
      expect((await first.fetch('/me')).status).toBe(200)
      const third = await signIn(few.url, first.name)
      expect((await first.fetch('/me')).status).toBe(401)
      for (const one of [second, third]) expect((await one.fetch('/me')).status).toBe(200)
    } finally {
      await few.stopAndForget()
    }
  })
})

describe('people', () => {
  test('GET /me and GET /user/{userId} say the same, and nothing secret', async () => {
    const me = await ada.get<object>('/me')
    expect(Object.keys(me).sort()).toEqual(['createdAt', 'id', 'name'])
    expect(await bob.get<object>(`/user/${ada.id}`)).toEqual(me)
  })

  test.each(['u'.repeat(17), 'nobody', '%ff', 'x'.repeat(100)])('GET /user/%s: 404', async (id) => {
    expect(await refusal(ada.fetch(`/user/${id}`))).toBe('404 no_such_user')
  })

  test('GET /users?name=: whoever’s name begins so', async () => {
    for (const name of ['zoe', 'zoe-2', 'zo']) await signUp(server.url, name)
    const names = async (query: string) =>
      (await ada.get<{ name: string }[]>(`/users?${query}`)).map(({ name }) => name)
    expect(await names('name=zoe')).toEqual(['zoe', 'zoe-2'])
    expect(await names('name=zo')).toEqual(['zo', 'zoe', 'zoe-2'])
    expect(await names('name=zoe_')).toEqual([])
    expect(await names('name=%25')).toEqual([])
    expect(await names('name=')).toContain('zoe')
  })
})

test('HEAD answers as GET does, without the body', async () => {
  const response = await ada.fetch('/me', { method: 'HEAD' })
  expect([response.status, await response.text()]).toEqual([200, ''])
  expect((await fetch(`${server.url}/me`, { method: 'HEAD' })).status).toBe(401)
})
