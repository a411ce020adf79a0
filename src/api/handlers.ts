/** Handlers that take more than the one line they have in `operations.ts`. */
import type { Target } from '../chat/access.ts'
import { isVisible } from '../chat/names.ts'
import { fieldProblem } from '../errors.ts'
import { sessionCookie } from './auth.ts'
import type { Call, Reply } from './operation.ts'
import { check, type RequestSchemas } from './schema.ts'
import { signedInView } from './views.ts'

export async function signIn(
  call: Call<unknown, { name: string; password: string }>,
): Promise<Reply> {
  const { chat, body, headers, limits, address, origin, config } = call
  const userAgent = headers.get('user-agent') ?? ''
  const { token, viewer } = await limits.guard(body.name, address, () =>
    chat.sessions.signIn(body.name, body.password, userAgent),
  )
  const reply = created(`${origin}/sessions/${viewer.session.id}`, signedInView(token, viewer))
  return { ...reply, headers: { ...reply.headers, 'Set-Cookie': sessionCookie(config, token) } }
}

export async function postMessage(
  call: Call<unknown, { text: string; key?: string | undefined }>,
  target: Target,
  schemas: RequestSchemas,
): Promise<Reply> {
  const { chat, body, headers, viewer } = call
  const header = headers.get('idempotency-key')
  const key = header === null ? body.key : check(schemas.key, header, 'key')
  if (body.key !== undefined && key !== body.key)
    throw fieldProblem('key', 'invalid', 'The header and the body give different keys.')
  const found = chat.access.place(viewer.user, target)
  const place = found instanceof Promise ? await found : found
  const { json, seq, replayed } = await chat.messages.post(place, { text: body.text, key })
  const location = `${call.origin}${call.path}/${seq}`
  if (!replayed) return { status: 201, body: json, headers: { Location: location } }
  const repeated = { Location: location, 'Idempotent-Replayed': 'true' }
  return { status: 200, body: json, headers: repeated }
}

export async function getMessage({ chat, viewer, params }: Call, target: Target): Promise<Reply> {
  const place = await chat.access.place(viewer.user, target)
  const seq = /^[1-9]\d{0,14}$/.test(params.seq!) ? Number(params.seq) : 0
  return { status: 200, body: await chat.messages.get(place, seq) }
}

/** The name in NFC. What a regular expression cannot say well. */
export function checkRoomName(given: string, charsMax: number): string {
  const name = given.normalize('NFC')
  const fault = (reason: 'too_long' | 'too_short' | 'invalid', detail: string) =>
    fieldProblem('name', reason, detail)
  if ([...name].length > charsMax) throw fault('too_long', `At most ${charsMax} characters.`)
  if (!isVisible(name)) throw fault('too_short', 'A name needs something to see in it.')
  if (name.trim() !== name) throw fault('invalid', 'No white space at its ends.')
  return name
}

export function ok(value: unknown): Reply {
  return { status: 200, body: JSON.stringify(value) }
}

export function created(location: string, value: unknown): Reply {
  return { status: 201, body: JSON.stringify(value), headers: { Location: location } }
}
