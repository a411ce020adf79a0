/** What people write to see what happens. Nothing happens: it is shown as the text that it is. */
import { afterAll, beforeAll, expect } from 'bun:test'
import { type Person, ServerProcess, signUp } from '../harness.ts'
import { browserTest, useBrowser } from './browser.ts'
import { tracedTasks } from './tasks.ts'
import { Visitor } from './visitor.ts'

/** The longest text that is let in. */
const TEXT_BYTES_MAX = 16_384
const NARROW = { width: 320, height: 640, hasTouch: true }
/** A longer task is felt as a stutter. */
const TASK_MS_MAX = 100

const browser = useBrowser()
let server: ServerProcess
let mallory: Person

beforeAll(async () => {
  server = await ServerProcess.start()
  mallory = await signUp(server.url)
})
afterAll(() => server.stopAndForget())

/** Each sets `window.ran` if it is more than text. */
const SCRIPTS = [
  '<img src=x onerror="window.ran=1">',
  '<script>window.ran=1</script>',
  '<svg onload=window.ran=1><circle r=9></svg>',
  '<iframe srcdoc="<script>parent.ran=1</script>"></iframe>',
  '<a href="javascript:window.ran=1">here</a>',
  '<details open ontoggle=window.ran=1>x</details>',
  '[here](javascript:window.ran=1)',
  '[here](JaVaScRiPt&#58;window.ran=1)',
  '[here](&#106;avascript:window.ran=1)',
  '[here]( javascript:window.ran=1)',
  '[here](data:text/html,<script>window.ran=1</script>)',
  '[here](vbscript:window.ran=1)',
  '![x](javascript:window.ran=1)',
  '![x" onerror="window.ran=1](x)',
  '<javascript:window.ran=1>',
  '[here]: javascript:window.ran=1\n\n[here]',
  'https://example.org/"onmouseover="window.ran=1',
  '`<script>window.ran=1</script>`',
  '```\n</code></pre><script>window.ran=1</script>\n```',
  '{{constructor.constructor("window.ran=1")()}}',
]

const full = (part: string) => part.repeat(Math.floor(TEXT_BYTES_MAX / Buffer.byteLength(part)))

/** Each is made to break the layout, or the patience. */
const SHAPES: Record<string, string> = {
  'no space': full('x'),
  'an address without end': `https://example.org/${full('x').slice(100)}`,
  'a code block without end': `\`\`\`\n${full('x').slice(100)}\n\`\`\``,
  'a wide table': `${'|a'.repeat(500)}|\n${'|-'.repeat(500)}|\n${'|b'.repeat(500)}|`,
  'right to left': '\u202Eevil\u202E is written backwards\u2067',
  'marks on marks': `Z${'\u0335\u0321\u0353\u0300\u0301\u0302\u0303\u0304'.repeat(200)}algo`,
  'five hundred emoji': '🧑‍🚀'.repeat(500),
  'quotes in quotes': `${full('>').slice(10)} deep`,
  'spaced quotes': `${full('> ').slice(10)} deep`,
  'lists in lists': Array.from({ length: 60 }, (_, i) => `${'  '.repeat(i)}- deep`).join('\n'),
  'lists on one line': `${full('- ').slice(10)} deep`,
  brackets: full('['),
  'links never closed': full('[a](b'),
  stars: full('*a '),
  'stars and bars': full('*_'),
  ticks: full('`a'),
  bangs: full('![['),
  'line ends': `a${'\n'.repeat(TEXT_BYTES_MAX - 2)}b`,
}

/** Posts them, and opens the room they are in, on a phone. */
async function visit(texts: readonly string[]): Promise<Visitor> {
  const room = await mallory.createRoom()
  for (const text of texts) await mallory.post(`/room/${room.id}`, text)
  const visitor = await new Visitor(await browser.openPage(server.url, NARROW)).signUp()
  await visitor.follow(`#/room/${room.id}`)
  await visitor.log.locator(`[data-seq="${texts.length}"]`).waitFor()
  return visitor
}

