/**
 * The web page and what it loads. The files are made when the first of them is asked for, once, and
 * stay in memory. Browsers ask for the page again each time, by its `ETag`; what it loads has the
 * hash of its content in its name, so they never ask for that twice.
 */
import { hash } from 'node:crypto'
import { z } from 'zod'
import { problem } from '../errors.ts'
import type { Log } from '../log.ts'
import { type Operation, type Reply, request } from './operation.ts'
import type { PageFile, PageSource } from './page-source.ts'

/** For the page: scripts, styles and images of our own and nothing else, nothing inline. */
export const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
  "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; " +
  "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

/** What no part of the page uses; notifications and the clipboard it may ask for. */
const SWITCHED_OFF = [
  ...[
    'accelerometer',
    'camera',
    'display-capture',
    'geolocation',
    'gyroscope',
    'hid',
    'magnetometer',
  ],
  ...['microphone', 'midi', 'payment', 'serial', 'usb', 'xr-spatial-tracking'],
]

const PAGE_HEADERS = {
  'Cache-Control': 'no-cache',
  'Content-Security-Policy': PAGE_POLICY,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Permissions-Policy': SWITCHED_OFF.map((feature) => `${feature}=()`).join(', '),
}
const ASSET_HEADERS = { 'Cache-Control': 'public, max-age=31536000, immutable' }

type Coding = 'br' | 'gzip' | 'identity'

/** One file in one coding, ready to be sent. */
interface Representation {
  body: Uint8Array<ArrayBuffer>
  headers: Record<string, string>
}

type Page = ReadonlyMap<string, Record<Coding, Representation>>

export class PageServer {
  readonly #source: PageSource
  readonly #log: Log
  /** What every file varies by. */
  readonly #vary: string
  #page: Promise<Page> | undefined
  #closing = false

  /** `sharesWithOrigins`: whether headers differ by `Origin`, which caches must then heed. */
  constructor(source: PageSource, log: Log, { sharesWithOrigins = false } = {}) {
    this.#source = source
    this.#log = log
    this.#vary = sharesWithOrigins ? 'Accept-Encoding, Origin' : 'Accept-Encoding'
  }

  /** Throws `no_such_path`, or `page_unavailable`, after which the next request tries again. */
  async reply(path: string, headers: Headers): Promise<Reply> {
    const page = await (this.#page ??= this.#load())
    const file = page.get(path)
    if (file === undefined) throw problem('no_such_path')
    const chosen = file[preferredCoding(headers.get('accept-encoding') ?? '')]
    if (!isKnown(headers.get('if-none-match') ?? '', chosen.headers.ETag!))
      return { status: 200, body: chosen.body, headers: chosen.headers }
    const { 'Content-Type': _, 'Content-Encoding': __, ...rest } = chosen.headers
    return { status: 304, headers: rest }
  }

  /** Ends a build that is under way: whoever waits for it gets `restarting`. */
  close(): void {
    this.#closing = true
    this.#source.close()
  }

  async #load(): Promise<Page> {
    try {
      const files = await this.#source.files()
      return new Map(files.map((file) => [file.path, representations(file, this.#vary)]))
    } catch (error) {
      this.#page = undefined
      if (this.#closing) throw problem('restarting', { retryAfterS: 1 })
      this.#log.error({ err: error }, 'no web page; everything else is served as usual')
      throw problem('page_unavailable')
    }
  }
}

function representations(file: PageFile, vary: string): Record<Coding, Representation> {
  const digest = hash('sha256', file.bytes, 'base64url')
  const common = {
    ...(file.path === '/' ? PAGE_HEADERS : ASSET_HEADERS),
    'Content-Type': file.type,
    Vary: vary,
  }
  // A strong tag stands for the very bytes, so each coding has its own.
  const coded = (name: string, body: Uint8Array<ArrayBuffer>): Representation => ({
    body,
    headers: { ...common, ETag: `"${digest}-${name}"`, 'Content-Encoding': name },
  })
  return {
    br: coded('br', file.brotli),
    gzip: coded('gzip', file.gzip),
    identity: { body: file.bytes, headers: { ...common, ETag: `"${digest}"` } },
  }
}

/**
 * The smallest coding that an `Accept-Encoding` allows (RFC 9110, 12.5.3): `q=0` forbids, `*` is
 * all that is not named. Who forbids even `identity` gets it, for an error would help nobody.
 */
export function preferredCoding(accepted: string): Coding {
  const allowed = new Map(
    accepted.split(',').map((one) => {
      const [name, ...parameters] = one.split(';').map((part) => part.trim().toLowerCase())
      return [name, !parameters.some((parameter) => /^q=0(\.0{0,3})?$/.test(parameter))]
    }),
  )
  for (const coding of ['br', 'gzip'] as const)
    if (allowed.get(coding) ?? allowed.get('*') ?? false) return coding
  return 'identity'
}

/** Whether an `If-None-Match` names this tag. A proxy that recodes marks tags as weak (`W/`). */
function isKnown(tags: string, tag: string): boolean {
  return tags.split(',').some((one) => ['*', tag].includes(one.trim().replace(/^W\//, '')))
}

export function createPageOperations(page: PageServer): Operation[] {
  const open = { method: 'GET', auth: false, patient: true } as const
  const errors = ['page_unavailable', 'restarting'] as const
  const replies = { 200: z.unknown(), 304: null }
  return [
    request({
      ...open,
      name: 'readPage',
      summary: 'The web page, to chat in a browser.',
      path: '/',
      replies,
      errors,
      handle: ({ headers }) => page.reply('/', headers),
    }),
    request({
      ...open,
      name: 'readPageFile',
      summary: 'What the page loads, under a name that changes with its content.',
      path: '/assets/{file}',
      replies,
      errors: ['no_such_path', ...errors],
      handle: ({ path, headers }) => page.reply(path, headers),
    }),
  ]
}
