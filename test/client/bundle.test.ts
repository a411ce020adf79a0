/** The library as it is handed out: how large it is, what its types say, what it does in Node. */
import { afterAll, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { spawn } from 'bun'
import manifest from '../../client/package.json' with { type: 'json' }
import { bundleClient, declareClient } from '../../scripts/client.ts'
import { version } from '../../src/version.ts'
import { ServerProcess, scratchFolder, within } from '../harness.ts'

const ROOT = join(import.meta.dir, '../..')
/** For Node 20, which has none of its own. */
const WS = join(ROOT, 'node_modules/ws/wrapper.mjs')
const BYTES_MAX = 8 * 1_024
const folder = scratchFolder()
afterAll(() => folder.remove())

test(`minified and gzipped it has at most ${BYTES_MAX} bytes`, async () => {
  const bytes = Bun.gzipSync(await bundleClient(), { level: 9 }).length
  console.log(`the client library: ${bytes} bytes gzipped`)
  expect(bytes).toBeLessThanOrEqual(BYTES_MAX)
})

test('it is of the same version as the server', () => {
  expect(manifest.version).toBe(version)
})

/** What a strict compiler says of a program on the declarations, with the DOM or without. */
async function compile(program: string, lib: string): Promise<string> {
  writeFileSync(join(folder.path, 'parley-client.d.ts'), declareClient())
  writeFileSync(join(folder.path, 'program.ts'), program)
  const options = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--target', 'esnext']
  const modules = ['--module', 'preserve', '--moduleResolution', 'bundler', '--types', '']
  const compiler = spawn({
    cmd: [join(ROOT, 'node_modules/.bin/tsc'), ...options, ...modules, '--lib', lib, 'program.ts'],
    cwd: folder.path,
    stdout: 'pipe',
  })
  return new Response(compiler.stdout).text()
}

test('its types are one file, which a strict program compiles with', async () => {
  const program = `
    import { Parley, ParleyError, type Message, type Post, type Status } from './parley-client.js'
    const parley = new Parley({ url: 'http://x', storage: localStorage, fetch, WebSocket })
    const status: Status = parley.status
    const post: Post = parley.room('r').post('hello', { key: 'k' })
    const window = parley.user('u').open({ eventsMax: 100 })
    const events: readonly Message[] = window.events
    parley.inbox.subscribe({ after: 1 }).on('events', (all) => all[0]!.message.text)
    const failed = (error: unknown) => error instanceof ParleyError && error.temporary
    export { events, failed, post, status }
  `
  expect(await compile(program, 'esnext,dom')).toBe('')
  expect(await compile(program.replace("post('hello'", 'post(5'), 'esnext,dom')).toContain('TS2345')
}, 30_000)

test('it runs in Node, with the WebSocket of a package', async () => {
  const server = await ServerProcess.start()
  const program = `
    import assert from 'node:assert'
    import { WebSocket } from '${WS}'
    import { Parley } from './parley-client.js'
    const parley = new Parley({ url: process.env.PARLEY_URL, WebSocket })
    await parley.signUp('ada', 'correct horse')
    await parley.signIn('ada', 'correct horse')
    const room = await parley.createRoom('Tea room')
    const tea = parley.room(room.id)
    const texts = ['one', 'two', 'three']
    for (const text of texts) tea.post(text)
    const heard = []
    for await (const { text } of tea.subscribe({ after: 0 }))
      if (heard.push(text) === 3) break
    assert.deepEqual(heard, texts)
    const list = tea.open()
    await new Promise((resolve) => list.onChange(() => list.events.length === 3 && resolve()))
    parley.reconnect()
    await parley.signOut()
    assert.equal(parley.status.state, 'signed-out')
    parley.close()
    console.log('well')
  `
  writeFileSync(join(folder.path, 'parley-client.js'), await bundleClient())
  writeFileSync(join(folder.path, 'package.json'), '{"type":"module"}')
  writeFileSync(join(folder.path, 'program.js'), program)
  const node = spawn({
    cmd: ['node', 'program.js'],
    cwd: folder.path,
    env: { PATH: process.env.PATH, PARLEY_URL: server.url },
    stdout: 'pipe',
    stderr: 'inherit',
  })
  // By itself: nothing that was left open holds it.
  expect(await within(node.exited, 'the program ends')).toBe(0)
  expect(await new Response(node.stdout).text()).toBe('well\n')
  await server.stopAndForget()
}, 30_000)
