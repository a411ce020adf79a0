/** Who may ask at all, driven from the table of operations: none can be forgotten. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createOperations } from '../../src/api/operations.ts'
import { requestSchemas } from '../../src/api/schema.ts'
import { defaultConfig } from '../../src/config.ts'
import { type Person, ServerProcess, signUp } from '../harness.ts'
import { refusal } from './codes.ts'

let server: ServerProcess
let ada: Person
let room: string

beforeAll(async () => {
  server = await ServerProcess.start()
  ada = await signUp(server.url)
  room = (await ada.createRoom()).id
})

afterAll(() => server.stopAndForget())

const operations = createOperations(requestSchemas(defaultConfig()))
const closed = operations.filter(({ auth }) => auth).map(({ name }) => name)
const operationOf = (name: string) => operations.find((one) => one.name === name)!

/** The operation's path, leading to what really exists. */
function pathTo(name: string): string {
  const values: Record<string, string> = { roomId: room, userId: ada.id, sessionId: 's1', seq: '1' }
  return operationOf(name).path.replace(/\{(\w+)\}/g, (_, parameter) => values[parameter]!)
}

function ask(name: string, headers: Record<string, string>): Promise<Response> {
  return fetch(server.url + pathTo(name), { method: operationOf(name).method, headers })
}

test('only these are open to those who are not signed in', () => {
  const open = operations.filter(({ auth }) => !auth).map(({ name }) => name)
  expect(open).toEqual(['signUp', 'signIn', 'openSocket'])
})

describe.each(closed)('%s', (name) => {
  test('401: without a token, and with whatever is none', async () => {
    const response = await ask(name, {})
    expect(response.headers.get('www-authenticate')).toBe('Bearer realm="parley"')
    expect(await refusal(response)).toBe('401 not_signed_in')
    for (const authorization of [
      'Bearer ',
      'Bearer x',
      `Bearer ${'A'.repeat(43)}`,
      `Bearer ${ada.token}x`,
      `Basic ${ada.token}`,
      ada.token,
    ])
      expect(await refusal(ask(name, { authorization }))).toBe('401 not_signed_in')
    const cookie = `parley_session=${'A'.repeat(43)}`
    expect(await refusal(ask(name, { cookie }))).toBe('401 not_signed_in')
  })

  test('401 comes first: nobody learns whether a place exists', async () => {
    const operation = operationOf(name)
    const nowhere = operation.path.replace(/\{\w+\}/g, `x${'y'.repeat(16)}`)
    const response = fetch(`${server.url}${nowhere}?nonsense=1`, { method: operation.method })
    expect(await refusal(response)).toBe('401 not_signed_in')
  })
})

test('a token in the query is no token', async () => {
  const response = fetch(`${server.url}/me?token=${ada.token}`)
  expect(await refusal(response)).toBe('401 not_signed_in')
})

test('the scheme’s name may be written in any case', async () => {
  const headers = { authorization: `bEaReR  ${ada.token}` }
  expect((await fetch(`${server.url}/me`, { headers })).status).toBe(200)
})

const places = operations.filter(({ path }) => /\{(roomId|userId)\}/.test(path))

test.each(places.map(({ name }) => name))(
  '%s: 404 where there is nobody and nothing',
  async (name) => {
    const { path, method } = operationOf(name)
    const kind = path.includes('roomId') ? 'room' : 'user'
    for (const id of [`${kind[0]}${'x'.repeat(16)}`, 'nonsense', '%F0%9F%98%80']) {
      const nowhere = path.replace('{seq}', '1').replace(/\{\w+\}/, id)
      const json = method === 'POST' ? { text: 'hello' } : undefined
      const response = ada.fetch(nowhere, { method, ...(json && { json }) })
      expect(await refusal(response)).toBe(`404 no_such_${kind}`)
    }
  },
)

test('an empty Idempotency-Key header is refused as an empty key', async () => {
  const headers = { 'idempotency-key': '' }
  const posted = ada.fetch(`/room/${room}/messages`, {
    method: 'POST',
    json: { text: 'a' },
    headers,
  })
  expect(await refusal(posted)).toBe('400 key_too_short')
})
