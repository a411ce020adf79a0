/** The documentation does what it says: examples run, links lead somewhere, tables are fresh. */
import { afterAll, describe, expect, test } from 'bun:test'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { spawn } from 'bun'
import { renderedDocs } from '../scripts/docs.ts'
import { version } from '../src/version.ts'
import { blocksOf, looksLike, runExamples, sameShape } from './docs-examples.ts'
import {
  fetchJson,
  type Person,
  read,
  ServerProcess,
  scratchFolder,
  signIn,
  signUp,
  within,
} from './harness.ts'
import { Socket } from './live.ts'

const ROOT = join(import.meta.dir, '..')
const servers: ServerProcess[] = []
afterAll(() => Promise.all(servers.map((server) => server.stopAndForget())))

/** As people start it, but for quick heartbeats, so that no example has to wait for one. */
async function startServer(folder?: string): Promise<ServerProcess> {
  const server = await ServerProcess.start({ rateLimits: 'on', heartbeatMs: 500 }, folder)
  servers.push(server)
  return server
}

function readDoc(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

/** The part of a document under this heading; without one, the whole of it. */
function section(markdown: string, heading: string): string {
  if (heading === '') return markdown
  const start = markdown.indexOf(`\n${heading}\n`)
  if (start === -1) throw new Error(`There is no heading "${heading}".`)
  const level = heading.split(' ')[0]!
  const end = markdown.indexOf(`\n${level} `, start + heading.length)
  return markdown.slice(start, end === -1 ? undefined : end)
}

/** The first block of commands under a heading of `docs/operating.md`, as somebody pastes it. */
async function runBlock(heading: string, settings: Record<string, string>): Promise<void> {
  const [block] = blocksOf(section(readDoc('docs/operating.md'), heading))
  const env = { PATH: process.env.PATH, ...settings }
  const command = spawn({ cmd: ['bash', '-euc', block!.text], cwd: ROOT, env })
  expect(await within(command.exited, `${heading}: the command ends`)).toBe(0)
}

function authorized({ token }: Person): { headers: { authorization: string } } {
  return { headers: { authorization: `Bearer ${token}` } }
}

function documents(): string[] {
  const folders = ['.', 'client', 'docs', 'docs/decisions']
  return folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name)),
  )
}

