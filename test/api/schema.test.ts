/** The shapes of requests: what is refused, and with which code. */
import { describe, expect, test } from 'bun:test'
import { check, requestSchemas } from '../../src/api/schema.ts'
import { defaultConfig } from '../../src/config.ts'
import { codeOf, thrownBy } from './codes.ts'

const schemas = requestSchemas(defaultConfig())
const { credentials, signIn, room, draft, names, history, start, subscribe, post } = schemas
const password = 'correct horse'
const MAX = Number.MAX_SAFE_INTEGER

describe('accepted, at the very edge', () => {
  test.each([
    ['a name of 2', credentials, { name: 'ab', password }],
    ['a name of 32', credentials, { name: 'a'.repeat(32), password }],
    ['every character of a name', credentials, { name: 'az09._-', password }],
    ['a password of 8', credentials, { name: 'ada', password: 'x'.repeat(8) }],
    ['a password of 256', credentials, { name: 'ada', password: 'x'.repeat(256) }],
    ['a sign-in with a short password', signIn, { name: 'ada', password: '' }],
    ['a key of 1', draft, { text: 'a', key: 'k' }],
    ['a key of 255', draft, { text: 'a', key: 'k'.repeat(255) }],
    ['a page of 1', history, { limit: '1' }],
    ['a page of 1,000', history, { limit: '1000' }],
    ['a wait of 60', history, { after: '0', wait: '60' }],
    ['before 1', history, { before: '1' }],
    ['before 2^53 − 1', history, { before: String(MAX) }],
    ['after 0', history, { after: '0' }],
    ['after 2^53 − 1', start, { after: String(MAX) }],
    ['an epoch of 64', start, { epoch: 'e'.repeat(64) }],
    ['a cursor of 512', names, { cursor: 'c'.repeat(512) }],
    ['an id of 64', subscribe, { room: 'r'.repeat(64) }],
    ['an inbox', subscribe, { inbox: true, after: MAX }],
  ])('%s', (_, schema, value) => {
    expect(codeOf(() => check(schema as typeof draft, value))).toBeUndefined()
  })
})

describe('refused, just beyond it', () => {
  test.each([
    ['a name of 1', credentials, { name: 'a', password }, 'name_invalid'],
    ['a name of 33', credentials, { name: 'a'.repeat(33), password }, 'name_invalid'],
    ['a capital', credentials, { name: 'Ada', password }, 'name_invalid'],
    ['a blank', credentials, { name: 'ada l', password }, 'name_invalid'],
    ['a line at the end', credentials, { name: 'ada\n', password }, 'name_invalid'],
    ['a look-alike', credentials, { name: '\u0430da', password }, 'name_invalid'],
    [
      'a password of 7',
      credentials,
      { name: 'ada', password: 'x'.repeat(7) },
      'password_too_short',
    ],
    [
      'a password of 257',
      credentials,
      { name: 'ada', password: 'x'.repeat(257) },
      'password_too_long',
    ],
    ['a sign-in with 257', signIn, { name: 'ada', password: 'x'.repeat(257) }, 'password_too_long'],
    ['an empty key', draft, { text: 'a', key: '' }, 'key_too_short'],
    ['a key of 256', draft, { text: 'a', key: 'k'.repeat(256) }, 'key_too_long'],
    ['NUL in a text', draft, { text: 'a\0b' }, 'text_invalid'],
    ['NUL in a frame’s text', post, { room: 'r', text: '\0' }, 'text_invalid'],
    ['NUL in a key', draft, { text: 'a', key: 'a\0b' }, 'key_invalid'],
    ['NUL in a name to look for', names, { name: 'a\0' }, 'name_invalid'],
    ['NUL in a room’s name', room, { name: 'a\0b' }, 'name_invalid'],
    ['a line in a room’s name', room, { name: 'a\nb' }, 'name_invalid'],
    ['a line separator in one', room, { name: 'a\u2028b' }, 'name_invalid'],
    ['a page of 0', history, { limit: '0' }, 'limit_out_of_range'],
    ['a page of 1,001', history, { limit: '1001' }, 'limit_out_of_range'],
    ['a page of 10^9', history, { limit: '1000000000' }, 'limit_out_of_range'],
    ['a wait of 61', history, { wait: '61' }, 'wait_out_of_range'],
    ['before 0', history, { before: '0' }, 'before_out_of_range'],
    ['around 0', history, { around: '0' }, 'around_out_of_range'],
    ['after −1', history, { after: '-1' }, 'after_out_of_range'],
    ['after 2^53', history, { after: String(MAX + 1) }, 'after_out_of_range'],
    ['after a number with 400 digits', history, { after: '9'.repeat(400) }, /^after_/],
    ['after 1e309', history, { after: '1e309' }, 'after_invalid'],
    ['after 1;DROP', history, { after: '1;DROP' }, 'after_invalid'],
    ['after nothing', history, { after: '' }, 'after_invalid'],
    ['after +1', history, { after: '+1' }, 'after_invalid'],
    ['after a blank and 1', history, { after: ' 1' }, 'after_invalid'],
    ['after 0x1', history, { after: '0x1' }, 'after_invalid'],
    ['after 1.0', history, { after: '1.0' }, 'after_invalid'],
    ['an epoch of 65', start, { epoch: 'e'.repeat(65) }, 'epoch_too_long'],
    ['an empty cursor', names, { cursor: '' }, 'cursor_too_short'],
    ['a cursor of 513', names, { cursor: 'c'.repeat(513) }, 'cursor_too_long'],
    ['an id of 65', subscribe, { room: 'r'.repeat(65) }, 'room_too_long'],
    ['a frame after −1', subscribe, { inbox: true, after: -1 }, 'after_out_of_range'],
    ['a frame after 1.5', subscribe, { inbox: true, after: 1.5 }, 'after_wrong_type'],
    ['a frame after 2^53', subscribe, { inbox: true, after: MAX + 1 }, /^after_/],
    ['an inbox that is false', subscribe, { inbox: false }, 'inbox_invalid'],
  ])('%s', (_, schema, value, code) => {
    expect(codeOf(() => check(schema as typeof draft, value))).toMatch(code)
  })
})

