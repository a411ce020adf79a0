/**
 * The table of contents: every operation of the API, once. HTTP, WebSocket, OpenAPI and AsyncAPI
 * are mounted from here, so they cannot drift apart.
 */
import { z } from 'zod'
import type { Target } from '../chat/access.ts'
import { foldedName } from '../chat/names.ts'
import type { RoomWithHead, User } from '../types.ts'
import { clearedCookie } from './auth.ts'
import { checkRoomName, created, getMessage, ok, postMessage, signIn } from './handlers.ts'
import { listMessages } from './history.ts'
import { listNames } from './names.ts'
import type { Call, Operation, SocketOperation } from './operation.ts'
import { CONNECT_ERRORS, request, subscribe } from './operation.ts'
import {
  inboxEntrySchema,
  messageSchema,
  type RequestSchemas,
  roomSchema,
  sessionSchema,
  signedInSchema,
  userSchema,
} from './schema.ts'
import { roomView, sessionView, userView } from './views.ts'

export function createOperations(schemas: RequestSchemas): Operation[] {
  return [
    ...accountOperations(schemas),
    ...roomOperations(schemas),
    ...messageOperations(schemas, {
      name: 'Room',
      summary: 'a room',
      path: '/room/{roomId}',
      target: (call) => ({ room: call.params.roomId! }),
      error: 'no_such_room',
    }),
    ...messageOperations(schemas, {
      name: 'User',
      summary: 'my direct conversation with a user',
      path: '/user/{userId}',
      target: (call) => ({ user: call.params.userId! }),
      error: 'no_such_user',
    }),
    ...inboxOperations(schemas),
    {
      kind: 'socket',
      name: 'openSocket',
      summary: 'One WebSocket for everything. Signs in by token, by cookie or by its first frame.',
      method: 'GET',
      path: '/ws',
      auth: false,
      errors: ['not_signed_in', 'foreign_origin', ...CONNECT_ERRORS],
    },
  ]
}

function accountOperations(schemas: RequestSchemas): Operation[] {
  return [
    request({
      name: 'signUp',
      summary: 'Make an account.',
      method: 'POST',
      path: '/users',
      auth: false,
      body: schemas.credentials,
      replies: { 201: userSchema },
      errors: ['name_taken', 'rate_limited', 'overloaded'],
      rate: 'signUps',
      patient: true,
      handle: async ({ chat, body, origin }) => {
        const user = await chat.users.signUp(body.name, body.password)
        return created(`${origin}/user/${user.id}`, userView(user))
      },
    }),
    request({
      name: 'signIn',
      summary: 'Sign in. The token is shown this once; browsers get it as a cookie as well.',
      method: 'POST',
      path: '/sessions',
      auth: false,
      body: schemas.signIn,
      replies: { 201: signedInSchema },
      errors: ['wrong_credentials', 'rate_limited', 'overloaded'],
      patient: true,
      handle: signIn,
    }),
    request({
      name: 'signOut',
      summary: 'Sign out: end the session this request is made with.',
      method: 'DELETE',
      path: '/session',
      auth: true,
      replies: { 204: null },
      errors: [],
      handle: async ({ chat, viewer, config }) => {
        await chat.sessions.end(viewer.user.id, viewer.session.id)
        return { status: 204, headers: { 'Set-Cookie': clearedCookie(config) } }
      },
    }),
    request({
      name: 'listSessions',
      summary: 'My sign-ins, newest first.',
      method: 'GET',
      path: '/sessions',
      auth: true,
      replies: { 200: z.array(sessionSchema) },
      errors: [],
      handle: async ({ chat, viewer }) => {
        const sessions = await chat.sessions.list(viewer.user.id)
        return ok(sessions.map((session) => sessionView(session, viewer)))
      },
    }),
    request({
      name: 'endSession',
      summary: 'End one of my sign-ins, and its connections with it.',
      method: 'DELETE',
      path: '/sessions/{sessionId}',
      auth: true,
      replies: { 204: null },
      errors: ['no_such_session'],
      handle: async ({ chat, viewer, params }) => {
        await chat.sessions.end(viewer.user.id, params.sessionId!)
        return { status: 204 }
      },
    }),
    request({
      name: 'getMe',
      summary: 'Who I am.',
      method: 'GET',
      path: '/me',
      auth: true,
      replies: { 200: userSchema },
      errors: [],
      handle: ({ viewer }) => ok(userView(viewer.user)),
    }),
    request({
      name: 'getUser',
      summary: 'One user.',
      method: 'GET',
      path: '/user/{userId}',
      auth: true,
      replies: { 200: userSchema },
      errors: ['no_such_user'],
      handle: async ({ chat, params }) => ok(userView(await chat.users.get(params.userId!))),
    }),
    request({
      name: 'listUsers',
      summary: 'Users by name, a page at a time.',
      method: 'GET',
      path: '/users',
      auth: true,
      query: schemas.names,
      replies: { 200: z.array(userSchema) },
      paged: true,
      errors: [],
      handle: (call) =>
        listNames<User>(call, {
          prefix: call.query.name ?? '',
          limit: call.query.limit ?? call.config.pageDefault,
          list: (page) => call.chat.users.list(page),
          keyOf: (user) => user.name,
          view: userView,
        }),
    }),
  ]
}

