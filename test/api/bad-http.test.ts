/** Requests that are not HTTP, or that two servers would read differently, from bare sockets. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { within } from '../harness.ts'
import { rawRequest } from '../raw.ts'
import { expectHarmless, Target } from './unharmed.ts'

let target: Target

beforeAll(async () => {
  target = await Target.start()
})

afterAll(() => target.stop())
afterEach(() => target.isUnharmed())

const BODY = '{"text":"smuggled"}'
const CHUNKED = `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`
const LENGTH = `Content-Length: ${BODY.length}\r\n`

/** A whole post with these headers and this body. */
const post = (headers: string, body = BODY) => `${target.postHead}${headers}\r\n${body}`
const get = (headers: string) => `GET /me HTTP/1.1\r\n${target.headers}${headers}\r\n`

interface Expected {
  status: number
  code?: string
  closed?: boolean
}

async function answersWith(bytes: string, expected: Expected): Promise<void> {
  const { response, connection } = await rawRequest(target.url, bytes)
  const { status, code, closed } = expected
  expect(response?.status).toBe(status)
  expectHarmless(response!.body)
  if (code !== undefined) expect(JSON.parse(response!.body)).toMatchObject({ status, code })
  if (closed === true) await within(connection.closed, 'the connection is closed')
  connection.cut()
}

describe('where the body ends is doubtful: 400, and the connection is closed', () => {
  test.each<[string, () => string]>([
    [
      'both Transfer-Encoding and Content-Length',
      () => post(`${LENGTH}Transfer-Encoding: chunked\r\n`, CHUNKED),
    ],
    [
      'the same, the other way round',
      () => post(`Transfer-Encoding: chunked\r\n${LENGTH}`, CHUNKED),
    ],
    ['two lengths', () => post(`${LENGTH}Content-Length: ${BODY.length + 1}\r\n`)],
    ['two lengths that are the same', () => post(LENGTH + LENGTH)],
    ['a list of lengths', () => post(`Content-Length: ${BODY.length}, ${BODY.length}\r\n`)],
    ['a length below 0', () => post('Content-Length: -1\r\n')],
    ['a length with a sign', () => post(`Content-Length: +${BODY.length}\r\n`)],
    ['a length in hexadecimal', () => post('Content-Length: 0x13\r\n')],
    ['gzip, chunked', () => post('Transfer-Encoding: gzip, chunked\r\n', CHUNKED)],
    ['an unknown encoding', () => post('Transfer-Encoding: xchunked\r\n', CHUNKED)],
    ['a chunk without a size', () => post('Transfer-Encoding: chunked\r\n', `zz\r\n${CHUNKED}`)],
    [
      'a chunk longer than it says',
      () => post('Transfer-Encoding: chunked\r\n', `1\r\n${BODY}\r\n0\r\n\r\n`),
    ],
  ])('%s', async (_, request) => {
    await answersWith(request(), { status: 400, closed: true })
  })
})

describe('headers that are none: 400, and the connection is closed', () => {
  test.each<[string, () => string]>([
    ['a space before the colon', () => get('X-A : b\r\n')],
    ['a space before that of Transfer-Encoding', () => post('Transfer-Encoding : chunked\r\n')],
    ['a bare LF after a header', () => get('X-A: b\nX-C: d\r\n')],
    ['a bare LF before the length', () => post(`X-A: b\n${LENGTH}`)],
    ['a folded line', () => get('X-A: b\r\n c\r\n')],
    ['NUL in a value', () => get('X-A: b\0c\r\n')],
    ['NUL in a name', () => get('X-\0A: b\r\n')],
    ['a bare CR', () => get('X-A: b\rc\r\n')],
    ['no colon', () => get('X-A\r\n')],
    ['no name', () => get(': b\r\n')],
  ])('%s', async (_, request) => {
    await answersWith(request(), { status: 400, closed: true })
  })

  test('a bare LF after the request line: the runtime’s own 505', async () => {
    await answersWith(`GET /me HTTP/1.1\n${target.headers}\r\n`, { status: 505, closed: true })
  })
})

describe('which host is meant is doubtful: 400', () => {
  test.each<[string, string, string | undefined]>([
    ['two, the same', 'Host: a.example\r\nHost: a.example\r\n', 'bad_host'],
    ['two, different', 'Host: a.example\r\nHost: b.example\r\n', 'bad_host'],
    ['none', '', undefined],
    ['an empty one', 'Host: \r\n', 'bad_host'],
    ['with a path', 'Host: a.example/evil\r\n', 'bad_host'],
    ['with a user', 'Host: user@a.example\r\n', 'bad_host'],
    ['with markup', 'Host: "><script>\r\n', 'bad_host'],
    ['with a port that is none', 'Host: a.example:x\r\n', 'bad_host'],
  ])('%s', async (_, host, code) => {
    const authorization = `Authorization: Bearer ${target.ada.token}\r\n`
    const request = `GET /me HTTP/1.1\r\n${host}${authorization}\r\n`
    await answersWith(request, { status: 400, ...(code !== undefined && { code }) })
  })
})

