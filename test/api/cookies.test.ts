/** Sessions in browsers: the cookie, whose page may use it, and pages of other origins. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { fetchJson, PASSWORD, Person, ServerProcess, signUp } from '../harness.ts'
import { Socket, Stream } from '../live.ts'
import { handshake, rawRequest } from '../raw.ts'
import { refusal } from './codes.ts'

/** Someone whose browser sends the cookie, as the page at `origin` makes it ask. */
class Browser extends Person {
  readonly cookie: string

  constructor(person: Person, cookie: string) {
    super(person.url, person.id, person.name, '')
    this.cookie = cookie
  }

  static async signIn(person: Person): Promise<Browser> {
    const setCookie = await signInCookie(person)
    return new Browser(person, setCookie.split(';')[0]!)
  }

  override fetch(path: string, init: RequestInit & { json?: unknown } = {}): Promise<Response> {
    const headers = { cookie: this.cookie, ...(init.headers as object) }
    return fetchJson(this.url, path, { ...init, headers })
  }

  /** The status of an opening handshake. */
  async handshake(path: string, origin?: string): Promise<number | undefined> {
    const { host } = new URL(this.url)
    const bytes = handshake(path, { Host: host, Cookie: this.cookie, Origin: origin })
    const { response, connection } = await rawRequest(this.url, bytes)
    connection.cut()
    return response?.status
  }
}

async function signInCookie(person: Person): Promise<string> {
  const json = { name: person.name, password: PASSWORD }
  const response = await fetchJson(person.url, '/sessions', { method: 'POST', json })
  return response.headers.get('set-cookie')!
}

const FOREIGN = ['https://evil.example', 'null', 'http://127.0.0.1', 'file://', 'nonsense']

describe('the cookie', () => {
  let server: ServerProcess
  let ada: Person
  let browser: Browser
  let place: string

  beforeAll(async () => {
    server = await ServerProcess.start()
    ada = await signUp(server.url)
    browser = await Browser.signIn(ada)
    place = `/room/${(await ada.createRoom()).id}`
  })

  afterAll(() => server.stopAndForget())

  test('is out of reach for scripts and for other sites', async () => {
    const [pair, ...attributes] = (await signInCookie(ada)).split('; ')
    expect(pair).toMatch(/^parley_session=[\w-]{43}$/)
    const month = 30 * 86_400
    expect(attributes).toEqual(['Path=/', 'HttpOnly', 'SameSite=Strict', `Max-Age=${month}`])
  })

  test('signs in like a token, also beside cookies of others', async () => {
    expect(await browser.get<object>('/me')).toEqual(await ada.get<object>('/me'))
    const headers = { cookie: `a=b; ${browser.cookie} ; c="d"` }
    expect((await fetch(`${server.url}/me`, { headers })).status).toBe(200)
  })

  test('a token in the header goes before it', async () => {
    const headers = { authorization: 'Bearer nonsense' }
    expect(await refusal(browser.fetch('/me', { headers }))).toBe('401 not_signed_in')
  })

  test('our own page may do everything with it', async () => {
    const headers = { origin: server.url }
    const json = { text: 'from a page' }
    const posted = await browser.fetch(`${place}/messages`, { method: 'POST', json, headers })
    expect(posted.status).toBe(201)
    const events = await Stream.sse(browser, `${place}/subscribe?after=0`, headers)
    expect(await events.events.next()).toMatchObject({ text: 'from a page' })
    const socket = await Socket.open(server.url, '/ws', { cookie: browser.cookie, ...headers })
    expect(
      (await socket.ask('subscribe', { room: place.split('/')[2], after: 0 })).ok,
    ).toBeDefined()
    expect((await socket.events.next()).event.text).toBe('from a page')
    for (const one of [events, socket]) one.close()
  })

  test.each(FOREIGN)('a page of %s may do nothing with it', async (origin) => {
    const headers = { origin }
    for (const path of ['/me', '/rooms', `${place}/messages`, `${place}/subscribe`])
      expect(await refusal(browser.fetch(path, { headers }))).toBe('403 foreign_origin')
    const sse = { ...headers, accept: 'text/event-stream' }
    const events = browser.fetch(`${place}/subscribe`, { headers: sse })
    expect(await refusal(events)).toBe('403 foreign_origin')
    const json = { text: 'forged' }
    const forged = browser.fetch(`${place}/messages`, { method: 'POST', json, headers })
    expect(await refusal(forged)).toBe('403 foreign_origin')
    const out = browser.fetch('/session', { method: 'DELETE', headers })
    expect(await refusal(out)).toBe('403 foreign_origin')
    for (const path of ['/ws', '/subscribe', `${place}/subscribe`])
      expect(await browser.handshake(path, origin)).toBe(403)
    const texts = (await ada.list(place)).map(({ text }) => text)
    expect(texts).not.toContain('forged')
  })

  test('a WebSocket with the cookie must tell its origin; a plain GET need not', async () => {
    for (const path of ['/ws', `${place}/subscribe`]) {
      expect(await browser.handshake(path)).toBe(403)
      expect(await browser.handshake(path, server.url)).toBe(101)
    }
    expect((await browser.fetch('/me')).status).toBe(200)
  })

  test('a token works whatever the origin: nobody sends it unasked', async () => {
    const headers = { origin: 'https://evil.example' }
    expect((await ada.fetch('/me', { headers })).status).toBe(200)
    const authorization = `Bearer ${ada.token}`
    const socket = await Socket.open(server.url, '/ws', { authorization, ...headers })
    expect((await socket.ask('ping')).ok).toEqual({})
    socket.close()
  })

  test('signing out takes it away', async () => {
    const leaving = await Browser.signIn(ada)
    const headers = { origin: server.url }
    const response = await leaving.fetch('/session', { method: 'DELETE', headers })
    expect(response.headers.get('set-cookie')).toBe(
      'parley_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0',
    )
    expect(await refusal(leaving.fetch('/me'))).toBe('401 not_signed_in')
  })
})