browserTest('nothing runs, nothing is loaded, and no link leads to a program', async () => {
  const ada = await visit(SCRIPTS)
  const asked: string[] = []
  ada.page.on('request', (request) => asked.push(request.url()))
  const found = await ada.log.evaluate((log) => ({
    ran: 'ran' in window,
    elements: [...new Set([...log.querySelectorAll('.text *')].map((one) => one.localName))],
    attributes: [...log.querySelectorAll('.text *')].flatMap((one) => one.getAttributeNames()),
    protocols: [...log.querySelectorAll<HTMLAnchorElement>('a')].map(({ protocol }) => protocol),
  }))
  expect(found.ran).toBe(false)
  expect(found.elements.filter((name) => !/^(p|br|a|code|pre|em|strong)$/.test(name))).toEqual([])
  expect(found.attributes.filter((name) => name.startsWith('on'))).toEqual([])
  expect(found.protocols.filter((protocol) => !/^(https?|mailto):$/.test(protocol))).toEqual([])
  expect(found.protocols.length).toBeGreaterThan(0)
  // One looks at each and touches what can be touched; what opens elsewhere is no affair of ours.
  const links = ada.log.locator('.text a:not([target=_blank])')
  for (const link of await links.all()) await link.tap()
  for (const article of await ada.log.locator('article').all()) await article.hover()
  expect(await ada.page.evaluate(() => 'ran' in window)).toBe(false)
  expect(asked.filter((url) => !url.startsWith(server.url))).toEqual([])
})

browserTest('what looks like markup is shown as it was written', async () => {
  const literal = SCRIPTS.filter((text) => /^<[a-z]+[ >]/.test(text))
  const ada = await visit(literal)
  expect(literal.length).toBeGreaterThan(4)
  expect((await ada.messages()).map(({ text }) => text)).toEqual(literal)
})

browserTest('nothing makes a narrow page scroll sideways', async () => {
  const ada = await visit(Object.values(SHAPES))
  const names = Object.keys(SHAPES)
  const wide = await ada.page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement
    const log = document.querySelector('[role=log]')!
    // What does not fit into its line would be cut off: only code and tables scroll by themselves.
    const tooWide = [...log.querySelectorAll<HTMLElement>('article, .text, .text p')].filter(
      (element) => element.scrollWidth > element.clientWidth && element.clientWidth > 0,
    )
    return {
      page: scrollWidth - clientWidth,
      log: log.scrollWidth - log.clientWidth,
      articles: tooWide.map((element) => Number(element.closest('article')!.dataset.seq)),
    }
  })
  expect(wide.articles.map((seq) => names[seq - 1])).toEqual([])
  expect([wide.page, wide.log]).toEqual([0, 0])
})

browserTest('a text cannot turn what stands around it, nor cover it', async () => {
  const ada = await visit([SHAPES['right to left']!, SHAPES['marks on marks']!, 'next'])
  const styles = await ada.log.locator('article .text').evaluateAll((texts) =>
    texts.map((text) => {
      const { unicodeBidi, overflowY } = getComputedStyle(text)
      const article = getComputedStyle(text.closest('article')!)
      return { unicodeBidi, clips: `${overflowY} ${article.overflowY} ${article.contain}` }
    }),
  )
  for (const { unicodeBidi, clips } of styles) {
    expect(unicodeBidi).toMatch(/isolate|plaintext/)
    expect(clips).toMatch(/hidden|clip|paint|content|strict/)
  }
})

browserTest('each of them leaves the page answering', async () => {
  const ada = await visit(['first'])
  const slowest: [ms: number, name: string][] = []
  for (const [name, text] of Object.entries(SHAPES)) {
    const tasks = await tracedTasks(ada.page, async () => {
      await mallory.post(ada.place, text)
      await ada.say(`after ${name}`)
      await ada.sees(`after ${name}`)
    })
    slowest.push([Math.max(...tasks), name])
  }
  slowest.sort(([one], [other]) => other - one)
  console.log(`longest tasks, in ms of CPU time: ${slowest.slice(0, 3).join(', ')}`)
  expect(slowest.filter(([ms]) => ms > TASK_MS_MAX)).toEqual([])
})