function roomOperations(schemas: RequestSchemas): Operation[] {
  return [
    request({
      name: 'listRooms',
      summary: 'All rooms by name; a page at a time if a limit is given.',
      method: 'GET',
      path: '/rooms',
      auth: true,
      query: schemas.names,
      replies: { 200: z.array(roomSchema) },
      paged: true,
      errors: [],
      handle: (call) =>
        listNames<RoomWithHead & { nameKey: string }>(call, {
          prefix: foldedName(call.query.name ?? ''),
          limit: call.query.limit,
          list: (page) => call.chat.rooms.list(page),
          keyOf: (room) => room.nameKey,
          view: roomView,
        }),
    }),
    request({
      name: 'createRoom',
      summary: 'Open a room. Names are unique, whatever their case.',
      method: 'POST',
      path: '/rooms',
      auth: true,
      body: schemas.room,
      replies: { 201: roomSchema },
      errors: ['name_taken'],
      handle: async ({ chat, viewer, body, origin, config }) => {
        const name = checkRoomName(body.name, config.roomNameCharsMax)
        const room = await chat.rooms.create(viewer.user, name)
        return created(`${origin}/room/${room.id}`, roomView(room))
      },
    }),
    request({
      name: 'getRoom',
      summary: 'One room.',
      method: 'GET',
      path: '/room/{roomId}',
      auth: true,
      replies: { 200: roomSchema },
      errors: ['no_such_room'],
      handle: async ({ chat, params }) => ok(roomView(await chat.rooms.get(params.roomId!))),
    }),
  ]
}

/** A kind of place that people post to. */
interface PlaceKind {
  /** For the operations' names: `postToRoom`. */
  name: string
  /** For sentences. */
  summary: string
  path: string
  target: (call: Pick<Call, 'params'>) => Target
  error: 'no_such_room' | 'no_such_user'
}

function messageOperations(schemas: RequestSchemas, kind: PlaceKind): Operation[] {
  const { name, summary, path, target, error } = kind
  return [
    request({
      name: `list${name}Messages`,
      summary: `The messages of ${summary}, ascending; without a cursor the newest page.`,
      method: 'GET',
      path: `${path}/messages`,
      auth: true,
      query: schemas.history,
      replies: { 200: z.array(messageSchema) },
      paged: true,
      patient: true,
      errors: [error, 'conflicting_cursors', 'wait_without_after', 'too_many_connections'],
      handle: (call) => listMessages(call, target(call)),
    }),
    request({
      name: `postTo${name}`,
      summary: `Post to ${summary}.`,
      method: 'POST',
      path: `${path}/messages`,
      auth: true,
      body: schemas.draft,
      replies: { 201: messageSchema, 200: messageSchema },
      errors: [error, ...POST_ERRORS],
      rate: 'posts',
      handle: (call) => postMessage(call, target(call), schemas),
    }),
    request({
      name: `get${name}Message`,
      summary: `One message of ${summary}.`,
      method: 'GET',
      path: `${path}/messages/{seq}`,
      auth: true,
      replies: { 200: messageSchema },
      errors: [error, 'no_such_message'],
      handle: (call) => getMessage(call, target(call)),
    }),
    subscribe(`subscribeTo${name}`, `Follow ${summary} live.`, `${path}/subscribe`, schemas, {
      event: messageSchema,
      errors: [error],
      place: (call) => call.chat.access.place(call.viewer.user, target(call)),
    }),
  ]
}

function inboxOperations(schemas: RequestSchemas): Operation[] {
  return [
    request({
      name: 'listInbox',
      summary: 'My inbox: every direct message posted to me, ascending.',
      method: 'GET',
      path: '/messages',
      auth: true,
      query: schemas.history,
      replies: { 200: z.array(inboxEntrySchema) },
      paged: true,
      patient: true,
      errors: ['conflicting_cursors', 'wait_without_after', 'too_many_connections'],
      handle: (call) => listMessages(call, { inbox: true }),
    }),
    subscribe('subscribeToInbox', 'Follow my inbox live.', '/subscribe', schemas, {
      event: inboxEntrySchema,
      place: (call) => call.chat.access.place(call.viewer.user, { inbox: true }),
    }),
  ]
}

const POST_ERRORS = [
  'text_too_long',
  'text_blank',
  'key_reused',
  'rate_limited',
  'overloaded',
  'store_unavailable',
  'outcome_unknown',
  'storage_full',
] as const

/** The same, as frames on the WebSocket. `api/socket.ts` has a method for each. */
export function createSocketOperations(schemas: RequestSchemas) {
  const place = z.strictObject({ timeline: z.string(), epoch: z.string(), head: z.int() })
  const posted = z.strictObject({ timeline: z.string(), seq: z.int(), at: z.string() })
  return {
    auth: {
      op: 'auth',
      summary: 'Sign this connection in; needed first unless the handshake did.',
      frame: schemas.auth,
      reply: z.strictObject({ user: userSchema }),
      errors: ['not_signed_in', 'already_signed_in', 'too_many_connections'],
    },
    subscribe: {
      op: 'subscribe',
      summary: 'Follow a room, a direct conversation (user) or my inbox.',
      frame: schemas.subscribe,
      reply: place.extend({ recovered: z.boolean() }),
      errors: ['no_such_room', 'no_such_user', 'already_subscribed', 'too_many_subscriptions'],
    },
    unsubscribe: {
      op: 'unsubscribe',
      summary: 'Stop following a timeline.',
      frame: schemas.unsubscribe,
      reply: z.strictObject({}),
      errors: ['not_subscribed'],
    },
    post: {
      op: 'post',
      summary: 'Post to a room or to a user.',
      frame: schemas.post,
      reply: posted.extend({ replayed: z.literal(true).optional() }),
      errors: ['no_such_room', 'no_such_user', ...POST_ERRORS],
    },
    ping: {
      op: 'ping',
      summary: 'Ask for a sign of life.',
      frame: schemas.ping,
      reply: z.strictObject({}),
      errors: [],
    },
  } as const satisfies Record<string, SocketOperation>
}

export type SocketOperations = ReturnType<typeof createSocketOperations>
