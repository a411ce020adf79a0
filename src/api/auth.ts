/**
 * Who is asking: a bearer token, or for browsers a cookie. A cookie is sent by the browser whether
 * or not the page asking is ours, so with a cookie the `Origin` must be ours.
 */
import type { Chat } from '../chat/chat.ts'
import type { Viewer } from '../chat/sessions.ts'
import type { Config } from '../config.ts'
import { problem } from '../errors.ts'

export interface Credentials {
  token: string
  /** True if the browser sent it by itself. */
  fromCookie: boolean
}

/**
 * The cookie's name. Under https it has the prefix with which browsers take a cookie from this very
 * host alone: else a page on a neighbour, such as `blog.example.org`, could set one for all of
 * `example.org` and have people talk in somebody else's name.
 */
export function cookieName({ publicUrl }: Config): string {
  return isHttps(publicUrl) ? '__Host-parley_session' : 'parley_session'
}

/** The token of a request; the `Authorization` header goes before the cookie. */
export function findCredentials(headers: Headers, config: Config): Credentials | undefined {
  const authorization = headers.get('authorization')
  if (authorization !== null) {
    const token = /^bearer +(\S+) *$/i.exec(authorization)?.[1] ?? ''
    return { token, fromCookie: false }
  }
  const cookies = headers.get('cookie')
  if (cookies === null) return undefined
  const name = cookieName(config)
  for (const cookie of cookies.split(';')) {
    const at = cookie.indexOf('=')
    if (cookie.slice(0, at).trim() === name)
      return { token: cookie.slice(at + 1).trim(), fromCookie: true }
  }
  return undefined
}

/** Throws `not_signed_in`; at once if the session is in memory. */
export function getViewer(
  chat: Chat,
  credentials: Credentials | undefined,
): Viewer | Promise<Viewer> {
  if (credentials === undefined) throw notSignedIn()
  const viewer = chat.sessions.authenticate(credentials.token)
  if (viewer instanceof Promise) return viewer.then((late) => late ?? Promise.reject(notSignedIn()))
  if (viewer === undefined) throw notSignedIn()
  return viewer
}

export function notSignedIn() {
  return problem('not_signed_in', { headers: { 'WWW-Authenticate': 'Bearer realm="parley"' } })
}

/**
 * Throws `foreign_origin` if a browser sent the cookie for somebody else's page. Browsers tell the
 * origin with every WebSocket and every request that changes something; on a plain GET it may be
 * missing, and then our own page asked, or the address bar.
 */
export function checkOrigin(
  headers: Headers,
  publicOrigin: string,
  options: { required: boolean },
): void {
  const origin = headers.get('origin')
  if (origin === null && !options.required) return
  if (origin === null || hostOf(origin) !== hostOf(publicOrigin)) throw problem('foreign_origin')
}

/** Host and port. The scheme is left out: behind a proxy that ends TLS we would not know it. */
function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}

export function sessionCookie(config: Config, token: string): string {
  return cookie(config, token, Math.floor(config.sessionTtlMs / 1_000))
}

export function clearedCookie(config: Config): string {
  return cookie(config, '', 0)
}

function cookie(config: Config, value: string, maxAgeS: number): string {
  const secure = isHttps(config.publicUrl) ? '; Secure' : ''
  const pair = `${cookieName(config)}=${value}`
  return `${pair}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${maxAgeS}${secure}`
}

function isHttps(url: string): boolean {
  return url.startsWith('https:')
}