describe('every field of every request', () => {
  const wrongTypes = [null, 1, true, {}, [], ['a']]
  const fields = Object.entries(schemas).flatMap(([name, schema]) =>
    'shape' in schema ? Object.keys(schema.shape).map((field) => [name, field]) : [],
  )

  test.each(fields)('%s.%s refuses values of a wrong type', (name, field) => {
    const schema = schemas[name as 'draft']
    const good = { ...GOOD[name as keyof typeof GOOD] }
    expect(codeOf(() => check(schema, good))).toBeUndefined()
    const right = typeof (good as Record<string, unknown>)[field!]
    for (const wrong of wrongTypes.filter((one) => typeof one !== right)) {
      const found = thrownBy(() => check(schema, { ...good, [field!]: wrong }))
      expect(found?.status).toBe(400)
      expect(found?.options.field).toBe(field!)
      expect(found?.code).toMatch(/_(wrong_type|invalid)$/)
    }
  })

  test.each(Object.keys(goodValues()))('%s refuses a field it does not know', (name) => {
    const good = GOOD[name as keyof typeof GOOD]
    for (const field of ['admin', 'constructor', 'Text']) {
      const found = thrownBy(() => check(schemas[name as 'draft'], { ...good, [field]: 1 }))
      expect(found).toMatchObject({ code: 'unknown_field', options: { field } })
    }
  })

  test.each([
    ['credentials', 'name'],
    ['credentials', 'password'],
    ['signIn', 'password'],
    ['room', 'name'],
    ['draft', 'text'],
    ['auth', 'token'],
    ['unsubscribe', 'timeline'],
    ['post', 'text'],
  ])('%s needs its %s', (name, field) => {
    const { [field]: _, ...rest } = GOOD[name as keyof typeof GOOD] as Record<string, unknown>
    expect(codeOf(() => check(schemas[name as 'draft'], rest))).toBe(`${field}_missing`)
  })
})

/** A good value for every schema, with all of its fields. */
const GOOD = goodValues()

function goodValues() {
  return {
    credentials: { name: 'ada', password },
    signIn: { name: 'ada', password },
    room: { name: 'Salon' },
    draft: { text: 'hello', key: 'k1' },
    names: { name: 'a', limit: '10', cursor: 'PmE' },
    history: { before: '1', after: '1', around: '1', limit: '10', wait: '1' },
    start: { after: '1', epoch: 'e' },
    auth: { token: 't' },
    subscribe: { room: 'r', user: 'u', inbox: true, after: 1, epoch: 'e' },
    unsubscribe: { timeline: 't' },
    post: { room: 'r', user: 'u', text: 'hello', key: 'k1' },
    ping: {},
  }
}

test('settings move the bounds', () => {
  const moved = requestSchemas(defaultConfig({ pageMax: 10, keyCharsMax: 16 }))
  expect(check(moved.history, { limit: '10' }).limit).toBe(10)
  expect(codeOf(() => check(moved.history, { limit: '11' }))).toBe('limit_out_of_range')
  expect(check(moved.draft, { text: 'a', key: 'k'.repeat(16) }).text).toBe('a')
  expect(codeOf(() => check(moved.draft, { text: 'a', key: 'k'.repeat(17) }))).toBe('key_too_long')
})
