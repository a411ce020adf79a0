/** The web page: what is served, how it is cached, and what it allows. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { preferredCoding } from '../../src/api/page.ts'
import type { PageFile } from '../../src/api/page-source.ts'
import { buildPage } from '../../web/build.ts'
import { ServerProcess, scratchFolder } from '../harness.ts'
import { refusal } from './codes.ts'

/** All that is needed to show the page for the first time, compressed. */
const FIRST_LOAD_BYTES_MAX = 60 << 10

let server: ServerProcess
let files: PageFile[]

beforeAll(async () => {
  files = await buildPage()
  server = await ServerProcess.start()
})

afterAll(() => server.stopAndForget())

/** Bun's own `fetch` asks for compressed answers and unpacks them, so this says what it wants. */
function get(path: string, headers: Record<string, string> = {}, url = server.url) {
  const all = { 'accept-encoding': 'identity', ...headers }
  return fetch(url + path, { headers: all, decompress: false } as RequestInit)
}

/** The names of what the page loads, from its own markup. */
async function assets(url = server.url): Promise<string[]> {
  const html = await (await get('/', {}, url)).text()
  return [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path!)
}

test('the page and all it loads are there, each as what it is, to whoever asks', async () => {
  const home = await get('/')
  expect(home.status).toBe(200)
  expect(home.headers.get('content-type')).toBe('text/html;charset=utf-8')
  const loaded = await assets()
  const endings = loaded.map((path) => path.split('.').at(-1)!).sort()
  expect(endings).toEqual(['css', 'js', 'svg'])
  const types: Record<string, string> = { css: 'text/css', js: 'text/javascript' }
  const { paths } = (await (await get('/openapi.json')).json()) as { paths: Paths }
  const described = Object.keys(paths['/assets/{file}']!.get.responses[200]!.content)
  for (const path of loaded) {
    const response = await get(path)
    const type = response.headers.get('content-type')!.split(';')[0]!
    expect([path, response.status, type]).toEqual([
      path,
      200,
      types[path.split('.').at(-1)!] ?? 'image/svg+xml',
    ])
    expect(described).toContain(type)
    expect((await response.bytes()).length).toBeGreaterThan(0)
  }
})

type Paths = Record<string, { get: { responses: Record<number, { content: object }> } }>

test('the page can be read without an address: /docs is linked from it', async () => {
  expect(await (await get('/')).text()).toContain('href="/docs"')
})

test('the first load is small', () => {
  const sizes = files.map(({ path, gzip }) => [path, gzip.length] as const)
  const sum = sizes.reduce((all, [, size]) => all + size, 0)
  console.log(`first load, gzipped: ${sum} bytes (${sizes.map((one) => one.join(' ')).join(', ')})`)
  expect(sum).toBeLessThanOrEqual(FIRST_LOAD_BYTES_MAX)
})

test('no source map, no path of the machine it was built on', () => {
  for (const { path, bytes } of files) {
    const text = new TextDecoder().decode(bytes)
    expect([path, text.includes('sourceMappingURL')]).toEqual([path, false])
    expect([path, text.includes(join(import.meta.dir, '../..'))]).toEqual([path, false])
  }
})

