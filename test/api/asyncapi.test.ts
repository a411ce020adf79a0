/** What /asyncapi.json promises, held against every frame of a real conversation. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createSocketOperations } from '../../src/api/operations.ts'
import { requestSchemas } from '../../src/api/schema.ts'
import { defaultConfig } from '../../src/config.ts'
import { type Person, ServerProcess, signUp, until } from '../harness.ts'
import { type AnyFrame, Socket } from '../live.ts'
import { Document } from './documents.ts'

let server: ServerProcess
let ada: Person
let document: Document

beforeAll(async () => {
  // A server that is held up for two of them has no heads to tell.
  server = await ServerProcess.start({ heartbeatMs: 1_000 })
  ada = await signUp(server.url)
  document = await Document.fetch(`${server.url}/asyncapi.json`)
})

afterAll(() => server.stopAndForget())

const payload = (message: string) => ['channels', 'socket', 'messages', message, 'payload']

/** A connection that keeps what it sends, too. */
class Conversation {
  readonly sent: AnyFrame[] = []
  readonly socket: Socket

  constructor(socket: Socket) {
    this.socket = socket
  }

  ask(op: string, fields: object = {}): Promise<AnyFrame> {
    this.sent.push({ id: this.sent.length + 1, op, ...fields })
    return this.socket.ask(op, fields)
  }
}

/** Every operation with success and with failure, and everything that comes unasked. */
async function converse(): Promise<Conversation> {
  const room = await ada.createRoom()
  await ada.post(`/room/${room.id}`, 'old')
  const talk = new Conversation(await Socket.open(server.url))
  await talk.ask('auth', { token: ada.token })
  await talk.ask('auth', { token: ada.token })
  const { ok } = await talk.ask('subscribe', { room: room.id, after: 0 })
  await talk.ask('subscribe', { room: room.id })
  await talk.ask('subscribe', { inbox: true, after: 9, epoch: 'another' })
  await talk.ask('subscribe', { user: ada.id })
  await talk.ask('post', { room: room.id, text: 'new', key: 'k1' })
  await talk.ask('post', { room: room.id, text: 'new', key: 'k1' })
  await talk.ask('post', { room: room.id, text: 'other', key: 'k1' })
  await talk.ask('post', { user: ada.id, text: 'to myself' })
  await talk.ask('ping')
  // They may have come between the replies, so all frames are looked through.
  const { all } = talk.socket.frames
  await until(() => all.some((frame) => frame.heads?.[room.id] === 2), 'heads are told')
  await talk.ask('unsubscribe', { timeline: ok.timeline })
  await talk.ask('unsubscribe', { timeline: ok.timeline })
  talk.socket.close()
  return talk
}

/** Which message of the document a frame of the server's is. */
function messageOf(frame: AnyFrame, sent: AnyFrame[]): string {
  if (frame.re !== undefined) return `${sent.find(({ id }) => id === frame.re).op}Reply`
  return ['events', 'caughtUp', 'heads'].find((name) => name in frame)!
}

test('every frame of a conversation is as described, sent and received', async () => {
  const { sent, socket } = await converse()
  for (const frame of sent) expect(document.faults(payload(frame.op), frame)).toEqual([])
  const received = socket.frames.all
  const seen = new Set<string>()
  for (const frame of received) {
    const message = messageOf(frame, sent)
    seen.add(frame.error === undefined ? message : `${message} with an error`)
    expect(document.faults(payload(message), frame)).toEqual([])
  }
  expect([...seen].sort()).toEqual([
    'authReply',
    'authReply with an error',
    'caughtUp',
    'events',
    'heads',
    'pingReply',
    'postReply',
    'postReply with an error',
    'subscribeReply',
    'subscribeReply with an error',
    'unsubscribeReply',
    'unsubscribeReply with an error',
  ])
})

test('the server and the document agree on what is no frame', async () => {
  const wrong: [string, object][] = [
    ['auth', {}],
    ['auth', { token: 1 }],
    ['subscribe', { room: 1 }],
    ['subscribe', { inbox: false }],
    ['subscribe', { room: 'r', after: -1 }],
    ['subscribe', { room: 'r', after: 1.5 }],
    ['subscribe', { room: 'r', epoch: '' }],
    ['unsubscribe', {}],
    ['post', { room: 'r' }],
    ['post', { room: 'r', text: 'a', key: '' }],
    ['post', { room: 'r', text: 'a', key: 'k'.repeat(256) }],
    ['post', { room: 'r', text: 'a\0b' }],
    ['post', { room: 'r', text: 'a', admin: true }],
    ['ping', { now: 1 }],
  ]
  const socket = await Socket.open(server.url)
  const first = await socket.ask('auth', { token: ada.token })
  expect(first.ok).toBeDefined()
  for (const [op, fields] of wrong) {
    const { error } = await socket.ask(op, fields)
    expect([op, fields, error?.status]).toEqual([op, fields, 400])
    expect(document.faults(payload(op), { id: 1, op, ...fields })).not.toEqual([])
  }
  socket.close()
})

describe('the document', () => {
  test('describes every operation, in both directions', () => {
    const names = Object.keys(createSocketOperations(requestSchemas(defaultConfig())))
    const { messages } = document.json.channels.socket
    for (const name of names) {
      expect(messages).toHaveProperty(name)
      expect(messages).toHaveProperty(`${name}Reply`)
      expect(document.json.operations[name].action).toBe('receive')
    }
    const unasked = ['events', 'caughtUp', 'heads']
    for (const name of unasked) expect(document.json.operations[name].action).toBe('send')
    expect(Object.keys(document.json.operations)).toHaveLength(names.length + unasked.length)
  })

  test('refers to nothing that it does not have', () => {
    expect(document.danglingReferences()).toEqual([])
  })

  test('names every close code', () => {
    for (const code of [4400, 4401, 4408, 4008, 4013, 1012, 1008])
      expect(document.json.info.description).toContain(String(code))
  })
})
