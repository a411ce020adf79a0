/**
 * Form, checked by a machine: imports point one way, runtime and environment are touched only where
 * they may be, and nothing outgrows what one can read. Each failure says what to do instead.
 */
import { expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

const ROOT = join(import.meta.dir, '..')
const FOLDERS = ['src', 'client', 'web', 'test', 'bench', 'scripts']

interface Source {
  /** Relative to the project, for example `src/chat/record.ts`. */
  path: string
  text: string
  lines: string[]
}

const sources: Source[] = FOLDERS.flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name) && !name.startsWith('dist/'))
    .map((name) => {
      const path = join(folder, name)
      const text = readFileSync(join(ROOT, path), 'utf8')
      return { path, text, lines: text.split('\n') }
    }),
)
const inSrc = sources.filter(({ path }) => path.startsWith('src/'))
/** The page. What bundles it runs beside the server, not in a browser. */
const inWeb = sources.filter(({ path }) => path.startsWith('web/') && path !== 'web/build.ts')

/** From the ground up: a layer may import from those before it and from itself. */
const LAYERS = ['ground', 'store', 'live', 'chat', 'api', 'server', 'verify', 'commands', 'main']
/** Modules at the root of `src/` that any layer may use. */
const GROUND = [
  'types',
  'errors',
  'clock',
  'log',
  'config',
  'metrics',
  'events',
  'version',
  'scripts',
]

function layerOf(path: string): string {
  const [, first, second] = path.split('/')
  if (second !== undefined) return first!
  const name = first!.replace('.ts', '')
  return GROUND.includes(name) ? 'ground' : name
}

