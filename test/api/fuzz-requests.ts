/**
 * Requests made from a description of the API alone: as it says (valid), with one thing wrong
 * (nearly), and with everything left to chance (wild).
 */
import fc from 'fast-check'
import type { Json } from './documents.ts'

export type Kind = 'valid' | 'nearly' | 'wild'

export interface FuzzedRequest {
  kind: Kind
  method: string
  path: string
  /** Names and values as they go over the wire, escapes and all. */
  query: [string, string][]
  headers: [string, string][]
  body: string | Uint8Array | undefined
}

/** Values that mean something to the server, by the name of their field or parameter. */
export type Known = Record<string, string[]>

/** One operation of the document, and what it takes. */
export interface Described {
  method: string
  path: string
  operation: Json
}

export function describedOperations(document: Json): Described[] {
  return Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
    Object.entries<Json>(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      operation,
    })),
  )
}

const LONG_CHARS = 40
/** Longer waits are right, but nobody here has the time. */
const WAITS = ['0', '1']

/** A value that the schema allows, its bounds more often than chance would have them. */
function allowedBy(schema: Json, name: string, known: Known): fc.Arbitrary<unknown> {
  if (name === 'wait') return fc.constantFrom(...WAITS)
  if (schema.const !== undefined) return fc.constant(schema.const)
  const own = schema.type === 'integer' ? integerOf(schema) : stringOf(schema)
  const values = known[name]
  return values === undefined ? own : fc.oneof(fc.constantFrom(...values), own)
}

function integerOf({ minimum, maximum = Number.MAX_SAFE_INTEGER }: Json): fc.Arbitrary<number> {
  return fc.oneof(
    fc.constantFrom(minimum, maximum),
    fc.integer({ min: minimum, max: Math.min(maximum, minimum + 10) }),
    fc.maxSafeInteger().filter((value) => value >= minimum && value <= maximum),
  )
}

/** Lengths are counted in code points, as JSON Schema does. */
function stringOf({ pattern = '', minLength = 0, maxLength = LONG_CHARS }: Json) {
  const fits = new RegExp(pattern, 'u')
  if (pattern.startsWith('^[a-z')) return fc.stringMatching(fits)
  const ofLength = (min: number, max: number) =>
    fc.string({ unit: 'binary', minLength: min, maxLength: max }).filter((one) => fits.test(one))
  const edge = (length: number) =>
    fc.constantFrom('a', 'é', '😀').map((character) => character.repeat(length))
  const short = ofLength(minLength, Math.min(maxLength, minLength + LONG_CHARS))
  return fc.oneof(short, edge(minLength), edge(maxLength))
}

/** Requests of all three kinds for one operation, with this token. */
export function requestsFor(one: Described, known: Known, tokens: string[]) {
  const valid = validRequest(one, known, tokens)
  const nearly = fc
    .tuple(valid, fc.constantFrom(...MUTATIONS), fc.nat(), fc.jsonValue())
    .map(([request, mutate, n, junk]) => ({
      ...request,
      ...mutate(request, n, junk),
      kind: 'nearly' as const,
    }))
  return fc.oneof(
    { weight: 1, arbitrary: valid },
    { weight: 2, arbitrary: nearly },
    { weight: 1, arbitrary: wildRequest(one, valid) },
  )
}

function validRequest(one: Described, known: Known, tokens: string[]): fc.Arbitrary<FuzzedRequest> {
  const { method, operation } = one
  const parameters = operation.parameters as Json[]
  const of = (place: string) =>
    fc.record(
      Object.fromEntries(
        parameters
          .filter((parameter) => parameter.in === place)
          .map(({ name, schema }) => [name, allowedBy(schema, name, known)]),
      ),
      place === 'path' ? {} : { requiredKeys: [] },
    ) as fc.Arbitrary<Record<string, unknown>>
  const token = operation.security.length > 0 ? fc.constantFrom(...tokens) : fc.constant(undefined)
  return fc
    .tuple(of('path'), of('query'), bodyOf(operation, known), token)
    .map(([names, query, body, bearer]) => ({
      kind: 'valid' as const,
      method,
      path: one.path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(String(names[name]))),
      query: Object.entries(query).map(([name, value]): [string, string] => [
        name,
        encodeURIComponent(String(value)),
      ]),
      headers: [
        ...(bearer === undefined ? [] : [['Authorization', `Bearer ${bearer}`]]),
        ...(body === undefined ? [] : [['Content-Type', 'application/json']]),
      ] as [string, string][],
      body: body && JSON.stringify(body),
    }))
}