describe('paths', () => {
  test.each([
    '/%ff%00/../',
    '/room/%ff%00/../x/messages',
    '/room/../me',
    '/me/..',
    '/..',
    '/a/b/c/../../../me',
    '/a/b/c/d/../me',
    '/room/%2e%2e/me',
    '/room/.%2E/me',
    '/./me',
    '/%2e/me',
    '/.\\me',
    '/x\\..\\me',
  ])('%s: 400', async (path) => {
    const request = `GET ${path} HTTP/1.1\r\n${target.headers}\r\n`
    await answersWith(request, { status: 400, code: 'bad_path' })
  })

  test.each([
    '//..',
    '//me',
    '//../me',
    '/.//../me',
    '/x//../../me',
    '/x/y//../../../me',
    '/a/b/c//../../../../me',
    '/a/b/c/d/e/../../../../../me',
    '/./././././me',
  ])('%s: 404, for dots make nothing out of what is longer than our paths, or empty', (path) =>
    answersWith(`GET ${path} HTTP/1.1\r\n${target.headers}\r\n`, {
      status: 404,
      code: 'no_such_path',
    }),
  )

  test('400 for any method, and nothing is done', async () => {
    for (const method of ['POST', 'DELETE', 'PUT', 'OPTIONS']) {
      const request = `${method} /x/../session HTTP/1.1\r\n${target.headers}\r\n`
      await answersWith(request, { status: 400 })
    }
  })

  test.each(['/%ff%00', '/%00', '/room/%ff%00', '/room/..%2fme', '/room/%5c..%5cme'])(
    '%s: 404, for it is no more than a name nobody has',
    async (path) => {
      await answersWith(`GET ${path} HTTP/1.1\r\n${target.headers}\r\n`, { status: 404 })
    },
  )

  test('a full URL asks for its path', async () => {
    const request = `GET http://elsewhere.example/nowhere HTTP/1.1\r\n${target.headers}\r\n`
    await answersWith(request, { status: 404, code: 'no_such_path' })
  })
})

describe('too much', () => {
  test('a header of 20 kB: 431', () =>
    answersWith(get(`X-A: ${'a'.repeat(20_000)}\r\n`), { status: 431, closed: true }))

  test('a query of 20 kB: 431', () =>
    answersWith(`GET /me?${'a'.repeat(20_000)} HTTP/1.1\r\n${target.headers}\r\n`, {
      status: 431,
      closed: true,
    }))

  test('300 headers: 431', () => {
    const many = Array.from({ length: 300 }, (_, i) => `X-${i}: a\r\n`).join('')
    return answersWith(get(many), { status: 431, closed: true })
  })

  const chunk = (body: string) => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
  const ways: [string, (body: string) => string][] = [
    ['with a length', (body) => post(`Content-Length: ${body.length}\r\n`, body)],
    ['chunked', (body) => post('Transfer-Encoding: chunked\r\n', chunk(body))],
  ]

  test.each(ways)('a body of 65,536 bytes passes, of 65,537 gets 413: %s', async (_, request) => {
    const padded = BODY.padEnd(65_536)
    await answersWith(request(padded), { status: 201 })
    target.countPost()
    await answersWith(request(`${padded} `), { status: 413, code: 'body_too_large' })
  })

  test.each(ways)('a body beyond what the runtime itself reads: 413: %s', async (_, request) => {
    await answersWith(request(BODY.padEnd(4 * 65_536 + 1)), { status: 413, closed: true })
  })

  test('a length that would take a terabyte is refused before a byte of it', async () => {
    await answersWith(post('Content-Length: 1099511627776\r\n', ''), { status: 413 })
  })
})

test('what stands in a refused body is never taken for a request', async () => {
  const inner = `DELETE /session HTTP/1.1\r\n${target.headers}\r\n`
  const body = inner.repeat(Math.ceil(65_537 / inner.length))
  const length = `Content-Length: ${body.length}\r\n\r\n`
  const next = `GET /healthz HTTP/1.1\r\n${target.headers}\r\n`
  for (const [head, status] of [
    [target.postHead, 413],
    [target.postHead.replace('/room/', '/nowhere/'), 404],
    [target.postHead.replace('Bearer ', 'Bearer x'), 401],
    [target.postHead.replace('application/json', 'text/plain'), 415],
  ] as const) {
    const { response, connection } = await rawRequest(target.url, head + length + body + next)
    expect(response?.status).toBe(status)
    expect(await connection.response()).toMatchObject({ body: '{"status":"alive"}' })
    connection.cut()
  }
})

describe('what is not HTTP at all', () => {
  test.each<[string, string]>([
    ['the beginning of TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
    ['HTTP/0.9', 'GET /me\r\n\r\n'],
    ['nonsense', 'hello\r\n\r\n'],
    ['another protocol', 'EHLO example.org\r\n\r\n'],
    ['only blank lines', '\r\n\r\n\r\n\r\nx y z\r\n\r\n'],
    ['a method nobody knows', 'BREW /me HTTP/1.1\r\nHost: a.example\r\n\r\n'],
    ['HTTP/2 without asking', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ])('%s: the connection is closed', async (_, bytes) => {
    const { response, connection } = await rawRequest(target.url, bytes)
    expect([undefined, 400, 505]).toContain(response?.status)
    await within(connection.closed, 'the connection is closed')
  })
})
