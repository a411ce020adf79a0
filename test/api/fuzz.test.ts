/**
 * Every operation that /openapi.json describes, asked again and again for what it says, for nearly
 * that, and for anything at all. Whatever comes, the answer is one that is declared there, in
 * status, type and shape; what the description refuses the server refuses, and what it allows the
 * server takes.
 *
 * PARLEY_FUZZ_RUNS says how many requests for each operation. A failure prints the seed and the
 * path of the smallest request found: run it again with PARLEY_SEED and PARLEY_PATH.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createOperations } from '../../src/api/operations.ts'
import { requestSchemas } from '../../src/api/schema.ts'
import { createServiceOperations, type Service } from '../../src/api/service.ts'
import { defaultConfig } from '../../src/config.ts'
import { errorKinds, fieldReasons } from '../../src/errors.ts'
import { PASSWORD, signIn, signUp } from '../harness.ts'
import { RawConnection, type RawResponse } from '../raw.ts'
import { Document, type Json } from './documents.ts'
import {
  type Described,
  describedOperations,
  type FuzzedRequest,
  type Known,
  requestsFor,
} from './fuzz-requests.ts'
import { expectHarmless, Target } from './unharmed.ts'

const RUNS = Number(process.env.PARLEY_FUZZ_RUNS ?? 150)
const SEED = Number(process.env.PARLEY_SEED ?? Date.now() % 1e9)
const PATH = process.env.PARLEY_PATH

let target: Target
let document: Document
let known: Known
let tokens: string[]
/** For signing out with. */
let spareTokens: string[]

beforeAll(async () => {
  console.log(`${RUNS} requests for each operation from PARLEY_SEED=${SEED}`)
  target = await Target.start({ connectsPerSecondMax: 100_000, connectsBurstMax: 100_000 })
  document = await Document.fetch(`${target.url}/openapi.json`)
  const [eve, bob] = [await signUp(target.url), await signUp(target.url)]
  const room = await eve.createRoom()
  for (const place of [`/room/${room.id}`, `/user/${bob.id}`])
    for (const text of ['one', 'two', 'three']) await eve.post(place, text, text)
  await bob.post(`/user/${eve.id}`, 'hello')
  const response = await eve.fetch('/messages')
  const sessions = await bob.get<{ id: string }[]>('/sessions')
  tokens = [eve.token]
  spareTokens = []
  for (let i = 0; i < 5; i++) spareTokens.push((await signIn(target.url, bob.name)).token)
  known = {
    roomId: [room.id],
    userId: [bob.id, eve.id],
    sessionId: sessions.map(({ id }) => id),
    seq: ['1', '2'],
    name: [bob.name, room.name],
    password: [PASSWORD],
    key: ['one', 'two'],
    epoch: [response.headers.get('parley-epoch')!],
  }
})

afterAll(() => target.stop())