test('what the page loads is kept for ever, for its name changes with its content', async () => {
  for (const path of await assets()) {
    const { headers } = await get(path)
    expect(headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
  }
  const folder = scratchFolder()
  const nameOf = async (text: string) => {
    const tag = '<link rel="stylesheet" href="./a.css"><script type="module" src="./a.ts"></script>'
    writeFileSync(join(folder.path, 'index.html'), tag)
    writeFileSync(join(folder.path, 'a.css'), `p { margin: ${text.length}px }`)
    writeFileSync(join(folder.path, 'a.ts'), `document.title = '${text}'`)
    const built = await buildPage(join(folder.path, 'index.html'))
    return built.map((file) => file.path).filter((path) => path !== '/')
  }
  const [one, again, other] = [await nameOf('one'), await nameOf('one'), await nameOf('another')]
  expect(again).toEqual(one)
  for (const path of other) expect(one).not.toContain(path)
  folder.remove()
})

test('the page is asked for each time, and answered 304 while it is the same', async () => {
  const first = await get('/')
  expect(first.headers.get('cache-control')).toBe('no-cache')
  const tag = first.headers.get('etag')!
  expect(tag).toMatch(/^"[\w-]+"$/)
  for (const known of [tag, `W/${tag}`, `"x", ${tag}`, '*']) {
    const again = await get('/', { 'if-none-match': known })
    expect([known, again.status, await again.text()]).toEqual([known, 304, ''])
    expect(again.headers.get('etag')).toBe(tag)
    expect(again.headers.get('vary')).toBe('Accept-Encoding')
    expect(again.headers.get('cache-control')).toBe('no-cache')
    expect(again.headers.get('content-security-policy')).toContain("script-src 'self'")
  }
  expect((await get('/', { 'if-none-match': '"another"' })).status).toBe(200)
  expect((await get('/', { 'if-none-match': tag, 'accept-encoding': 'gzip' })).status).toBe(200)
})

test('compressed for those who take it, with a tag of its own', async () => {
  const tags = new Set<string>()
  for (const path of ['/', ...(await assets())]) {
    const plain = await get(path)
    const bytes = await plain.bytes()
    expect(plain.headers.get('content-encoding')).toBeNull()
    for (const coding of ['gzip', 'br'] as const) {
      const response = await get(path, { 'accept-encoding': coding })
      const { headers } = response
      const sent = await response.bytes()
      expect(headers.get('content-encoding')).toBe(coding)
      expect(headers.get('vary')).toBe('Accept-Encoding')
      expect(headers.get('content-length')).toBe(String(sent.length))
      expect(unpacked(coding, sent)).toEqual(bytes)
      tags.add(headers.get('etag')!)
    }
    tags.add(plain.headers.get('etag')!)
  }
  expect(tags.size).toBe(3 * files.length)
})

function unpacked(coding: 'gzip' | 'br', bytes: Uint8Array): Uint8Array {
  const whole = coding === 'gzip' ? gunzipSync(bytes) : brotliDecompressSync(bytes)
  return new Uint8Array(whole)
}

test.each([
  ['', 'identity'],
  ['gzip', 'gzip'],
  ['GZIP;q=0.5', 'gzip'],
  ['gzip, deflate, br, zstd', 'br'],
  ['gzip;q=0', 'identity'],
  ['gzip; q=0.000, br;q=0', 'identity'],
  ['gzip;q=0.001', 'gzip'],
  ['br;q=0, *', 'gzip'],
  ['*;q=0', 'identity'],
  ['*', 'br'],
  ['deflate', 'identity'],
  ['gzipped', 'identity'],
  ['identity;q=0', 'identity'],
])('Accept-Encoding "%s" gets %s', (accepted, coding) => {
  expect(preferredCoding(accepted)).toBe(coding as 'gzip')
})

test('HEAD has the headers of GET and no body', async () => {
  for (const path of ['/', ...(await assets())]) {
    const { headers } = await get(path)
    const head = await fetch(server.url + path, {
      method: 'HEAD',
      headers: { 'accept-encoding': 'identity' },
    })
    expect([head.status, await head.text()]).toEqual([200, ''])
    for (const name of ['content-type', 'etag', 'cache-control', 'content-length', 'vary'])
      expect([name, head.headers.get(name)]).toEqual([name, headers.get(name)])
  }
})

test.each(['/assets/', '/assets/index.js', '/assets/%2F', '/assets/a/b', '/favicon.ico'])(
  'GET %s: 404',
  async (path) => {
    expect(await refusal(get(path))).toBe('404 no_such_path')
  },
)

test('the page may run and load what is ours, and nothing inline', async () => {
  const { headers } = await get('/')
  const policy = new Map(
    headers
      .get('content-security-policy')!
      .split('; ')
      .map((one) => [one.split(' ')[0]!, one.split(' ').slice(1).join(' ')]),
  )
  expect(Object.fromEntries(policy)).toEqual({
    'default-src': "'none'",
    'script-src': "'self'",
    'style-src': "'self'",
    'img-src': "'self' data:",
    'connect-src': "'self'",
    'manifest-src': "'self'",
    'base-uri': "'none'",
    'form-action': "'none'",
    'frame-ancestors': "'none'",
    'require-trusted-types-for': "'script'",
    'trusted-types': "'none'",
  })
  expect(headers.get('referrer-policy')).toBe('no-referrer')
  expect(headers.get('cross-origin-opener-policy')).toBe('same-origin')
  expect(headers.get('permissions-policy')).toContain('camera=()')
  expect(headers.get('permissions-policy')).not.toContain('notifications')
  const html = await (await get('/')).text()
  expect(html).not.toMatch(/<script(?![^>]*\bsrc="\/assets\/)|<style|\son\w+=|\sstyle=/i)
})
