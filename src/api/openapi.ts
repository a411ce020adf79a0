/** The HTTP API as OpenAPI 3.1, made from the operations: what is mounted is what is described. */
import { z } from 'zod'
import { type ErrorCode, errorKinds } from '../errors.ts'
import type { Operation } from './operation.ts'

type Json = Record<string, unknown>

/** Errors that any operation with a body, with a session, or any at all may answer with. */
const WITH_BODY: ErrorCode[] = [
  'body_not_utf8',
  'body_not_json',
  'body_not_object',
  'body_too_deep',
  'body_duplicate_key',
  'body_lone_surrogate',
  'body_too_large',
  'wrong_content_type',
]
const WITH_AUTH: ErrorCode[] = ['not_signed_in', 'foreign_origin', 'rate_limited']
const ALWAYS: ErrorCode[] = [
  'bad_request',
  'bad_path',
  'bad_host',
  'duplicate_parameter',
  'unknown_field',
  'internal',
  'overloaded',
]

export function openApi(operations: readonly Operation[], version: string, cookie: string): Json {
  const paths: Record<string, Json> = {}
  for (const operation of operations) {
    const path = (paths[operation.path] ??= {})
    path[operation.method.toLowerCase()] = describe(operation)
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Parley',
      version,
      description: 'Chat: one numbered log per room and per person, one cursor everywhere.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: components(),
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer' },
        cookie: { type: 'apiKey', in: 'cookie', name: cookie },
      },
    },
  }
}

function describe(operation: Operation): Json {
  const { name, summary, auth, body } = operation
  return {
    operationId: name,
    summary,
    security: auth ? [{ token: [] }, { cookie: [] }] : [],
    parameters: [
      ...pathParameters(operation),
      ...queryParameters(operation),
      ...headers(operation),
    ],
    ...(body && { requestBody: { required: true, content: jsonContent(body, 'input') } }),
    responses: { ...replies(operation), ...errors(operation) },
  }
}

function pathParameters({ path }: Operation): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: name === 'seq' ? { type: 'integer', minimum: 1 } : { type: 'string' },
  }))
}

function queryParameters({ query }: Operation): Json[] {
  return Object.entries(query?.shape ?? {}).map(([name, schema]) => {
    const { description, ...rest } = jsonSchema(schema as z.ZodType, 'output')
    return {
      name,
      in: 'query',
      required: false,
      schema: rest,
      ...(description !== undefined && { description }),
    }
  })
}

function headers(operation: Operation): Json[] {
  if (operation.kind === 'subscribe')
    return [header('Last-Event-ID', 'epoch:seq, from a browser that comes back.')]
  if (operation.rate === 'posts')
    return [
      header('Idempotency-Key', 'Posts once, however often it is sent. Or `key` in the body.'),
    ]
  return []
}

function header(name: string, description: string): Json {
  return { name, in: 'header', required: false, description, schema: { type: 'string' } }
}

function replies(operation: Operation): Json {
  if (operation.kind === 'socket')
    return { 101: { description: 'A WebSocket (see /asyncapi.json).' } }
  if (operation.kind === 'subscribe') {
    const event = jsonSchema(operation.event, 'output')
    return {
      101: { description: 'A WebSocket, already subscribed (see /asyncapi.json).' },
      200: {
        description: 'Server-Sent Events, if accepted; the data of each is one event.',
        content: { 'text/event-stream': { schema: { type: 'string' } } },
      },
      202: {
        description: 'One event a line.',
        content: { 'application/x-ndjson': { schema: event } },
      },
    }
  }
  return Object.fromEntries(
    Object.entries(operation.replies).map(([status, schema]) => [
      status,
      {
        description: DESCRIPTIONS[status] ?? 'Done.',
        ...(schema && { content: replyContent(operation.path, schema) }),
        ...(operation.paged && { headers: { Link: { schema: { type: 'string' } } } }),
        ...(status === '201' && { headers: { Location: { schema: { type: 'string' } } } }),
      },
    ]),
  )
}

const DESCRIPTIONS: Record<string, string> = {
  200: 'Found.',
  201: 'Made.',
  204: 'Done; nothing to say.',
  304: 'What you have is the latest.',
}

function replyContent(path: string, schema: z.ZodType): Json {
  const types = CONTENT_TYPES[path]
  if (types === undefined) return jsonContent(schema, 'output')
  return Object.fromEntries(types.map((type) => [type, { schema: { type: 'string' } }]))
}

const CONTENT_TYPES: Record<string, readonly string[]> = {
  '/': ['text/html'],
  '/assets/{file}': ['text/javascript', 'text/css', 'image/svg+xml'],
  '/metrics': ['text/plain'],
  '/docs': ['text/html'],
}

/** Errors by status, each with the codes that may be met there. */
function errors(operation: Operation): Json {
  const codes = new Set<ErrorCode>([...ALWAYS, ...operation.errors])
  for (const code of operation.body ? WITH_BODY : []) codes.add(code)
  for (const code of operation.auth ? WITH_AUTH : []) codes.add(code)
  if (operation.kind === 'subscribe') codes.add('too_many_connections')
  // Whatever the path, an opening handshake with a body or by another method is a mistake.
  if (operation.method !== 'GET') codes.add('websocket_needs_get')
  const byStatus: Record<string, string[]> = {}
  for (const { code, status } of errorKinds())
    if (codes.has(code)) (byStatus[status] ??= []).push(code)
  return Object.fromEntries(
    Object.entries(byStatus).map(([status, found]) => [
      status,
      {
        description: found.map((code) => `\`${code}\``).join(', '),
        content: { 'application/problem+json': { schema: ref('Problem') } },
      },
    ]),
  )
}

function jsonContent(schema: z.ZodType, io: 'input' | 'output'): Json {
  return { 'application/json': { schema: jsonSchema(schema, io) } }
}

/** A reference to a named schema. */
export function ref(name: string): Json {
  return { $ref: `#/components/schemas/${name}` }
}

/** Schemas with a `meta({ id })`, by that id. */
export function components(): Json {
  const { schemas } = z.toJSONSchema(z.globalRegistry, {
    uri: (id) => `#/components/schemas/${id}`,
    io: 'output',
  })
  return Object.fromEntries(
    Object.entries(schemas).map(([id, schema]) => {
      const { $schema, $id, id: _, ...rest } = schema as Json
      return [id, rest]
    }),
  )
}

/** Named schemas become references; anything else is written out. */
export function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const json = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Json
  const { $schema, $defs, ...rest } = json
  return nameReferences(schema, rest)
}

function nameReferences(schema: z.ZodType, json: Json): Json {
  const id = z.globalRegistry.get(schema)?.id
  if (id !== undefined) return ref(id)
  return JSON.parse(JSON.stringify(json).replaceAll('#/$defs/', '#/components/schemas/')) as Json
}
