/** The one executable does all that the sources do, where there is neither Node nor Bun. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { spawn } from 'bun'
import { buildExecutable } from '../scripts/build.ts'
import { buildPage } from '../web/build.ts'
import { addressPrinted, BareRoot, canMakeBareRoot, type Running } from './bare-root.ts'
import { scratchFolder, signIn, signUp, within } from './harness.ts'

const BUILD_MS_MAX = 120_000
const SUITE_MS_MAX = 180_000

const folder = scratchFolder()
const executable = join(folder.path, 'parley')

beforeAll(() => buildExecutable(executable), BUILD_MS_MAX)
afterAll(() => folder.remove())

async function run(cmd: string[], env: Record<string, string>): Promise<[number, string]> {
  const child = spawn({ cmd, env, stdout: 'pipe', stderr: 'pipe' })
  const [code, out, errors] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return [code, out + errors]
}

test('it needs nothing of the machine but the kernel and the C library', async () => {
  const [code, printed] = await run([executable, 'version'], { PATH: '/nowhere', HOME: '/nowhere' })
  expect([code, printed]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+\n$/)])
  const [, libraries] = await run(['ldd', executable], { PATH: process.env.PATH! })
  const names = [...libraries.matchAll(/^\s+(\S+?)\.so/gm)].map(([, name]) => name)
  const ofC = ['linux-vdso', 'libc', 'ld-linux', 'libpthread', 'libdl', 'libm', 'librt']
  expect(names.filter((name) => !ofC.some((known) => name!.includes(known)))).toEqual([])
})

test('the page is inside, the same to the byte', async () => {
  const env = { PATH: '/nowhere', PORT: '0', DATA_DIR: join(folder.path, 'data') }
  const child = spawn({ cmd: [executable], env, stdout: 'pipe', stderr: 'inherit' })
  try {
    const url = await addressPrinted(child)
    for (const { path, bytes } of await buildPage()) {
      const served = await (await fetch(url + path)).bytes()
      expect([path, Buffer.from(served).equals(bytes)]).toEqual([path, true])
    }
  } finally {
    child.kill()
    await child.exited
  }
})

const canBeBare = canMakeBareRoot()
const settings = { PORT: '0', DATA_DIR: '/data', LOG_LEVEL: 'warn' }

/** What a server that was told to stop has printed on standard error. */
async function stop(server: Running): Promise<string> {
  server.kill()
  expect(await within(server.exited, 'it drains')).toBe(0)
  return new Response(server.stderr).text()
}

test.skipIf(!canBeBare)('it serves where there is no other file, no PATH, no HOME', async () => {
  const root = new BareRoot(executable)
  let server = root.run([], settings)
  try {
    const ada = await signUp(await addressPrinted(server))
    const room = `/room/${(await ada.createRoom()).id}`
    await ada.post(room, 'from nowhere')
    expect(await (await fetch(`${ada.url}/`)).text()).toStartWith('<!doctype html>')
    expect(await stop(server)).toContain('Passwords take three times as long')

    server = root.run([], settings)
    const again = await signIn(await addressPrinted(server), ada.name)
    expect(await again.list(room)).toMatchObject([{ seq: 1, text: 'from nowhere' }])
  } finally {
    server.kill('SIGKILL')
    await server.exited
    root.remove()
  }
})

test.skipIf(!canBeBare)('with two libraries more it hashes passwords the fast way', async () => {
  const root = new BareRoot(executable, ['libgcc_s.so.1', 'librt.so.1'])
  const server = root.run([], settings)
  try {
    await signUp(await addressPrinted(server))
    expect(await stop(server)).toBe('')
  } finally {
    server.kill('SIGKILL')
    await server.exited
    root.remove()
  }
})

/** Of the commands one file each: what they find and refuse is not the executable's. */
const SUITE = [
  ...['test/stories', 'test/commands/backup.test.ts', 'test/commands/migrate.test.ts'],
  'test/commands/verify.test.ts',
]

test('the stories and the commands are the same', async () => {
  const tests = SUITE.filter((path) => existsSync(path))
  expect(tests).toEqual(SUITE)
  const suite = run([process.execPath, 'test', '--timeout', '60000', ...tests], {
    ...(process.env as Record<string, string>),
    PARLEY_EXECUTABLE: executable,
  })
  const [code, printed] = await within(suite, 'the stories end', SUITE_MS_MAX)
  expect(printed).toMatch(/\n *0 fail\n/)
  expect(code).toBe(0)
}, 200_000)
