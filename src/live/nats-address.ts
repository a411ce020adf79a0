/** `NATS_URL` taken apart, so that its secrets go to NATS and nowhere else. */

export interface NatsAddress {
  /** `host:port` of each server of the NATS cluster. */
  servers: string[]
  tls: boolean
  user?: string
  pass?: string
  token?: string
}

const DEFAULT_PORT = 4222

/**
 * Reads `nats://user:password@host:port`, `nats://token@host` or `tls://…`. Several servers of one
 * NATS cluster are separated by commas, with the credentials before the first. Throws an Error with
 * a sentence that holds nothing of the text.
 */
export function parseNatsUrl(text: string): NatsAddress {
  const urls = text.split(',').map((one) => parseOne(one.trim()))
  const [{ protocol, username, password }] = urls as [URL]
  if (urls.some((url) => url.protocol !== protocol)) throw notAnAddress()
  const address: NatsAddress = {
    servers: urls.map(({ hostname, port }) => `${hostname}:${port || DEFAULT_PORT}`),
    tls: protocol === 'tls:',
  }
  if (password !== '') return { ...address, user: decoded(username), pass: decoded(password) }
  return username === '' ? address : { ...address, token: decoded(username) }
}

function parseOne(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isPlain = url?.search === '' && url.hash === '' && /^\/?$/.test(url.pathname)
  if (!isPlain || url.hostname === '' || !/^(nats|tls):$/.test(url.protocol)) throw notAnAddress()
  return url
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw notAnAddress()
  }
}

function notAnAddress(): Error {
  return new Error('NATS_URL is not an address such as nats://user:password@host:4222.')
}