function bodyOf({ requestBody }: Json, known: Known): fc.Arbitrary<object | undefined> {
  if (requestBody === undefined) return fc.constant(undefined)
  return objectOf(requestBody.content['application/json'].schema, known)
}

/** An object that the schema allows. */
export function objectOf({ properties, required }: Json, known: Known): fc.Arbitrary<object> {
  const fields = Object.entries<Json>(properties).map(([name, schema]) => [
    name,
    allowedBy(schema, name, known),
  ])
  return fc.record(Object.fromEntries(fields), { requiredKeys: required })
}

type Mutation = (request: FuzzedRequest, n: number, junk: unknown) => Partial<FuzzedRequest>

const pick = <T>(all: readonly T[], n: number): T => all[n % all.length]!
const fieldsOf = ({ body }: FuzzedRequest) => (body ? JSON.parse(body as string) : {})
const lengths = [0, 1, 33, 257, 321, 513, 16_385, 65_537]
const doubtful = ['%', '%zz', '%ff', '%00', '%ed%a0%80', '+', ';', '1e3', '-1', '0x1', '٣', '']

/** Each does one thing to a valid request; most make it wrong, some only unusual. */
const MUTATIONS: Mutation[] = [
  // The body.
  (request, n) => {
    const fields = Object.entries(fieldsOf(request))
    fields.splice(n % (fields.length || 1), 1)
    return { body: JSON.stringify(Object.fromEntries(fields)) }
  },
  (request, n, junk) => {
    const fields = fieldsOf(request)
    const name = pick([...Object.keys(fields), 'admin', '__proto__', 'toString', 'a.b', 'é'], n)
    return { body: withMember(request, name, JSON.stringify(junk)) }
  },
  (request, n, junk) => {
    const fields = fieldsOf(request)
    return { body: JSON.stringify({ ...fields, [pick(Object.keys(fields), n) ?? 'a']: junk }) }
  },
  (request, n) => {
    const fields = fieldsOf(request)
    const long = pick(['a', 'é', '😀', ' ', '\u200b', '\u0000', '\ud800'], n)
    const name = pick(Object.keys(fields), n) ?? 'a'
    return { body: JSON.stringify({ ...fields, [name]: long.repeat(pick(lengths, n >> 3)) }) }
  },
  ({ body = '{}' }, n) => ({ body: body.slice(0, n % (body.length + 1)) }),
  ({ body = '{}' }, n) => {
    const bytes = Buffer.from(body as string)
    bytes[n % (bytes.length || 1)] = n >> 8
    return { body: bytes }
  },
  (_, n) => ({ body: `{"text":${pick(['[', '{"a":'], n).repeat(n % 40_000)}` }),
  // The headers.
  ({ headers }, n) => ({ headers: headers.filter((_, index) => index !== n % headers.length) }),
  ({ headers }, n) => ({
    headers: headers.map(([name, value], i): [string, string] =>
      i === n % headers.length
        ? [name, `${value}${pick(['x', ' x', ',', ';'], n)}`]
        : [name, value],
    ),
  }),
  ({ headers }, n) => ({ headers: [...headers, pick(UNUSUAL, n)] }),
  ({ headers }, n) => ({ headers: [...headers, ...handshakeWithout(n)] }),
  // The query.
  ({ query }, n) => ({ query: [...query, pick(query, n) ?? ['a', 'b']] }),
  ({ query }, n) => ({ query: [...query, [pick(['a', '__proto__', '', '%ff'], n), 'b']] }),
  ({ query }, n) => ({
    query: query.map(([name, value], i) => [
      name,
      i === n % query.length ? pick(doubtful, n >> 2) : value,
    ]),
  }),
  // The path and the method.
  ({ path }, n) => {
    const parts = path.split('/')
    const odd = ['%2e', '.', '*', '%00', 'é', '%', '%f0%9f']
    parts[1 + (n % (parts.length - 1))] = pick(odd, n >> 3)
    return { path: parts.join('/') }
  },
  ({ path }, n) => ({ path: path + pick(['/', '//', '/x', '/..', '%2f', '/%2e%2e/', '#a'], n) }),
  (_, n) => ({ method: pick(['GET', 'POST', 'DELETE', 'PUT', 'PATCH', 'OPTIONS'], n) }),
]

