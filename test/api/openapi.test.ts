/** What /openapi.json promises, held against what every operation really answers. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createOperations } from '../../src/api/operations.ts'
import { requestSchemas } from '../../src/api/schema.ts'
import { createServiceOperations, type Service } from '../../src/api/service.ts'
import { defaultConfig } from '../../src/config.ts'
import { errorKinds } from '../../src/errors.ts'
import { newName, PASSWORD, type Person, ServerProcess, signIn, signUp } from '../harness.ts'
import { Document } from './documents.ts'

let server: ServerProcess
let ada: Person
let bob: Person
let room: string
let document: Document

beforeAll(async () => {
  server = await ServerProcess.start()
  ada = await signUp(server.url)
  bob = await signUp(server.url)
  room = `/room/${(await ada.createRoom()).id}`
  await ada.post(room, 'hello', 'k1')
  await ada.post(`/user/${bob.id}`, 'hello', 'k1')
  await bob.post(`/user/${ada.id}`, 'hello')
  document = await Document.fetch(`${server.url}/openapi.json`)
})

afterAll(() => server.stopAndForget())

const operations = [
  ...createOperations(requestSchemas(defaultConfig())),
  ...createServiceOperations({} as Service),
]
const operationOf = (name: string) => operations.find((one) => one.name === name)!

interface Ask {
  path: string
  json?: unknown
  headers?: Record<string, string>
  /** Signed in as ada, unless it is someone else or nobody. */
  as?: Person | null
}

const sse = { accept: 'text/event-stream' }
const nowhere = { room: `/room/r${'x'.repeat(16)}`, user: `/user/u${'x'.repeat(16)}` }

/** For every operation: what it is asked, and the status that it must answer. */
const asks: Record<string, () => Promise<[Ask, number][]> | [Ask, number][]> = {
  signUp: () => [
    [{ path: '/users', json: { name: newName(), password: PASSWORD } }, 201],
    [{ path: '/users', json: { name: ada.name, password: PASSWORD } }, 409],
    [{ path: '/users', json: { name: 'A' } }, 400],
    [{ path: '/users', headers: { 'content-type': 'text/plain' } }, 415],
    [{ path: '/users', json: { name: 'x'.repeat(70_000) } }, 413],
  ],
  signIn: () => [
    [{ path: '/sessions', json: { name: ada.name, password: PASSWORD } }, 201],
    [{ path: '/sessions', json: { name: ada.name, password: 'wrong' } }, 401],
    [{ path: '/sessions', json: {} }, 400],
  ],
  signOut: async () => [
    [{ path: '/session', as: await signIn(server.url, ada.name) }, 204],
    [{ path: '/session', as: null }, 401],
  ],
  listSessions: () => [
    [{ path: '/sessions' }, 200],
    [{ path: '/sessions', as: null }, 401],
    [{ path: '/sessions?limit=5' }, 400],
  ],
  endSession: async () => {
    const other = await signIn(server.url, bob.name)
    const [{ id }] = (await other.get<{ id: string }[]>('/sessions')) as [{ id: string }]
    return [
      [{ path: `/sessions/${id}`, as: bob }, 204],
      [{ path: `/sessions/${id}`, as: bob }, 404],
      [{ path: `/sessions/${id}`, as: null }, 401],
    ]
  },
  getMe: () => [
    [{ path: '/me' }, 200],
    [{ path: '/me', as: null }, 401],
    [{ path: '/me?a=b' }, 400],
    [
      {
        path: '/me',
        as: null,
        headers: { cookie: `parley_session=${ada.token}`, origin: 'https://evil.example' },
      },
      403,
    ],
  ],
  getUser: () => [
    [{ path: `/user/${bob.id}` }, 200],
    [{ path: nowhere.user }, 404],
    [{ path: `/user/${bob.id}`, as: null }, 401],
  ],
  listUsers: () => [
    [{ path: '/users?limit=1' }, 200],
    [{ path: '/users?limit=0' }, 400],
    [{ path: '/users', as: null }, 401],
  ],
  listRooms: () => [
    [{ path: '/rooms' }, 200],
    [{ path: '/rooms?cursor=x' }, 400],
    [{ path: '/rooms', as: null }, 401],
  ],
  createRoom: () => {
    const name = newName('Room')
    return [
      [{ path: '/rooms', json: { name } }, 201],
      [{ path: '/rooms', json: { name: name.toUpperCase() } }, 409],
      [{ path: '/rooms', json: { name: 'x'.repeat(81) } }, 400],
      [{ path: '/rooms', json: { name }, as: null }, 401],
    ]
  },
  getRoom: () => [
    [{ path: room }, 200],
    [{ path: nowhere.room }, 404],
    [{ path: room, as: null }, 401],
  ],
  listRoomMessages: () => listAsks(room, nowhere.room),
  listUserMessages: () => listAsks(`/user/${bob.id}`, nowhere.user),
  listInbox: () => [
    [{ path: '/messages' }, 200],
    [{ path: '/messages?wait=1' }, 400],
    [{ path: '/messages', as: null }, 401],
  ],
  postToRoom: () => postAsks(room, nowhere.room),
  postToUser: () => postAsks(`/user/${bob.id}`, nowhere.user),
  getRoomMessage: () => messageAsks(room, nowhere.room),
  getUserMessage: () => messageAsks(`/user/${bob.id}`, nowhere.user),
  subscribeToRoom: () => subscribeAsks(room, nowhere.room),
  subscribeToUser: () => subscribeAsks(`/user/${bob.id}`, nowhere.user),
  subscribeToInbox: () => subscribeAsks(''),
  openSocket: () => [
    [{ path: '/ws' }, 426],
    [{ path: '/ws', headers: { authorization: 'Bearer x' } }, 401],
  ],
  readPage: () => [
    [{ path: '/', as: null }, 200],
    [{ path: '/?from=a-bookmark', as: null }, 400],
  ],
  // What files there are differs with each build; test/api/page.test.ts asks for them.
  readPageFile: () => [[{ path: '/assets/nothing.js', as: null }, 404]],
  isAlive: () => [[{ path: '/healthz', as: null }, 200]],
  isReady: () => [[{ path: '/readyz', as: null }, 200]],
  readMetrics: () => [[{ path: '/metrics', as: null }, 200]],
  readOpenApi: () => [[{ path: '/openapi.json', as: null }, 200]],
  readAsyncApi: () => [[{ path: '/asyncapi.json', as: null }, 200]],
  readDocs: () => [
    [{ path: '/docs', as: null }, 200],
    [{ path: '/docs?page=2', as: null }, 400],
  ],
}

