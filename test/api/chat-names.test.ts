/** When two names are the same, and what can be seen of a text. */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { foldedName, isVisible } from '../../src/chat/names.ts'

test.each([
  ['case', 'General', 'gENERAL'],
  ['composed and decomposed', 'caf\u00e9', 'cafe\u0301'],
  ['both at once', 'CAF\u00c9', 'cafe\u0301'],
  ['sharp s', 'Straße', 'STRASSE'],
  ['capital sharp s', 'STRAẞE', 'strasse'],
  ['the sigmas', 'ΟΔΟΣ', 'οδος'],
  ['Kelvin and Ångström signs', '\u212a\u212b', 'kå'],
  ['letters beyond the first plane', '\u{10400}', '\u{10428}'],
  ['a ligature', 'ﬁle', 'FILE'],
])('the same but for %s', (_, one, other) => {
  expect(foldedName(one)).toBe(foldedName(other))
})

test.each([
  ['a', 'b'],
  ['a', 'a '],
  ['e', 'é'],
  ['room 1', 'room１'],
])('%s and %s are different names', (one, other) => {
  expect(foldedName(one)).not.toBe(foldedName(other))
})

const anyText = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }))

test('folding twice changes nothing, and no spelling of a name escapes it', () => {
  fc.assert(
    fc.property(anyText, (name) => {
      const folded = foldedName(name)
      expect(foldedName(folded)).toBe(folded)
      expect(foldedName(name.normalize('NFD'))).toBe(folded)
      expect(foldedName(name.toUpperCase())).toBe(folded)
    }),
    { numRuns: 1_000 },
  )
})

test('the beginning of a name folds into the beginning of the folded name', () => {
  for (const name of ['ΟΔΟΣΑ', 'STRASSE', 'Café au lait'])
    for (let end = 0; end <= name.length; end++)
      expect(foldedName(name)).toStartWith(foldedName(name.slice(0, end)))
})

test.each([
  ['nothing', ''],
  ['blanks', '   '],
  ['tabs and lines', '\t\r\n'],
  ['wide and no-break spaces', '\u3000\u00a0\u2003'],
  ['zero-width space and joiners', '\u200b\u200c\u200d'],
  ['a byte order mark', '\ufeff'],
  ['direction marks', '\u200e\u202e\u2066'],
  ['control characters', '\0\u0007\u009f'],
  ['a soft hyphen', '\u00ad'],
  ['a variation selector', '\ufe0f'],
  ['invisible tags', '\u{e0061}'],
  ['Hangul fillers', '\u3164\u115f\uffa0'],
  ['a blank Braille pattern', '\u2800'],
  ['line and paragraph separators', '\u2028\u2029'],
  ['all of them', ' \u200b\ufeff\u3164\u2800'],
])('there is nothing to see in %s', (_, text) => {
  expect(isVisible(text)).toBe(false)
})

test.each(['a', '.', ' a ', '\u200ba', '😀', '👩\u200d👩', '中', 'ا', '\u0301', '⠁', '\u{1f3fb}'])(
  'there is something to see in %p',
  (text) => {
    expect(isVisible(text)).toBe(true)
  },
)