async function send(request: FuzzedRequest): Promise<RawResponse> {
  const { method, path, query, headers, body } = request
  const pairs = query.map(([name, value]) => `${name}=${value}`).join('&')
  const bytes = body === undefined ? undefined : Buffer.from(body as string)
  const lines = [
    `${method} ${path}${query.length > 0 ? `?${pairs}` : ''} HTTP/1.1`,
    `Host: ${new URL(target.url).host}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(bytes === undefined ? [] : [`Content-Length: ${bytes.length}`]),
  ]
  const connection = await RawConnection.open(target.url)
  try {
    connection.write(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'))
    if (bytes !== undefined) connection.write(bytes)
    for (;;) {
      const response = await connection.response()
      if (response === undefined) throw new Error('the connection is closed without an answer')
      if (response.status !== 100) return response
    }
  } finally {
    connection.cut()
  }
}

const named = new Set<string>(errorKinds().map(({ code }) => code))
const ofField = new RegExp(`^\\w+_(${Object.keys(fieldReasons).join('|')})$`)

/** An error says which; returns its code. */
function expectProblem({ status, headers, body }: RawResponse): string {
  expect(headers.get('content-type')).toBe('application/problem+json')
  expectHarmless(body)
  const problem = JSON.parse(body)
  expect(document.faults(['components', 'schemas', 'Problem'], problem)).toEqual([])
  expect(problem.status).toBe(status)
  expect(named.has(problem.code) || ofField.test(problem.code), problem.code).toBe(true)
  return problem.code
}

/** The operation that a request reaches, by the document; a single dot in a path is no step. */
function reached({ method, path }: FuzzedRequest): Described | undefined {
  const isDotted = /\/(\.|%2e)(\/|$)/i.test(path)
  const parts = (isDotted ? new URL(`${target.url}${path}`).pathname : path).split('/')
  return describedOperations(document.json).find((one) => {
    const template = one.path.split('/')
    const fits = (part: string, i: number) =>
      part.startsWith('{') ? parts[i] !== '' : part === parts[i]
    return one.method === method && template.length === parts.length && template.every(fits)
  })
}

/** Whether the document allows this query and this body; undefined where it cannot tell. */
function isAllowed({ operation }: Described, request: FuzzedRequest): boolean {
  const parameters = (operation.parameters as Json[]).filter((one) => one.in === 'query')
  const at = ['paths', reached(request)!.path, request.method.toLowerCase()]
  for (const [name, value] of request.query) {
    const index = operation.parameters.findIndex(
      (one: Json) => one.in === 'query' && one.name === name,
    )
    if (name !== '' && !parameters.some((one) => one.name === name)) return false
    if (index < 0) continue
    const { schema } = operation.parameters[index]
    const meant = schema.type === 'integer' ? numberOf(value) : textOf(value)
    if (document.faults([...at, 'parameters', String(index), 'schema'], meant).length > 0)
      return false
  }
  if (operation.requestBody === undefined) return true
  const schema = [...at, 'requestBody', 'content', 'application/json', 'schema']
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    const body = JSON.parse(text.decode(Buffer.from((request.body ?? '') as string)))
    return document.faults(schema, body).length === 0
  } catch {
    return false
  }
}

const numberOf = (value: string) => (/^-?\d+$/.test(value) ? Number(value) : value)

function textOf(value: string): string | null {
  try {
    return decodeURIComponent(value.replaceAll('+', ' '))
  } catch {
    return null
  }
}

/** What no schema can say, and is refused all the same. */
const BEYOND_SCHEMAS = new Set([
  ...['name_taken', 'wrong_credentials', 'text_blank', 'text_too_long', 'key_reused'],
  ...['name_too_short', 'name_too_long', 'name_invalid', 'cursor_invalid', 'conflicting_cursors'],
  ...['wait_without_after', 'no_such_room', 'no_such_user', 'no_such_message', 'no_such_session'],
  ...['no_such_path', 'upgrade_required', 'body_too_large', 'not_signed_in'],
])

/** What the runtime itself refuses, before there is a request to answer: bare, without a body. */
function isBareRefusal(
  { kind, body }: FuzzedRequest,
  { status, headers, body: told }: RawResponse,
) {
  if (headers.has('content-type') || told !== '') return false
  if (status === 413) return body !== undefined && Buffer.byteLength(body) > 4 * 65_536
  return kind === 'wild' && (status === 400 || status === 431)
}

async function expectDeclared(request: FuzzedRequest): Promise<void> {
  const response = await send(request)
  const { status, headers, body } = response
  const type = (headers.get('content-type') ?? '').split(';')[0]!
  if (isBareRefusal(request, response)) return
  const one = reached(request)
  if (one === undefined) {
    expect([400, 404, 405]).toContain(status)
    expectProblem(response)
    return
  }
  const declared = one.operation.responses[status]
  expect(Object.keys(one.operation.responses)).toContain(String(status))
  expect(status).not.toBe(500)
  expect(Object.keys(declared.content ?? {})).toEqual(type === '' ? [] : [type])
  if (status >= 400) {
    const code = expectProblem(response)
    if (!ofField.test(code)) expect(declared.description).toContain(`\`${code}\``)
    if (request.kind === 'valid') expect([...BEYOND_SCHEMAS]).toContain(code)
    return
  }
  if (!isAllowed(one, request)) throw new Error(`${status} for what is not allowed: ${body}`)
  if (type !== 'application/json') return
  const at = ['paths', one.path, one.method.toLowerCase(), 'responses', String(status)]
  expect(document.faults([...at, 'content', type, 'schema'], JSON.parse(body))).toEqual([])
}

const names = [
  ...createOperations(requestSchemas(defaultConfig())),
  ...createServiceOperations({} as Service),
].map(({ method, path }) => `${method} ${path}`)

test('the document describes what is asked here', () => {
  const described = describedOperations(document.json)
  expect(described.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(names.sort())
})

describe('whatever is asked, the answer is a declared one', () => {
  test.each(names)('%s', async (name) => {
    const one = describedOperations(document.json).find(
      ({ method, path }) => `${method} ${path}` === name,
    )!
    const requests = requestsFor(one, known, one.path === '/session' ? spareTokens : tokens)
    await fc.assert(fc.asyncProperty(requests, expectDeclared), {
      numRuns: RUNS,
      seed: SEED,
      ...(PATH && { path: PATH, endOnFailure: true }),
    })
    await target.isUnharmed()
  })
})