describe('examples', () => {
  test.each([
    ['README.md', '## A tour in ten minutes'],
    ['docs/protocol.md', ''],
  ])('every example of %s does what is shown', async (path, heading) => {
    const blocks = blocksOf(section(readDoc(path), heading))
    expect(blocks.filter(({ info }) => info === 'sh').length).toBeGreaterThan(4)
    const server = await startServer()
    await runExamples(blocks, server.url)
  })

  test('a backup made and restored as described has a new epoch, and ends all sessions', async () => {
    const server = await startServer()
    const ada = await signUp(server.url)
    const room = await ada.createRoom()
    await ada.post(`/room/${room.id}`, 'before the backup')
    const before = await ada.fetch(`/room/${room.id}/messages`)
    const home = scratchFolder()
    await runBlock('## Backup', { HOME: home.path, DATA_DIR: server.folder })
    await ada.post(`/room/${room.id}`, 'after the backup')
    const restored = join(home.path, 'restored')
    await runBlock('### Restoring a backup', { HOME: home.path, DATA_DIR: restored })
    const second = await startServer(restored)

    expect((await fetchJson(second.url, '/me', authorized(ada))).status).toBe(401)
    const again = await signIn(second.url, ada.name)
    const epoch = before.headers.get('parley-epoch')!
    const after = await again.fetch(`/room/${room.id}/messages`)
    expect(await read<unknown[]>(after, 200)).toHaveLength(1)
    expect(after.headers.get('parley-epoch')).not.toBe(epoch)
    const socket = await Socket.open(second.url, '/ws', authorized(again).headers)
    const told = await socket.ask('subscribe', { room: room.id, after: 1, epoch })
    expect(told.ok).toMatchObject({ recovered: false, head: 1 })
    socket.close()
    home.remove()
  })

  test('after a clean stop the database is one file, which alone is a whole backup', async () => {
    const server = await startServer()
    const ada = await signUp(server.url)
    expect(await server.stop()).toBe(0)
    expect(readdirSync(server.folder).sort()).toEqual(['parley.db', 'parley.lock'])
    await server.restart()
    const me = await fetch(`${server.url}/me`, {
      headers: { authorization: `Bearer ${ada.token}` },
    })
    expect(me.status).toBe(200)
  })

  test('what becomes of posts is counted by outcome', async () => {
    const server = await startServer()
    const ada = await signUp(server.url)
    const place = `/room/${(await ada.createRoom()).id}`
    await ada.post(place, 'one', 'k')
    await ada.post(place, 'one', 'k')
    await expect(ada.post(place, 'another', 'k')).rejects.toThrow('key_reused')
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    for (const outcome of ['accepted', 'replayed', 'key_reused'])
      expect(metrics).toContain(`parley_posts_total{outcome="${outcome}"} 1\n`)
  })

  test('a taken port is refused in a sentence, not shared', async () => {
    const server = await startServer()
    const folder = scratchFolder()
    const { port } = new URL(server.url)
    const second = spawn({
      cmd: [process.execPath, join(ROOT, 'src/main.ts')],
      env: { ...process.env, PORT: port, DATA_DIR: folder.path },
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const code = await within(second.exited, 'the second server ends').finally(() => second.kill())
    expect(code).toBe(1)
    expect(await new Response(second.stderr).text()).toContain(`Cannot listen on 127.0.0.1:${port}`)
    folder.remove()
  })
})

describe('the checks of the examples are checks', () => {
  test('what is shown must be what is there', () => {
    expect(looksLike('{"seq":1,…}', '{"seq":1,"text":"x"}')).toBe(true)
    expect(looksLike('{"seq":1,…}', '{"seq":2,"text":"x"}')).toBe(false)
    expect(sameShape({ id: '…', n: [1] }, { n: [1], id: 'r1' })).toBe(true)
    expect(sameShape({ id: '…' }, { id: 'r1', extra: 1 })).toBe(false)
    expect(sameShape({ id: '…', extra: 1 }, { id: 'r1' })).toBe(false)
    expect(sameShape([{ a: 1 }], [{ a: 2 }])).toBe(false)
    expect(sameShape([1], [1, 2])).toBe(false)
  })

  const wrong: [what: string, example: string][] = [
    ['a command that fails', '```sh\nfalse\n```'],
    ['an answer that is an error', '```sh\ncurl -s http://127.0.0.1:8080/nowhere\n```'],
    ['a frame that does not come', '```frames\nGET /ws\n> {"id":1,"op":"ping"}\nclosed 1000 \n```'],
  ]
  test.each(wrong)('%s fails its document', async (_, example) => {
    const server = servers[0] ?? (await startServer())
    await expect(runExamples(blocksOf(example), server.url)).rejects.toThrow()
  })
})

test.each(documents())(
  'what %s asks people to paste has no comments, which zsh would run',
  (path) => {
    const blocks = blocksOf(readDoc(path)).filter(({ info }) => info.startsWith('sh'))
    const commented = blocks.filter(({ text }) => /(^|\s)# /m.test(text)).map(({ line }) => line)
    expect(commented).toEqual([])
  },
)

describe('links', () => {
  test.each(documents())('every link of %s leads somewhere', (path) => {
    const text = readDoc(path).replace(/^```.*?^```/gms, '')
    const broken = [...text.matchAll(/\[[^\]]*\]\(([^)\s]+)\)/g)]
      .map(([, target]) => target!)
      .filter((target) => !/^(https?|mailto):/.test(target) && !leadsSomewhere(path, target))
    expect(broken).toEqual([])
  })

  test('every page of the documentation can be reached from the README', () => {
    const reached = new Set<string>()
    const follow = (path: string) => {
      if (reached.has(path) || !existsSync(join(ROOT, path))) return
      reached.add(path)
      for (const [, target] of readDoc(path).matchAll(/\]\(([^)#\s]+\.md)/g))
        if (!/^https?:/.test(target!)) follow(relative('.', join(dirname(path), target!)))
    }
    follow('README.md')
    expect(documents().filter((path) => !reached.has(path))).toEqual([])
  })
})

test.each(['docs/security.md', 'docs/promises.md'])('every test that %s names is there', (path) => {
  const named = [...readDoc(path).matchAll(/`(test\/[\w./-]+\.ts)`: “([^”]+)”/g)]
  expect(named.length).toBeGreaterThan(20)
  const missing = named.filter(
    ([, file, title]) => !existsSync(join(ROOT, file!)) || !readDoc(file!).includes(title!),
  )
  expect(missing.map(([reference]) => reference)).toEqual([])
})

function leadsSomewhere(from: string, target: string): boolean {
  const [file = '', anchor] = target.split('#')
  const path = file === '' ? from : join(dirname(from), file)
  if (!existsSync(join(ROOT, path))) return false
  return anchor === undefined || anchorsOf(readDoc(path)).has(anchor)
}

/** The ids GitHub gives to headings. */
function anchorsOf(markdown: string): Set<string> {
  const headings = markdown.replace(/^```.*?^```/gms, '').matchAll(/^#+ (.*)$/gm)
  const slug = (heading: string) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-')
  return new Set([...headings].map(([, heading]) => slug(heading!)))
}

describe('form', () => {
  test('generated tables are fresh: `npm run docs` would change nothing', async () => {
    for (const [path, text] of await renderedDocs()) {
      const stale = readDoc(path) === text ? '' : `${path} is stale: run npm run docs`
      expect(stale).toBe('')
    }
  })

  test('the README is short', () => {
    expect(readDoc('README.md').trimEnd().split('\n').length).toBeLessThanOrEqual(120)
  })

  test('the changelog knows the version', () => {
    expect(readDoc('CHANGELOG.md')).toContain(`[${version}]`)
  })

  const pages = documents().filter((path) => /decisions\/\d{4}-/.test(path))
  test('decisions are numbered without a gap', () => {
    const numbers = pages.map((path) => Number(/(\d{4})-/.exec(path)![1])).sort((a, b) => a - b)
    expect(numbers).toEqual(numbers.map((_, index) => index + 1))
  })

  test.each(pages)('%s is one page with four parts', (path) => {
    const lines = readDoc(path).trimEnd().split('\n')
    expect(lines.length).toBeGreaterThanOrEqual(20)
    expect(lines.length).toBeLessThanOrEqual(45)
    const headings = lines.filter((line) => line.startsWith('## '))
    expect(headings).toEqual(['## Status', '## Context', '## Decision', '## Consequences'])
  })
})
