/**
 * Texts as the page shows them. The components are called as Preact would call them, down to plain
 * elements, and written out; what stands between `<` and `>` here is an element, never a text.
 */
import { expect, test } from 'bun:test'
import type { ComponentChildren, VNode } from 'preact'
import { Fragment } from 'preact'
import { Markdown } from '../../web/markdown.tsx'

const ATTRIBUTES = ['href', 'rel', 'target', 'start']

function written(node: ComponentChildren): string {
  if (Array.isArray(node)) return node.map(written).join('')
  if (node === null || node === undefined || typeof node === 'boolean') return ''
  if (typeof node !== 'object') return String(node).replaceAll('<', '‹').replaceAll('>', '›')
  const { type, props } = node as VNode<Record<string, unknown>>
  if (type === Fragment) return written(props.children as ComponentChildren)
  if (typeof type === 'function') return written((type as (given: unknown) => VNode)(props))
  const attributes = ATTRIBUTES.filter((name) => props[name] !== undefined)
  const shown = attributes.map((name) => ` ${name}=${props[name]}`).join('')
  return `<${type}${shown}>${written(props.children as ComponentChildren)}</${type}>`
}

const shown = (text: string) => written(Markdown({ text }))
const AWAY = 'rel=noopener noreferrer nofollow'

for (const [text, html] of [
  ['hello', '<p>hello</p>'],
  ['one\ntwo', '<p>one<br></br>two</p>'],
  ['**bold** _soft_ ~~gone~~', '<p><strong>bold</strong> <em>soft</em> <del>gone</del></p>'],
  ['`a < b`', '<p><code>a ‹ b</code></p>'],
  ['```js\nif (a < b) c()\n```', '<pre><code>if (a ‹ b) c()</code></pre>'],
  ['- one\n- two', '<ul><li>one</li><li>two</li></ul>'],
  ['3. one', '<ol start=3><li>one</li></ol>'],
  ['> so', '<blockquote><p>so</p></blockquote>'],
  ['# Title', '<p>Title</p>'],
  ['2 < 3 && 5 > 4', '<p>2 ‹ 3 && 5 › 4</p>'],
  ['&amp; &lt;b&gt;', '<p>&amp; &lt;b&gt;</p>'],
] as const)
  test(`is shown as it is meant: ${JSON.stringify(text)}`, () => {
    expect(shown(text)).toBe(html)
  })

test('addresses become links that tell the other side nothing', () => {
  expect(shown('see https://example.org/a_b?c=1')).toBe(
    `<p>see <a href=https://example.org/a_b?c=1 ${AWAY} target=_blank>` +
      'https://example.org/a_b?c=1</a></p>',
  )
})

test('a picture is not loaded: it is a link to it', () => {
  expect(shown('![cat](https://example.org/cat.png)')).toContain('>cat</a>')
  expect(shown('![cat](https://example.org/cat.png)')).not.toContain('<img')
})

for (const text of [
  '<img src=x onerror=alert(1)>',
  '<script>alert(1)</script>',
  'a <b onclick="x()">b</b> c',
  '<svg/onload=alert(1)>',
  '<!-- --><iframe src="https://example.org">',
  '<a href="javascript:alert(1)">x</a>',
])
  test(`what looks like a tag is text: ${text}`, () => {
    expect(shown(text)).toMatch(/^<p>[^<>]*(<br><\/br>[^<>]*)*<\/p>$/)
    expect(shown(text)).toContain(text.replaceAll('<', '‹').replaceAll('>', '›'))
  })

for (const href of [
  'javascript:alert(1)',
  'JaVaScRiPt:alert(1)',
  ' javascript:alert(1)',
  'data:text/html,<script>alert(1)</script>',
  'vbscript:x',
  '//example.org',
  '/users',
  '#/room/a',
])
  test(`leads nowhere: ${href}`, () => {
    expect(shown(`[click](<${href}>)`)).not.toContain('<a')
    expect(shown(`![click](<${href}>)`)).not.toContain('<a')
    expect(shown(`[click][x]\n\n[x]: <${href}>`)).not.toContain('<a')
  })

for (const [what, text] of [
  ['quotes in quotes', '> '.repeat(4_000)],
  ['lists in lists', '- '.repeat(4_000)],
  ['brackets', '['.repeat(8_000)],
  ['stars', '*a '.repeat(2_600)],
  ['underscores', '_'.repeat(8_000)],
  ['backticks', '`a'.repeat(4_000)],
  ['links in links', '[a](b '.repeat(1_300)],
  ['tables', `|${'a|'.repeat(1_000)}\n|${'-|'.repeat(1_000)}\n|${'b|'.repeat(1_000)}`],
  ['blanks', `a${' '.repeat(7_990)}b`],
  ['line ends', '\n'.repeat(8_000)],
  ['tags', '<a '.repeat(2_600)],
] as const)
  test(`is read in no time, however it is made: ${what}`, () => {
    // Of a core, however many others want it.
    const before = process.cpuUsage()
    shown(text)
    const { user, system } = process.cpuUsage(before)
    expect((user + system) / 1_000).toBeLessThan(250)
  })

test('nesting has a floor: what lies deeper is shown as it was written', () => {
  expect(shown(`${'> '.repeat(8)}x`)).toContain('<p>x</p>')
  const deep = shown(`${'> '.repeat(15)}x`)
  expect(deep.match(/<blockquote>/g)?.length).toBeLessThanOrEqual(9)
  expect(deep).toContain('› x')
})

test('a very long text is not read as Markdown', () => {
  expect(shown(`**a**${'x'.repeat(7_995)}`)).toContain('<strong>')
  expect(shown(`**a**${'x'.repeat(7_996)}`)).not.toContain('<strong>')
})
