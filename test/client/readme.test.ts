/** The README of the library does what it says: its bot runs as a file, its page as one. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Subprocess, spawn } from 'bun'
import { bundleClient } from '../../scripts/client.ts'
import { blocksOf } from '../docs-examples.ts'
import { type Person, ServerProcess, scratchFolder, signUp, until, within } from '../harness.ts'

const README = readFileSync(join(import.meta.dir, '../../client/README.md'), 'utf8')
const blocks = blocksOf(README)
const folder = scratchFolder()
const running: Subprocess[] = []
let server: ServerProcess
let ada: Person

beforeAll(async () => {
  server = await ServerProcess.start()
  ada = await signUp(server.url, 'ada')
  writeFileSync(join(folder.path, 'parley-client.js'), await bundleClient())
  writeFileSync(join(folder.path, 'package.json'), '{"type":"module"}')
})
afterAll(async () => {
  for (const one of running) one.kill()
  await server.stopAndForget()
  folder.remove()
})

/** Node 20 has none of its own. */
const WS = join(import.meta.dir, '../../node_modules/ws/wrapper.mjs')
const WEBSOCKET = `import { WebSocket } from '${WS}'
globalThis.WebSocket ??= WebSocket
`

describe('the bot', () => {
  const [bot] = blocks.filter(({ info }) => info === 'js bot')

  test('has twelve lines at most', () => {
    expect(bot!.text.trimEnd().split('\n').length).toBeLessThanOrEqual(12)
  })

  test.each(['bun', 'node'])(
    'runs with %s, and once for each time it is asked',
    async (runtime) => {
      const name = `roller-${runtime}`
      await signUp(server.url, name)
      const room = await ada.createRoom(`Dice ${runtime}`)
      writeFileSync(join(folder.path, 'bot.js'), bot!.text)
      writeFileSync(join(folder.path, 'websocket.js'), WEBSOCKET)
      const program = spawn({
        cmd:
          runtime === 'bun'
            ? [process.execPath, 'bot.js']
            : ['node', '--import', './websocket.js', 'bot.js'],
        cwd: folder.path,
        env: {
          PATH: process.env.PATH,
          PARLEY_URL: server.url,
          PARLEY_NAME: name,
          PARLEY_PASSWORD: 'correct horse battery staple',
          PARLEY_ROOM: room.name,
        },
        stderr: 'pipe',
      })
      running.push(program)
      const place = `/room/${room.id}`
      const rolled = async (what: RegExp) =>
        (await ada.list(place, '?limit=1000')).filter(({ text }) => what.test(text)).length
      // It does not say when it is there, so it is asked now and then until it answers.
      let looks = 0
      await until(async () => {
        if (looks++ % 20 === 0) await ada.post(place, '!roll 6')
        return (await rolled(/^ada rolls [1-6]$/)) > 0
      }, `the bot answers with ${runtime}`)
      await ada.post(place, 'roll nothing')
      await ada.post(place, '!roll 1')
      await ada.post(place, '!roll 0100')
      await until(async () => (await rolled(/^ada rolls \d+$/)) > 0, 'it goes on')
      const asked = await rolled(/^!roll/)
      await until(async () => (await rolled(/^ada rolls/)) >= 3, 'it answers the others')
      expect(await rolled(/^ada rolls/)).toBeLessThanOrEqual(asked)
      program.kill()
      await within(program.exited, 'the bot ends')
    },
  )
})

/** What a page has and this runtime has not: an origin, a storage and a cookie. */
const PAGE = `
import { Parley } from './parley-client.js'
const { PARLEY_URL: origin } = process.env
globalThis.location = { origin }
const items = new Map()
globalThis.localStorage = {
  get length() { return items.size },
  key: (i) => [...items.keys()][i] ?? null,
  getItem: (name) => items.get(name) ?? null,
  setItem: (name, value) => void items.set(name, value),
  removeItem: (name) => void items.delete(name),
}
let cookie = ''
const { fetch: plainFetch, WebSocket: PlainSocket } = globalThis
globalThis.fetch = async (url, init) => {
  const headers = { ...init.headers, cookie, origin }
  const response = await plainFetch(url, { ...init, headers })
  cookie = response.headers.get('set-cookie')?.split(';')[0] ?? cookie
  return response
}
globalThis.WebSocket = class extends PlainSocket {
  constructor(url) { super(url, { headers: { cookie, origin } }) }
}
const show = (what) => console.log(what)
`

/** Stays until everything has been shown that will be. */
const END = `
while (parley.status.state !== 'live' || list.events.length < 1 || !localStorage.getItem('cursor'))
  await new Promise((resolve) => setTimeout(resolve, 5))
parley.close()
`

test('the page does what it shows, from signing in to the list', async () => {
  const fresh = await ServerProcess.start()
  await fetch(`${fresh.url}/users`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"name":"ada","password":"correct horse"}',
  })
  const story = blocks.filter(({ info }) => info === 'js').map(({ text }) => text)
  expect(story.length).toBe(5)
  writeFileSync(join(folder.path, 'page.js'), [PAGE, ...story, END].join('\n'))
  const page = spawn({
    cmd: [process.execPath, 'page.js'],
    cwd: folder.path,
    env: { PATH: process.env.PATH, PARLEY_URL: fresh.url },
    stderr: 'inherit',
  })
  running.push(page)
  expect(await within(page.exited, 'the page comes to its end')).toBe(0)
  const shown = (await new Response(page.stdout).text()).trim().split('\n')
  const told = ['idle', 'sending', 'catching-up', 'live', 'ada: The kettle is on.', '1 new']
  expect([...new Set(shown)].filter((line) => !/messages/.test(line))).toEqual([
    ...told,
    'signed-out',
  ])
  expect(shown.findLast((line) => /messages/.test(line))).toBe('1 messages, 0 on their way')
  await fresh.stopAndForget()
})
