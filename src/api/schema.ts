/**
 * The shapes of everything that goes in and out. From these come the types, the checks and the
 * documents. Objects are strict: a field nobody knows is an error, not a surprise.
 */
import { z } from 'zod'
import type { Config } from '../config.ts'
import { fieldProblem, type Problem, problem } from '../errors.ts'

const SEQ_MAX = Number.MAX_SAFE_INTEGER
/** No message needs NUL, some databases cannot keep it, and many programs end a text there. */
const NO_NUL = /^[^\0]*$/

/** A whole number in a query string: digits only, so `1e3`, `+1` and `0x1` are refused. */
function digits(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`
  return z
    .string()
    .regex(/^-?\d+$/, message)
    .transform(Number)
    .pipe(z.number().int(message).min(min, message).max(max, message))
}

const time = z.string().meta({ format: 'date-time', examples: ['2026-11-22T20:15:03.120Z'] })
const id = z.string().max(64)
const seq = z.int().min(0).max(SEQ_MAX)

export const userSchema = z
  .strictObject({ id, name: z.string(), createdAt: time })
  .meta({ id: 'User' })

export const sessionSchema = z
  .strictObject({
    id,
    userAgent: z.string(),
    createdAt: time,
    lastUsedAt: time,
    expiresAt: time,
    current: z.boolean().describe('Whether it is the one this request was made with.'),
  })
  .meta({ id: 'Session' })

export const signedInSchema = z
  .strictObject({ token: z.string(), user: userSchema, expiresAt: time })
  .meta({ id: 'SignedIn' })

export const roomSchema = z
  .strictObject({
    id,
    name: z.string(),
    head: seq.describe('The seq of its last message; 0 if it has none.'),
    createdAt: time,
    createdBy: id.describe('A user’s id.'),
  })
  .meta({ id: 'Room' })

export const messageSchema = z
  .strictObject({
    seq: z.int().min(1),
    type: z.literal('message'),
    from: z.strictObject({ id, name: z.string() }),
    at: time,
    text: z.string(),
    room: id.optional(),
    user: id.optional().describe('In a direct conversation: the other person.'),
  })
  .meta({ id: 'Message' })

export const inboxEntrySchema = z
  .strictObject({ seq: z.int().min(1), type: z.literal('direct'), message: messageSchema })
  .meta({ id: 'InboxEntry' })

export const problemSchema = z
  .strictObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string(),
    detail: z.string().optional(),
    hint: z.string().optional(),
    field: z.string().optional(),
    retryAfter: z.int().optional(),
  })
  .meta({ id: 'Problem' })

/** Fields that several requests share. */
function fields(config: Config) {
  const name = z
    .string()
    .regex(/^[a-z0-9._-]{2,32}$/, 'must be 2–32 of a–z 0–9 . _ -')
    .describe('2–32 of a–z 0–9 . _ -')
  const limit = digits(1, config.pageMax).describe(`1–${config.pageMax}`)
  const cursor = z.string().min(1).max(512).describe('From a Link header.')
  const key = z
    .string()
    .min(1)
    .max(config.keyCharsMax)
    .regex(NO_NUL, 'must not hold a NUL character')
    .describe('Idempotency key.')
  const text = z
    .string()
    .regex(NO_NUL, 'must not hold a NUL character')
    .describe(`At most ${config.textBytesMax} bytes of UTF-8, not blank.`)
  const after = digits(0, SEQ_MAX).describe('Events after this seq.')
  const epoch = z.string().min(1).max(64).describe('The epoch that `after` belongs to.')
  const roomName = z
    .string()
    .regex(/^[^\p{Cc}\p{Zl}\p{Zp}]*$/u, 'must be one line without control characters')
    .describe(`1–${config.roomNameCharsMax} characters, no white space at its ends.`)
  return { name, limit, cursor, key, text, after, epoch, roomName }
}

/** The shapes of requests, some of whose limits are settings. */
export function requestSchemas(config: Config) {
  const { waitSecondsMax, passwordCharsMin, passwordCharsMax } = config
  const { name, limit, cursor, key, text, after, epoch, roomName } = fields(config)
  return {
    key,
    credentials: z.strictObject({
      name,
      password: z.string().min(passwordCharsMin).max(passwordCharsMax),
    }),
    // A password that could never have been set is wrong like any other.
    signIn: z.strictObject({ name, password: z.string().max(passwordCharsMax) }),
    room: z.strictObject({ name: roomName }),
    draft: z.strictObject({ text, key: key.optional() }),
    names: z.strictObject({
      name: z
        .string()
        .max(320)
        .regex(NO_NUL, 'must not hold a NUL character')
        .optional()
        .describe('Only names that begin so.'),
      limit: limit.optional(),
      cursor: cursor.optional(),
    }),
    history: z.strictObject({
      before: digits(1, SEQ_MAX).optional().describe('Messages before this seq.'),
      after: after.optional(),
      around: digits(1, SEQ_MAX).optional().describe('Messages on both sides of this seq.'),
      limit: limit.optional(),
      epoch: epoch.optional(),
      wait: digits(0, waitSecondsMax).optional().describe('Seconds to wait for the next one.'),
    }),
    start: z.strictObject({ after: after.optional(), epoch: epoch.optional() }),
    auth: z.strictObject({ token: z.string().min(1).max(256) }),
    subscribe: z.strictObject({
      room: id.optional(),
      user: id.optional(),
      inbox: z.literal(true).optional(),
      after: seq.optional(),
      epoch: epoch.optional(),
    }),
    unsubscribe: z.strictObject({ timeline: id }),
    post: z.strictObject({ room: id.optional(), user: id.optional(), text, key: key.optional() }),
    ping: z.strictObject({}),
  }
}

export type RequestSchemas = ReturnType<typeof requestSchemas>

/**
 * The value, typed; or throws the problem of its first fault. `name` is what the whole is called.
 */
export function check<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  name = 'body',
): z.output<Schema> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw problemOf(result.error.issues[0]!, value, name)
}

function problemOf(issue: z.core.$ZodIssue, value: unknown, name: string): Problem {
  if (issue.code === 'unrecognized_keys') {
    const field = issue.keys[0]!.slice(0, 64)
    return problem('unknown_field', { field, detail: `\`${field}\` is not a field of this.` })
  }
  const field = issue.path.map(String).join('.') || name
  const given = issue.path.reduce<unknown>(
    (at, step) => (at as Record<PropertyKey, unknown> | undefined)?.[step],
    value,
  )
  const says = issue.message.replace(/^Invalid input: /, 'is not right: ')
  const detail = `\`${field}\` ${says}.`
  switch (issue.code) {
    case 'invalid_type':
      return fieldProblem(field, given === undefined ? 'missing' : 'wrong_type', detail)
    case 'too_small':
      return fieldProblem(field, issue.origin === 'string' ? 'too_short' : 'out_of_range', detail)
    case 'too_big':
      return fieldProblem(field, issue.origin === 'string' ? 'too_long' : 'out_of_range', detail)
    default:
      return fieldProblem(field, 'invalid', detail)
  }
}