function listAsks(place: string, missing: string): [Ask, number][] {
  return [
    [{ path: `${place}/messages` }, 200],
    [{ path: `${place}/messages?after=0&limit=1` }, 200],
    [{ path: `${place}/messages?after=0&before=1` }, 400],
    [{ path: `${missing}/messages` }, 404],
    [{ path: `${place}/messages`, as: null }, 401],
  ]
}

function postAsks(place: string, missing: string): [Ask, number][] {
  const path = `${place}/messages`
  return [
    [{ path, json: { text: 'hello' } }, 201],
    [{ path, json: { text: 'hello', key: 'k1' } }, 200],
    [{ path, json: { text: 'another', key: 'k1' } }, 422],
    [{ path, json: { text: ' ' } }, 422],
    [{ path, json: { text: 'x'.repeat(16_385) } }, 413],
    [{ path, json: { text: 1 } }, 400],
    [{ path, headers: { 'content-type': 'text/plain' } }, 415],
    [{ path: `${missing}/messages`, json: { text: 'hello' } }, 404],
    [{ path, json: { text: 'hello' }, as: null }, 401],
  ]
}

function messageAsks(place: string, missing: string): [Ask, number][] {
  return [
    [{ path: `${place}/messages/1` }, 200],
    [{ path: `${place}/messages/999` }, 404],
    [{ path: `${missing}/messages/1` }, 404],
    [{ path: `${place}/messages/1`, as: null }, 401],
  ]
}

function subscribeAsks(place: string, missing?: string): [Ask, number][] {
  const path = `${place}/subscribe`
  const asked: [Ask, number][] = [
    // The inbox that has something in it is bob's as well as ada's.
    [{ path: `${path}?after=0` }, 202],
    [{ path, headers: sse }, 200],
    [{ path: `${path}?after=x` }, 400],
    [{ path, headers: { ...sse, 'last-event-id': 'x' } }, 400],
    [{ path, as: null }, 401],
  ]
  if (missing !== undefined) asked.push([{ path: `${missing}/subscribe` }, 404])
  return asked
}