/** The body's text with one more member, even if it has one of that name. */
function withMember({ body }: FuzzedRequest, name: string, value: string): string {
  const members = ((body as string | undefined) ?? '{}').slice(1, -1)
  return `{${members}${members === '' ? '' : ','}${JSON.stringify(name)}:${value}}`
}

const UNUSUAL: [string, string][] = [
  ['Accept', 'text/event-stream'],
  ['Accept', ';q=,*'],
  ['Accept-Encoding', 'zstd;q=0, *;q=-1'],
  ['Authorization', 'Basic YTpi'],
  ['Content-Encoding', 'gzip'],
  ['Content-Type', 'text/plain'],
  ['Cookie', 'parley_session=x; parley_session='],
  ['Expect', '100-continue'],
  ['Expect', 'the unexpected'],
  ['Forwarded', 'for="[::1]";host=evil.example'],
  ['Idempotency-Key', 'k'.repeat(256)],
  ['Idempotency-Key', ''],
  ['If-Match', '*'],
  ['If-None-Match', '*'],
  ['Last-Event-ID', 'another:1'],
  ['Last-Event-ID', '1:2:3'],
  ['Origin', 'null'],
  ['Range', 'bytes=9-1'],
  ['Upgrade', 'h2c'],
  ['User-Agent', 'a'.repeat(4_000)],
  ['X-Forwarded-For', "'; --"],
  ['X-HTTP-Method-Override', 'DELETE'],
]

/** An opening handshake with one of its headers missing, or whole. */
function handshakeWithout(n: number): [string, string][] {
  const whole: [string, string][] = [
    ['Connection', 'Upgrade'],
    ['Upgrade', 'websocket'],
    ['Sec-WebSocket-Version', pick(['13', '8', '', 'x'], n >> 3)],
    ['Sec-WebSocket-Key', pick(['dGhlIHNhbXBsZSBub25jZQ==', 'dGhl', ''], n >> 5)],
    ['Sec-WebSocket-Protocol', pick(['parley.deflate', 'x, parley.deflate', ','], n >> 7)],
    ['Sec-WebSocket-Extensions', 'permessage-deflate; server_max_window_bits=99'],
  ]
  return whole.filter((_, index) => index !== n % 8)
}

/** Bytes that may stand in a header's value; the others are no HTTP, and tried elsewhere. */
const headerText = fc
  .array(fc.oneof(fc.integer({ min: 0x20, max: 0x7e }), fc.integer({ min: 0x80, max: 0xff })))
  .map((bytes) => String.fromCharCode(...bytes).trim())

/** A piece of a path or query: any bytes, most of them escaped. */
const urlText = fc
  .array(fc.integer({ min: 0, max: 255 }), { maxLength: 12 })
  .map((bytes) =>
    bytes
      .map((byte) => {
        const character = String.fromCharCode(byte)
        const isPlain = /[\w.~;,:@!$'()*+-]/.test(character)
        return isPlain ? character : `%${byte.toString(16).padStart(2, '0')}`
      })
      .join(''),
  )
  // One that says how long to wait would be waited for.
  .filter((text) => !/^0*[1-9]\d?$/.test(text))

function wildRequest(one: Described, valid: fc.Arbitrary<FuzzedRequest>) {
  const queryNames = (one.operation.parameters as Json[])
    .filter((parameter) => parameter.in === 'query')
    .map(({ name }) => name as string)
  const name = fc.oneof(fc.constantFrom(...queryNames, 'x'), urlText)
  const headerNames = UNUSUAL.map(([header]) => header).filter((header) => header !== 'Expect')
  const headers = fc.array(fc.tuple(fc.constantFrom(...headerNames), headerText), { maxLength: 3 })
  const body = fc.oneof(
    fc.json(),
    fc.uint8Array({ maxLength: 200 }),
    fc.string({ unit: 'binary' }),
    fc.constant(undefined),
  )
  return fc
    .tuple(valid, fc.array(urlText), fc.array(fc.tuple(name, urlText)), headers, body)
    .map(([request, names, query, more, wild]) => ({
      ...request,
      kind: 'wild' as const,
      path: one.path.replace(/\{\w+\}/g, () => names.pop() ?? 'x'),
      query,
      headers: [...request.headers, ...more],
      body: wild,
    }))
}
