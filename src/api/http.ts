/**
 * HTTP: from a request to an operation and back. In this order, so that nothing is looked up for
 * someone who may not ask: host, route, session, rate, query and body, handler.
 */
import type { Viewer } from '../chat/sessions.ts'
import { problem } from '../errors.ts'
import { networkOf } from './address.ts'
import { checkOrigin, findCredentials, getViewer } from './auth.ts'
import { decodeUtf8, parseObject } from './json.ts'
import type { Api, Call, Operation } from './operation.ts'
import type { Peer } from './peer.ts'
import type { Responder } from './respond.ts'
import type { Router } from './router.ts'
import { check } from './schema.ts'
import { checkVersion, subscribeOverHttp, wantsDeflated } from './stream.ts'

export interface HttpOptions extends Api {
  router: Router
  responder: Responder
}

export type HttpHandler = (request: Request, peer: Peer) => Promise<Response | undefined>

/** The handler answers undefined when the request has become a WebSocket. Never rejects. */
export function createHttpHandler(options: HttpOptions): HttpHandler {
  const { responder } = options
  return async (request, peer) => {
    const origin = request.headers.get('origin')
    let response: Response | undefined
    try {
      response = await answer(options, request, peer)
    } catch (error) {
      response = responder.error(error)
    }
    if (response === undefined) return undefined
    return origin === null ? response : responder.shared(response, origin)
  }
}

async function answer(
  options: HttpOptions,
  request: Request,
  peer: Peer,
): Promise<Response | undefined> {
  const { router, responder, limits } = options
  const { headers, method } = request
  const host = checkedHost(headers)
  const { path, search } = splitUrl(request.url)
  if (method === 'OPTIONS') {
    const preflight = responder.preflight(headers.get('origin'), router.methods(path))
    if (preflight !== undefined) return preflight
  }
  const wantsSocket = headers.get('upgrade')?.toLowerCase() === 'websocket'
  if (wantsSocket && method !== 'GET')
    throw problem('websocket_needs_get', { headers: { Allow: 'GET' } })
  const { operation, params } = router.find(method, path)
  const origin = options.config.publicUrl || `http://${host}`
  if (operation.kind === 'socket') return openSocket(options, headers, origin, peer, wantsSocket)
  const found = operation.auth ? authenticate(options, headers, origin, peer) : undefined
  const viewer = found instanceof Promise ? await found : found
  const address = operation.auth ? '' : clientAddress(options, headers, peer)
  const rate = operation.rate ?? (operation.auth ? 'requests' : undefined)
  const left = rate && limits.take(rate, viewer?.user.id ?? address)
  const { chat, config, connections } = options
  const call: Call = {
    chat,
    config,
    limits,
    connections,
    viewer: viewer as Viewer,
    params,
    query: readQuery(operation, search),
    body: operation.body && check(operation.body, await readBody(request, config.bodyBytesMax)),
    path,
    origin,
    address,
    headers,
    request,
  }
  if (operation.kind === 'subscribe')
    return subscribeOverHttp({ call, operation, peer, responder, wantsSocket })
  // Only now that the body is there: who sends too slowly is cut.
  if (operation.patient) peer.keepOpen()
  return responder.reply(await operation.handle(call), left)
}

/**
 * `/ws`: whoever shows a token or a cookie must be signed in; others have a frame's time for it.
 */
async function openSocket(
  options: HttpOptions,
  headers: Headers,
  origin: string,
  peer: Peer,
  wantsSocket: boolean,
): Promise<undefined> {
  const known = findCredentials(headers, options.config) !== undefined
  const viewer = known ? await authenticate(options, headers, origin, peer) : undefined
  if (!wantsSocket)
    throw problem('upgrade_required', { headers: { Upgrade: 'websocket', Connection: 'Upgrade' } })
  checkVersion(headers)
  options.connections.admit()
  const start = { ...(viewer && { viewer }), deflated: wantsDeflated(headers) }
  if (!peer.upgrade(start)) throw problem('websocket_bad_handshake')
}