async function send(name: string, { path, json, headers = {}, as = ada }: Ask) {
  const { method } = operationOf(name)
  const authorization = as === null ? {} : { authorization: `Bearer ${as.token}` }
  const type = json === undefined ? {} : { 'content-type': 'application/json' }
  const body = json === undefined ? {} : { body: JSON.stringify(json) }
  const all = { ...authorization, ...type, ...headers } as Record<string, string>
  return fetch(server.url + path, { method, headers: all, redirect: 'manual', ...body })
}

/** The body as its declared type is: one line of a stream of lines, else all there is. */
async function bodyOf(response: Response, type: string): Promise<unknown> {
  if (type === 'application/x-ndjson' || type === 'text/event-stream') {
    const reader = response.body!.getReader()
    let text = ''
    while (!text.includes('\n')) text += new TextDecoder().decode((await reader.read()).value)
    await reader.cancel()
    return type === 'text/event-stream' ? text : JSON.parse(text.split('\n')[0]!)
  }
  const text = await response.text()
  return type.endsWith('json') ? JSON.parse(text) : text
}

test('all operations are described, and asked here', () => {
  const names = operations.map(({ name }) => name).sort()
  expect(Object.keys(asks).sort()).toEqual(names)
  const { paths } = document.json
  for (const { name, method, path } of operations)
    expect(paths[path][method.toLowerCase()].operationId).toBe(name)
  const described = Object.values(paths).flatMap((path) => Object.keys(path as object))
  expect(described).toHaveLength(operations.length)
})

describe.each(Object.keys(asks))('%s', (name) => {
  test('answers only what it declares, in status, type and shape', async () => {
    const { method, path } = operationOf(name)
    const at = ['paths', path, method.toLowerCase()]
    const declared = document.json.paths[path][method.toLowerCase()]
    for (const [ask, expected] of await asks[name]!()) {
      const response = await send(name, ask)
      expect([ask.path, response.status]).toEqual([ask.path, expected])
      const answer = declared.responses[expected]
      expect(Object.keys(declared.responses)).toContain(String(expected))
      const type = (response.headers.get('content-type') ?? '').split(';')[0]!
      expect(Object.keys(answer.content ?? {})).toEqual(type === '' ? [] : [type])
      const body = await bodyOf(response, type)
      if (type === '') {
        expect(body).toBe('')
        continue
      }
      const schema = [...at, 'responses', String(expected), 'content', type, 'schema']
      expect(document.faults(schema, body)).toEqual([])
      if (expected >= 400) expect(answer.description).toMatch(declaredCode(body))
      if (expected === 201) expect(answer.headers).toHaveProperty('Location')
    }
  })

  test('takes the bodies and queries that it describes, and no others', async () => {
    const { method, path, body } = operationOf(name)
    const described = document.json.paths[path][method.toLowerCase()]
    if (body === undefined) return expect(described.requestBody).toBeUndefined()
    for (const { code, status } of errorKinds().filter((kind) => kind.code.startsWith('body_')))
      expect(described.responses[status].description).toContain(`\`${code}\``)
    const at = ['paths', path, method.toLowerCase(), 'requestBody']
    const schema = [...at, 'content', 'application/json', 'schema']
    for (const [{ json }, status] of await asks[name]!()) {
      if (json === undefined) continue
      const faults = document.faults(schema, json)
      if (status < 300) expect(faults).toEqual([])
      expect(document.faults(schema, { ...(json as object), admin: true })).not.toEqual([])
    }
  })
})

/** Codes about single fields are declared by their pattern, all others by name. */
function declaredCode(problem: unknown): RegExp {
  const { code, field } = problem as { code: string; field?: string }
  const ofField = field !== undefined && code !== 'unknown_field'
  return new RegExp(ofField ? '.' : `\`${code}\``)
}

test('every reference leads somewhere', () => {
  expect(document.danglingReferences()).toEqual([])
})

test('what is checked can fail: a wrong answer has faults', async () => {
  const me = await ada.get<object>('/me')
  const user = ['components', 'schemas', 'User']
  expect(document.faults(user, me)).toEqual([])
  expect(document.faults(user, { ...me, passwordHash: 'x' })).not.toEqual([])
  expect(document.faults(user, { ...me, createdAt: 'yesterday' })).not.toEqual([])
  expect(document.faults(user, {})).not.toEqual([])
})
