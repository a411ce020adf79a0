/** Bodies that are no requests, for every operation that takes one. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { createOperations } from '../../src/api/operations.ts'
import { requestSchemas } from '../../src/api/schema.ts'
import { defaultConfig } from '../../src/config.ts'
import { PASSWORD } from '../harness.ts'
import { rawRequest } from '../raw.ts'
import { expectHarmless, Target } from './unharmed.ts'

let target: Target

beforeAll(async () => {
  target = await Target.start()
})

afterAll(() => target.stop())
afterEach(() => target.isUnharmed())

const operations = createOperations(requestSchemas(defaultConfig())).filter(({ body }) => body)

/** A good body for each; only ever sent with something wrong about it. */
const GOOD: Record<string, Record<string, string>> = {
  signUp: { name: 'eve', password: PASSWORD },
  signIn: { name: 'eve', password: PASSWORD },
  createRoom: { name: 'Salon' },
  postToRoom: { text: 'hello', key: 'k1' },
  postToUser: { text: 'hello', key: 'k1' },
}

async function send(
  name: string,
  body: string | Uint8Array,
  type: string | undefined = 'application/json',
): Promise<string> {
  const { method, path } = operations.find((one) => one.name === name)!
  const at = path.replace('{roomId}', target.room).replace('{userId}', target.ada.id)
  const bytes = Buffer.from(body as string)
  const typed = type === '' ? '' : `Content-Type: ${type}\r\n`
  const head = `${method} ${at} HTTP/1.1\r\n${target.headers}${typed}`
  const request = [Buffer.from(`${head}Content-Length: ${bytes.length}\r\n\r\n`), bytes]
  const { response, connection } = await rawRequest(target.url, Buffer.concat(request))
  connection.cut()
  expectHarmless(response!.body)
  expect(response!.headers.get('content-type')).toBe('application/problem+json')
  const { status, code } = JSON.parse(response!.body)
  expect(status).toBe(response!.status)
  return `${status} ${code}`
}

test('every operation with a body is tried here', () => {
  expect(operations.map(({ name }) => name).sort()).toEqual(Object.keys(GOOD).sort())
})

describe.each(Object.keys(GOOD))('%s', (name) => {
  const good = JSON.stringify(GOOD[name])
  const [field = ''] = Object.keys(GOOD[name]!)
  const withMore = (member: string) => `${good.slice(0, -1)},${member}}`

  test.each<[string, string | Uint8Array, string]>([
    ['nothing', '', 'body_not_json'],
    ['cut off', good.slice(0, -1), 'body_not_json'],
    ['cut off in a string', good.slice(0, -3), 'body_not_json'],
    ['NaN', `{"${field}":NaN}`, 'body_not_json'],
    ['a byte order mark', `\ufeff${good}`, 'body_not_json'],
    ['two values', good + good, 'body_not_json'],
    ['an array', `[${good}]`, 'body_not_object'],
    ['null', 'null', 'body_not_object'],
    [
      'ten thousand levels',
      `{"${field}":${'['.repeat(10_000)}${']'.repeat(10_000)}}`,
      'body_too_deep',
    ],
    ['a key twice', withMore(`"${field}":"other"`), 'body_duplicate_key'],
    [
      'a key twice, once escaped',
      withMore(`"\\u00${field.charCodeAt(0).toString(16)}${field.slice(1)}":"other"`),
      'body_duplicate_key',
    ],
    ['__proto__', withMore('"__proto__":{"admin":true}'), 'unknown_field'],
    ['constructor', withMore('"constructor":{}'), 'unknown_field'],
    ['a field nobody knows', withMore('"admin":true'), 'unknown_field'],
    ['half a surrogate pair', withMore('"x":"\\ud800"'), 'body_lone_surrogate'],
    ['broken UTF-8', Buffer.from(`{"${field}":"\xff"}`, 'latin1'), 'body_not_utf8'],
    ['an overlong encoding', Buffer.from(`{"${field}":"\xc0\xaf"}`, 'latin1'), 'body_not_utf8'],
    ['UTF-16', Buffer.from(good, 'utf16le'), 'body_not_json'],
  ])('400: %s', async (_, body, code) => {
    expect(await send(name, body)).toBe(`400 ${code}`)
  })

  test('400: a wrong type in any field', async () => {
    for (const one of Object.keys(GOOD[name]!))
      for (const wrong of [null, 1, 1e308, true, [], ['a'], {}, { $ne: '' }]) {
        const body = JSON.stringify({ ...GOOD[name], [one]: wrong })
        expect(await send(name, body)).toMatch(`400 ${one}_wrong_type`)
      }
  })

  test.each(['', 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'json'])(
    '415: content type %p',
    async (type) => {
      expect(await send(name, good, type)).toBe('415 wrong_content_type')
    },
  )

  test('the content type’s letters and parameters do not matter', async () => {
    for (const type of ['Application/JSON', 'application/json; charset=utf-8'])
      expect(await send(name, '', type)).toBe('400 body_not_json')
    expect(await send(name, good, 'application/jsonp')).toBe('415 wrong_content_type')
  })
})
