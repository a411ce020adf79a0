/** Where the page's files come from: when they are made, and what happens when they cannot be. */
import { beforeAll, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createPageProcess, type PageProcessOptions } from '../../src/api/page-process.ts'
import type { PageFile, PageSource } from '../../src/api/page-source.ts'
import { type Config, defaultConfig } from '../../src/config.ts'
import { createLog } from '../../src/log.ts'
import { startServer } from '../../src/server.ts'
import { buildPage } from '../../web/build.ts'
import { scratchFolder, signUp, until } from '../harness.ts'
import { refusal } from './codes.ts'

const SCRIPT = join(import.meta.dir, '../../web/build.ts')

let files: PageFile[]

beforeAll(async () => {
  files = await buildPage()
})

const get = (url: string, path: string) => fetch(url + path)

/** A server in this process, with files of the test's own. */
async function serving(
  page: PageSource,
  visit: (url: string) => Promise<void>,
  settings: Partial<Config> = {},
) {
  const folder = scratchFolder()
  const config = defaultConfig({ port: 0, dataDir: folder.path, hashConcurrency: 1, ...settings })
  const onFatal = (error: Error) => {
    throw error
  }
  const running = await startServer({ config, log: createLog('silent'), page, onFatal })
  try {
    await visit(running.url)
  } finally {
    await running.stop()
    folder.remove()
  }
}

/** Counts how often it is asked, and answers when it is told to. */
class HeldSource implements PageSource {
  asked = 0
  #answer = Promise.withResolvers<PageFile[]>()

  files(): Promise<PageFile[]> {
    this.asked += 1
    return this.#answer.promise
  }

  answer(): void {
    this.#answer.resolve(files)
  }

  fail(): void {
    const failing = this.#answer
    this.#answer = Promise.withResolvers()
    // Nobody may be waiting.
    failing.promise.catch(() => {})
    failing.reject(new Error('web/main.tsx:1: Unexpected ;'))
  }

  close(): void {
    this.fail()
  }
}

test('nothing is built before somebody asks, and then once for all who do', async () => {
  const source = new HeldSource()
  await serving(source, async (url) => {
    await signUp(url)
    expect(source.asked).toBe(0)
    const early = Array.from({ length: 50 }, () => get(url, '/'))
    await until(() => source.asked > 0, 'the page is asked for')
    // Everything else goes on meanwhile.
    expect((await get(url, '/healthz')).status).toBe(200)
    source.answer()
    const statuses = new Set((await Promise.all(early)).map(({ status }) => status))
    expect([...statuses]).toEqual([200])
    for (const { path } of files) expect((await get(url, path)).status).toBe(200)
    expect(source.asked).toBe(1)
  })
})

test('a failed build is a 500 for those who wait; the next one tries again', async () => {
  const source = new HeldSource()
  await serving(source, async (url) => {
    const early = [get(url, '/'), get(url, '/assets/a.js')]
    let failed = 0
    let refused = 0
    const refusals = early.map(async (one) => {
      expect(await refusal(one)).toBe('500 page_unavailable')
      refused += 1
    })
    // One may come when the build for the other has failed already, and then has one of its own.
    await until(() => {
      if (source.asked > failed) source.fail()
      failed = source.asked
      return refused === early.length
    }, 'both are refused')
    await Promise.all(refusals)
    expect((await get(url, '/healthz')).status).toBe(200)
    const next = get(url, '/')
    await until(() => source.asked > failed, 'the page is asked for again')
    source.answer()
    expect((await next).status).toBe(200)
  })
})

test('a server that stops does not wait for the page', async () => {
  const source = new HeldSource()
  let early: Promise<Response> | undefined
  await serving(source, async (url) => {
    early = get(url, '/')
    await until(() => source.asked > 0, 'the page is asked for')
  })
  expect(await refusal(early!)).toBe('503 restarting')
})

test('caches are told to heed the origin, too, where some are let in', async () => {
  const listed = 'https://app.example.org'
  const source = new HeldSource()
  source.answer()
  const visit = async (url: string) => {
    const response = await fetch(url, { headers: { origin: listed } })
    expect(response.headers.get('vary')).toBe('Accept-Encoding, Origin')
    expect(response.headers.get('access-control-allow-origin')).toBe(listed)
  }
  await serving(source, visit, { corsOrigins: [listed] })
})

/** What a script of the test's own makes of being the one that builds the page. */
async function buildWith(text: string, limits: Partial<PageProcessOptions> = {}) {
  const folder = scratchFolder()
  const path = join(folder.path, 'build.ts')
  writeFileSync(path, text)
  try {
    return await createPageProcess({ script: path, ...limits }).files()
  } finally {
    folder.remove()
  }
}

const PRINT_NOTHING = 'console.log(\'{"files":[]}\')'

test('the child process builds what is built here', async () => {
  expect(await createPageProcess({ script: SCRIPT }).files()).toEqual(files)
})

test('a build that fails says what is wrong, and what to do', async () => {
  const messageOf = async (script: string) =>
    buildWith(script).then(
      () => 'it was built',
      (error: Error) => error.message,
    )
  const refused = await messageOf('console.log(\'{"error":"main.tsx:1: Unexpected ;"}\')')
  expect(refused).toMatch(/Run "bun .*build\.ts" to see why\. main\.tsx:1: Unexpected ;/)
  expect(await messageOf('process.exit(3)')).toContain('exit code 3')
  expect(await messageOf('process.kill(process.pid, "SIGKILL")')).toContain('SIGKILL')
  expect(await messageOf('console.log("hello")')).toContain('The page could not be built.')
})

test('a build that takes too long is cut, one that is in time is not', async () => {
  const hanging = 'setTimeout(() => {}, 30_000)'
  const late = buildWith(hanging, { timeoutMs: 100 })
  await expect(late).rejects.toThrow('longer than 100 ms')
  expect(await buildWith(PRINT_NOTHING)).toEqual([])
})

test('a build that prints too much is cut, one that just fits is not', async () => {
  const printed = '{"files":[]}\n'.length
  expect(await buildWith(PRINT_NOTHING, { bytesMax: printed })).toEqual([])
  const tooMuch = buildWith(PRINT_NOTHING, { bytesMax: printed - 1 })
  await expect(tooMuch).rejects.toThrow(`more than ${printed - 1} bytes`)
})