describe('pages of other origins (CORS)', () => {
  const LISTED = 'https://app.example'

  async function preflight(url: string, origin: string): Promise<Response> {
    const headers = { origin, 'access-control-request-method': 'POST' }
    return fetch(`${url}/rooms`, { method: 'OPTIONS', headers })
  }

  const allowed = (response: Response) =>
    [...response.headers.keys()].filter((name) => name.startsWith('access-control-'))

  test('by default none may read anything', async () => {
    const server = await ServerProcess.start()
    try {
      const ada = await signUp(server.url)
      for (const origin of [LISTED, 'null', server.url]) {
        const refused = await preflight(server.url, origin)
        expect(await refusal(refused)).toBe('405 method_not_allowed')
        expect(allowed(refused)).toEqual([])
        const response = await ada.fetch('/me', { headers: { origin } })
        expect(allowed(response)).toEqual([])
        expect(response.headers.get('cross-origin-resource-policy')).toBe('same-origin')
      }
    } finally {
      await server.stopAndForget()
    }
  })

  test('a listed one may, with a token; nobody else, and nobody with the cookie', async () => {
    const server = await ServerProcess.start({ corsOrigins: `https://other.example,${LISTED}` })
    try {
      const ada = await signUp(server.url)
      const headers = { origin: LISTED }
      const before = await preflight(server.url, LISTED)
      expect(before.status).toBe(204)
      expect(before.headers.get('access-control-allow-origin')).toBe(LISTED)
      expect(before.headers.get('access-control-allow-methods')).toContain('POST')
      expect(before.headers.get('access-control-allow-headers')).toContain('Authorization')
      const unasked = await fetch(`${server.url}/me`, { headers })
      const stream = await Stream.sse(ada, '/subscribe', headers)
      for (const response of [await ada.fetch('/me', { headers }), unasked, stream.response]) {
        expect(response.headers.get('access-control-allow-origin')).toBe(LISTED)
        expect(response.headers.get('access-control-expose-headers')).toContain('Location')
        expect(response.headers.get('vary')).toContain('Origin')
        // Without this, browsers never attach cookies for another origin's page.
        expect(response.headers.get('access-control-allow-credentials')).toBeNull()
      }
      expect(unasked.status).toBe(401)
      stream.close()
      const browser = await Browser.signIn(ada)
      expect(await refusal(browser.fetch('/me', { headers }))).toBe('403 foreign_origin')
      for (const origin of ['https://app.example.evil.example', 'http://app.example', 'null']) {
        expect(allowed(await preflight(server.url, origin))).toEqual([])
        expect(allowed(await ada.fetch('/me', { headers: { origin } }))).toEqual([])
      }
    } finally {
      await server.stopAndForget()
    }
  })
})

test('behind a public address, links, origin and cookie are that address’s', async () => {
  const PUBLIC = 'https://chat.example.org'
  const server = await ServerProcess.start({ publicUrl: PUBLIC })
  try {
    const ada = await signUp(server.url)
    const created = await ada.fetch('/rooms', { method: 'POST', json: { name: 'Salon' } })
    expect(created.headers.get('location')).toStartWith(`${PUBLIC}/room/`)
    expect(created.headers.get('strict-transport-security')).toBe('max-age=31536000')
    const cookie = await signInCookie(ada)
    expect(cookie).toStartWith('__Host-parley_session=')
    expect(cookie).toEndWith('; Secure')
    // What a neighbour's page can set for the whole domain has another name: it counts for nothing.
    const tossed = { cookie: cookie.split(';')[0]!.replace('__Host-', '') }
    expect(await refusal(fetch(`${server.url}/me`, { headers: tossed }))).toBe('401 not_signed_in')
    const browser = await Browser.signIn(ada)
    expect(await browser.handshake('/ws', PUBLIC)).toBe(101)
    expect(await browser.handshake('/ws', server.url)).toBe(403)
    const { id } = (await created.json()) as { id: string }
    for (const text of ['one', 'two']) await ada.post(`/room/${id}`, text)
    const page = await ada.fetch(`/room/${id}/messages?limit=1`)
    expect(page.headers.get('link')).toStartWith(`<${PUBLIC}/room/${id}/messages?before=2`)
  } finally {
    await server.stopAndForget()
  }
})