/**
 * The session of a request, at once if it is in memory. With a cookie, the page that asks must be
 * ours.
 */
function authenticate(
  options: HttpOptions,
  headers: Headers,
  origin: string,
  peer: Peer,
): Viewer | Promise<Viewer> {
  const credentials = findCredentials(headers, options.config)
  if (credentials?.fromCookie) {
    const required = headers.get('upgrade') !== null
    checkOrigin(headers, origin, { required })
  }
  const refuse = (error: unknown): never => {
    // Guessing tokens is hopeless, but each guess costs a look-up.
    const address = clientAddress(options, headers, peer)
    if (credentials !== undefined) options.limits.take('requests', address)
    throw error
  }
  try {
    const viewer = getViewer(options.chat, credentials)
    return viewer instanceof Promise ? viewer.catch(refuse) : viewer
  } catch (error) {
    return refuse(error)
  }
}

/** Exactly one host, and nothing in it that could end up in a link. Throws `bad_host`. */
export function checkedHost(headers: Headers): string {
  const host = headers.get('host')
  if (host === null || !/^[\w.-]+(:\d{1,5})?$|^\[[\da-f:.]+\](:\d{1,5})?$/i.test(host))
    throw problem('bad_host')
  // The runtime joins repeated headers; two lengths are two opinions on where the body ends.
  if (headers.get('content-length')?.includes(','))
    throw problem('bad_request', { headers: { Connection: 'close' } })
  return host
}

/** Without `new URL`, which costs more than the rest of the routing together. */
export function splitUrl(url: string): { path: string; search: string } {
  const start = url.startsWith('/') ? 0 : url.indexOf('/', url.indexOf('//') + 2)
  const mark = url.indexOf('?', start)
  if (mark === -1) return { path: url.slice(start), search: '' }
  return { path: url.slice(start, mark), search: url.slice(mark + 1) }
}

/** What to hold rates against: the peer's network, or that of whom the trusted proxy saw. */
function clientAddress({ config }: Api, headers: Headers, peer: Peer): string {
  if (config.trustedProxyHops === 0) return networkOf(peer.address())
  const seen = headers.get('x-forwarded-for')?.split(',') ?? []
  return networkOf(seen.at(-config.trustedProxyHops)?.trim() || peer.address())
}

function readQuery(operation: Operation, search: string): unknown {
  const given = parseQuery(search)
  if (operation.query !== undefined) return check(operation.query, given)
  for (const field in given) throw problem('unknown_field', { field: field.slice(0, 64) })
  return undefined
}

/** Strict where `URLSearchParams` is lenient: broken escapes and repeated names are refused. */
function parseQuery(search: string): Record<string, string> {
  const query: Record<string, string> = {}
  if (search === '') return query
  for (const pair of search.split('&')) {
    if (pair === '') continue
    const at = pair.indexOf('=')
    const name = decode(at === -1 ? pair : pair.slice(0, at))
    if (Object.hasOwn(query, name))
      throw problem('duplicate_parameter', { field: name.slice(0, 64) })
    const value = at === -1 ? '' : decode(pair.slice(at + 1))
    Object.defineProperty(query, name, { value, enumerable: true })
  }
  return query
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw problem('bad_path', { detail: 'The query has a broken percent escape.' })
  }
}

async function readBody(request: Request, bytesMax: number): Promise<Record<string, unknown>> {
  const { headers } = request
  if (!/^application\/json\s*(;|$)/i.test(headers.get('content-type') ?? ''))
    throw problem('wrong_content_type')
  const tooLarge = () => problem('body_too_large', { detail: `The limit is ${bytesMax} bytes.` })
  if (Number(headers.get('content-length')) > bytesMax) throw tooLarge()
  let bytes: Uint8Array
  try {
    bytes = await request.bytes()
  } catch {
    // The runtime has already cut the request: nobody is left to hear the answer.
    throw problem('bad_request')
  }
  if (bytes.length > bytesMax) throw tooLarge()
  return parseObject(decodeUtf8(bytes))
}