function importsOf({ path, text }: Source): string[] {
  return [...text.matchAll(/^(?:import|export)[^'"]*?from '(\.[^']+)'/gms)].map(([, target]) =>
    relative(ROOT, join(ROOT, dirname(path), target!)),
  )
}

test('imports point one way: api → chat → live → store → ground', () => {
  const wrong: string[] = []
  for (const source of inSrc) {
    const from = LAYERS.indexOf(layerOf(source.path))
    expect(from, `${source.path} is in no known layer`).toBeGreaterThanOrEqual(0)
    for (const target of importsOf(source)) {
      if (!target.startsWith('src/')) continue
      const to = LAYERS.indexOf(layerOf(target))
      if (to > from) wrong.push(`${source.path} imports ${target}: move what both need down`)
    }
  }
  expect(wrong).toEqual([])
})

/** What may stand only in certain files of `src/`, and what to do elsewhere. */
const FENCES: { what: RegExp; allowed: RegExp; instead: string }[] = [
  {
    what: /\bBun\.|from 'bun(:[a-z]+)?'/,
    allowed: /^src\/(main|api\/(listen|socket-files)|store\/sqlite[\w-]*)\.ts$/,
    instead: 'keep the runtime behind an interface; another one is then one new file away',
  },
  {
    what: /process\.env/,
    allowed: /^src\/(config|verify\/scratch-server)\.ts$/,
    instead: 'make it a setting in config.ts',
  },
  {
    what: /from '.*\/((sqlite|postgres)(-\w+)?|migrations\/\w+|bus-\w+)\.ts'/,
    allowed:
      /^src\/(server|commands\/(backup|migrate|verify)|store\/(open|(sqlite|postgres)[\w-]*))\.ts$/,
    instead: 'use the contract; a backend is imported only where it is chosen',
  },
  {
    what: /\bconsole\./,
    allowed: /^src\/(main|commands\/\w+)\.ts$/,
    instead: 'use the log',
  },
  {
    what: /\bbus\.publish\(|\bstore\.append\(/,
    allowed: /^src\/chat\/record\.ts$/,
    instead: 'record through chat/record.ts, the one place that writes and announces',
  },
  {
    what: /\b(Date\.now\(\)|new Date\(\))/,
    allowed: /^src\/clock\.ts$/,
    instead: 'take the time from the clock you are given',
  },
]

for (const { what, allowed, instead } of FENCES)
  test(`${what.source} stands only where it may`, () => {
    const wrong: string[] = []
    let seen = 0
    for (const { path, lines } of inSrc)
      for (const [index, line] of lines.entries()) {
        if (!what.test(withoutComment(line))) continue
        if (allowed.test(path)) seen += 1
        else wrong.push(`${path}:${index + 1}: ${instead}`)
      }
    expect(wrong).toEqual([])
    expect(seen, 'the fence guards nothing: is its pattern still right?').toBeGreaterThan(0)
  })

test('client/ stands alone: no import from outside it, no runtime but the web’s', () => {
  const wrong: string[] = []
  const client = sources.filter(({ path }) => path.startsWith('client/'))
  for (const source of client) {
    for (const [, target] of source.text.matchAll(/^(?:import|export)[^'"]*?from '([^']+)'/gms))
      if (!/^\.\/[\w-]+\.ts$/.test(target!))
        wrong.push(`${source.path} imports ${target}: it must run alone, in a browser`)
    for (const [index, line] of source.lines.entries())
      if (/\b(Bun|process|Buffer|require)\b[.(]|\bimport\(/.test(withoutComment(line)))
        wrong.push(`${source.path}:${index + 1}: use what browsers have`)
  }
  expect(wrong).toEqual([])
  expect(client.length).toBeGreaterThan(10)
})

function withoutComment(line: string): string {
  return /^\s*(\/\/|\/?\*)/.test(line) ? '' : line
}

test('the page imports only from web/, client/ and packages', () => {
  const wrong = inWeb.flatMap((source) =>
    importsOf(source)
      .filter((target) => !/^(web|client)(\/|$)/.test(target))
      .map((target) => `${source.path} imports ${target}: the page knows the API alone`),
  )
  expect(wrong).toEqual([])
  expect(inWeb.length).toBeGreaterThan(0)
})

/** Each turns text into markup or code, which is how what others wrote becomes a program. */
const TEXT_TO_CODE = new RegExp(
  'innerHTML|outerHTML|insertAdjacentHTML|dangerouslySet|document\\.write|srcdoc|' +
    '\\beval\\(|new Function\\b',
  'i',
)

test('the page never makes markup or code out of text', () => {
  const wrong = inWeb.flatMap(({ path, lines }) =>
    lines.flatMap((line, i) =>
      TEXT_TO_CODE.test(line) ? [`${path}:${i + 1}: build elements instead`] : [],
    ),
  )
  expect(wrong).toEqual([])
  for (const one of ['a.innerHTML = b', '<p dangerouslySetInnerHTML={x} />', 'eval(text)'])
    expect(one).toMatch(TEXT_TO_CODE)
})

const LINE_CHARS = 100
const FILE_LINES = 350
const SQL_BACKEND_LINES = 600
const FUNCTION_LINES = 60

test(`a line has at most ${LINE_CHARS} characters`, () => {
  const wrong = sources.flatMap(({ path, lines }) =>
    lines.flatMap((line, i) => (isTooLong(line) ? [`${path}:${i + 1}: break it`] : [])),
  )
  expect(wrong).toEqual([])
})

/** A test's title is a sentence, which the formatter cannot break. */
function isTooLong(line: string): boolean {
  return line.length > LINE_CHARS && !/^\s*test\(/.test(line)
}

test(`a file has at most ${FILE_LINES} lines, a SQL backend ${SQL_BACKEND_LINES}`, () => {
  const wrong = sources.flatMap(({ path, lines }) => {
    const max = /^src\/store\/(sqlite|postgres)/.test(path) ? SQL_BACKEND_LINES : FILE_LINES
    return lines.length - 1 > max ? [`${path} has ${lines.length - 1}: split it in two ideas`] : []
  })
  expect(wrong).toEqual([])
})

test(`a function has at most ${FUNCTION_LINES} lines`, () => {
  const wrong: string[] = []
  // A test's callback is a story, told in one go; the files' own limit is enough for it.
  for (const { path, lines } of sources.filter(isNoStory))
    for (const { line, length } of functionsOf(lines))
      if (length > FUNCTION_LINES) wrong.push(`${path}:${line} has ${length} lines: split it`)
  expect(wrong).toEqual([])
})

function isNoStory({ path }: Source): boolean {
  return !path.endsWith('.test.ts') && !path.startsWith('test/contracts/')
}

interface FunctionSize {
  line: number
  length: number
}

/**
 * Functions and their sizes, by the layout that the formatter gives them: a body ends at the first
 * brace on its own indent. One that only returns a list is a table, as long as what it lists.
 */
function functionsOf(lines: string[]): FunctionSize[] {
  const found: FunctionSize[] = []
  for (const [index, line] of lines.entries()) {
    if (!opensFunction(line) || /^\s*return [[{]$/.test(lines[index + 1] ?? '')) continue
    const indent = /^\s*/.exec(line)![0]
    const end = lines.findIndex((one, i) => i > index && one.startsWith(`${indent}}`))
    if (end !== -1) found.push({ line: index + 1, length: end - index + 1 })
  }
  return found
}

function opensFunction(line: string): boolean {
  if (
    !line.endsWith('{') ||
    /^\s*(\}|if|for|while|switch|class|interface|export class)\b/.test(line)
  )
    return false
  return /=> \{$|\)(: [^=]+)? \{$/.test(line)
}
