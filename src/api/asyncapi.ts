/** The WebSocket as AsyncAPI 3, made from the socket operations. */
import { CLOSE } from './close-codes.ts'
import { components, jsonSchema, ref } from './openapi.ts'
import type { SocketOperations } from './operations.ts'

type Json = Record<string, unknown>

const EVENTS: Record<string, { summary: string; required: string[]; properties: Json }> = {
  events: {
    summary: 'Events of a subscribed timeline: ascending, contiguous with what came before.',
    required: ['timeline', 'events'],
    properties: {
      timeline: { type: 'string' },
      events: {
        type: 'array',
        minItems: 1,
        items: { oneOf: [ref('Message'), ref('InboxEntry')] },
      },
    },
  },
  caughtUp: {
    summary: 'The backfill of a subscription is over; sent once.',
    required: ['timeline', 'caughtUp'],
    properties: { timeline: { type: 'string' }, caughtUp: { type: 'integer' } },
  },
  heads: {
    summary: 'Now and then: by timeline, the seq up to which everything has been sent.',
    required: ['heads'],
    properties: { heads: { type: 'object', additionalProperties: { type: 'integer' } } },
  },
}

export function asyncApi(operations: SocketOperations, version: string): Json {
  const messages: Json = {}
  const described: Json = {}
  for (const [name, { op, summary, frame, reply }] of Object.entries(operations)) {
    const { properties, required } = jsonSchema(frame, 'input') as {
      properties: Json
      required?: string[]
    }
    const request = {
      type: 'object',
      properties: { id: ID, op: { const: op }, ...properties },
      required: ['id', 'op', ...(required ?? [])],
      additionalProperties: false,
    }
    messages[name] = { summary, payload: request }
    messages[`${name}Reply`] = {
      summary: `The reply to \`${op}\`, or an error with a problem.`,
      payload: { oneOf: [okReply(jsonSchema(reply, 'output')), ERROR_REPLY] },
    }
    described[name] = {
      action: 'receive',
      summary,
      channel: { $ref: '#/channels/socket' },
      messages: [message(name)],
      reply: { channel: { $ref: '#/channels/socket' }, messages: [message(`${name}Reply`)] },
    }
  }
  for (const [name, { summary, required, properties }] of Object.entries(EVENTS)) {
    messages[name] = { summary, payload: { type: 'object', required, properties } }
    described[name] = {
      action: 'send',
      summary,
      channel: { $ref: '#/channels/socket' },
      messages: [message(name)],
    }
  }
  return {
    asyncapi: '3.0.0',
    info: { title: 'Parley', version, description: description() },
    servers: { here: { host: '127.0.0.1:8080', protocol: 'ws' } },
    channels: { socket: { address: '/ws', messages } },
    operations: described,
    components: { schemas: components() },
  }
}

const ID = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER }
const ERROR_REPLY = {
  type: 'object',
  required: ['re', 'error'],
  properties: { re: ID, error: ref('Problem') },
}

function okReply(ok: Json): Json {
  return { type: 'object', required: ['re', 'ok'], properties: { re: ID, ok } }
}

function message(name: string): Json {
  return { $ref: `#/channels/socket/messages/${name}` }
}

function description(): string {
  const codes = Object.values(CLOSE).map(([code, reason]) => `${code} ${reason}`)
  return `Text frames with one JSON object each. Close codes: ${[...new Set(codes)].join('; ')}.`
}
