/** Reading JSON strictly: whatever two readers could understand differently is refused. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { decodeUtf8, parseObject } from '../../src/api/json.ts'
import { codeOf } from './codes.ts'

describe('accepted as it stands', () => {
  test('whatever JSON.stringify makes of plain values', () => {
    const value = fc.letrec<{ any: unknown; object: Record<string, unknown> }>((tie) => ({
      any: fc.oneof(
        { maxDepth: 5, withCrossShrink: true },
        fc.string({ unit: 'binary' }),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.integer(),
        fc.constantFrom(null, true, false, '"', '\\', '\\"', '":', '{', '[', ','),
        fc.array(tie('any'), { maxLength: 5 }),
        tie('object'),
      ),
      object: fc.dictionary(fc.string({ unit: 'binary' }), tie('any'), { maxKeys: 5 }),
    }))
    fc.assert(
      fc.property(value.object, fc.constantFrom('', ' ', '\n\t', '  '), (object, indent) => {
        const text = JSON.stringify(object, null, indent)
        // What JSON itself keeps: −0 becomes 0, and a prototype is not part of it.
        expect(parseObject(text)).toEqual(JSON.parse(text))
      }),
      { numRuns: 500 },
    )
  })

  test('the same key in different objects, as a value, and inside strings', () => {
    for (const text of [
      '{"a":{"a":{"a":1}}}',
      '{"a":[{"b":1},{"b":2}]}',
      '{"a":"a","b":"a"}',
      '{"a":"\\"a\\":1","b":"{\\"a\\":1,\\"a\\":2}"}',
      '{"a":"\\\\","b":"\\\\\\""}',
      '{"a" \r\n\t: 1, "b" : "a" }',
      '{"":1,"a":{"":2}}',
      '{"a":":","b:":1,"c":"::\\":"}',
    ])
      expect(parseObject(text)).toEqual(JSON.parse(text))
  })

  test('a whole surrogate pair, written plainly and escaped', () => {
    expect(parseObject('{"a":"😀"}')).toEqual({ a: '😀' })
    expect(parseObject('{"a":"\\ud83d\\ude00"}')).toEqual({ a: '😀' })
  })

  test('`__proto__` is a key like any other and changes no prototype', () => {
    const object = parseObject('{"__proto__":{"admin":true}}')
    expect(Object.keys(object)).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(object)).toBe(Object.prototype)
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
  })
})

test.each([
  ['the same key twice', '{"a":1,"a":2}'],
  ['flat, with colons in the values', '{"a":"1:2","b":":","a":":"}'],
  ['flat, the first without a value of its own', '{"a":null,"a":":"}'],
  ['with something between', '{"a":1,"b":{"a":1},"a":2}'],
  ['the second time escaped', '{"a":1,"\\u0061":2}'],
  ['the first time escaped', '{"\\u0061":1,"a":2}'],
  ['escaped in two ways', '{"\\u0062":1,"\\u0062":2}'],
  ['deep inside', '{"x":[{"y":{"a":1,"a":1}}]}'],
  ['with white space before the colon', '{"a" :1,"a"\n:2}'],
  ['empty', '{"":1,"":2}'],
  ['with a quote in it', '{"\\"":1,"\\"":2}'],
  ['`__proto__`', '{"__proto__":1,"__proto__":2}'],
])('a duplicate key is refused: %s', (_, text) => {
  expect(codeOf(() => parseObject(text))).toBe('body_duplicate_key')
})

test('any key given twice is refused, wherever it stands among others', () => {
  const keys = fc.uniqueArray(fc.string({ unit: 'grapheme' }), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(keys, fc.nat(), fc.nat(), fc.boolean(), (names, which, where, isEscaped) => {
      const twice = names[which % names.length]!
      const members = names.map((name) => `${JSON.stringify(name)}:0`)
      const again = isEscaped ? escapedText(twice) : JSON.stringify(twice)
      members.splice(where % (members.length + 1), 0, `${again}:1`)
      expect(codeOf(() => parseObject(`{${members.join(',')}}`))).toBe('body_duplicate_key')
    }),
  )
})

/** Every UTF-16 unit as `\uXXXX`. */
function escapedText(text: string): string {
  const units = Array.from({ length: text.length }, (_, i) => text.charCodeAt(i))
  return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`
}

test.each([
  ['a high one alone', '{"a":"\\ud800"}'],
  ['a low one alone', '{"a":"\\udc00"}'],
  ['in the wrong order', '{"a":"\\udc00\\ud800"}'],
  ['in a key', '{"\\ud800":1}'],
  ['in an array', '{"a":["x\\udfff"]}'],
  ['not escaped', '{"a":"\ud800"}'],
])('half of a surrogate pair is refused: %s', (_, text) => {
  expect(codeOf(() => parseObject(text))).toBe('body_lone_surrogate')
})

test('depth: 32 passes, 33 does not, whether of arrays or of objects', () => {
  const arrays = (depth: number) => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`
  const objects = (depth: number) => `${'{"a":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`
  for (const nested of [arrays, objects]) {
    expect(parseObject(nested(32))).toBeDefined()
    expect(codeOf(() => parseObject(nested(33)))).toBe('body_too_deep')
  }
})

test('brackets inside strings are no depth', () => {
  expect(parseObject(`{"a":"${'['.repeat(100)}"}`)).toEqual({ a: '['.repeat(100) })
})

test('ten thousand levels are refused without harm', () => {
  const text = `{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`
  expect(codeOf(() => parseObject(text))).toBe('body_too_deep')
})

test.each([
  ['nothing', ''],
  ['a byte order mark', '\ufeff{"a":1}'],
  ['NaN', '{"a":NaN}'],
  ['Infinity', '{"a":Infinity}'],
  ['cut off', '{"a":1'],
  ['cut off in a string', '{"a":"b'],
  ['a comma at the end', '{"a":1,}'],
  ['single quotes', "{'a':1}"],
  ['a comment', '{"a":1/* b */}'],
  ['more after the end', '{"a":1}{}'],
  ['a plain control character', '{"a":"\n"}'],
  ['a number with a zero in front', '{"a":01}'],
])('what is no JSON is refused: %s', (_, text) => {
  expect(codeOf(() => parseObject(text))).toBe('body_not_json')
})

test.each(['[]', '[{"a":1}]', 'null', '1', '"a"', 'true'])('no object: %s', (text) => {
  expect(codeOf(() => parseObject(text))).toBe('body_not_object')
})

describe('bytes', () => {
  test('every well-formed text comes back as it was, a byte order mark included', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(decodeUtf8(new TextEncoder().encode(text))).toBe(text)
      }),
    )
    expect(decodeUtf8(new Uint8Array([0xef, 0xbb, 0xbf, 0x7b]))).toBe('\ufeff{')
  })

  test.each([
    ['a byte that cannot be', [0xff]],
    ['a continuation alone', [0x80]],
    ['a sequence cut short', [0xc3]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['an encoded surrogate', [0xed, 0xa0, 0x80]],
    ['beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
  ])('broken UTF-8 is refused: %s', (_, bytes) => {
    expect(codeOf(() => decodeUtf8(new Uint8Array(bytes)))).toBe('body_not_utf8')
  })
})
