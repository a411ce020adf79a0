/**
 * The proxies' configurations as they are shipped, run by the real programs in front of a real
 * server. It stands behind both nodes' addresses, each of which can be stopped.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Subprocess, spawn } from 'bun'
import { settings } from '../src/config.ts'
import { Network } from './browser/proxy.ts'
import { Person, ServerProcess, scratchFolder, signUp, until, within } from './harness.ts'
import { Socket, Stream } from './live.ts'
import { rawRequest } from './raw.ts'
import { findOrInstall } from './services/install.ts'
import { freePort } from './services/ports.ts'

/** In the files. */
const PATIENCE = /\b75s\b/g
const PATIENCE_MS = 75_000
/** Where it is tried: a connection outlives it only by its heartbeats. */
const SHORT_PATIENCE = '2s'
const HEARTBEAT_MS = 1_000
/** They take longer than that. */
const HEARTBEATS = 5
/** A machine that stands still in the midst of it is cut off with good reason. */
const QUIET_TRIES = 5
const FAILURES_PER_ADDRESS = 3
const CONNECTS_BURST = 12

/** The path of the figures, in ways that a proxy and the server might read differently. */
const METRICS_SPELLED = [
  '/metrics',
  '/metrics?',
  '//metrics',
  '/./metrics',
  '/%2e/metrics',
  '/.\\metrics',
  '/x/../metrics',
  '/x\\..\\metrics',
  '/a/b/c/d/e/../../../../../metrics',
  '/%6detrics',
  '/metrics#x',
  'http://elsewhere.example/metrics',
]

interface Kind {
  name: string
  file: string
  program: string | undefined
  /** The configuration of `file`, listening there, with what this machine needs. */
  localized: (text: string, address: string, folder: string) => string
  command: (program: string, file: string, folder: string) => string[]
}

const kinds: Kind[] = [
  {
    name: 'nginx',
    file: 'deploy/nginx.conf',
    program: await findOrInstall({ program: 'nginx', debianPackage: 'nginx' }),
    localized: (text, address, folder) =>
      text
        .replace('listen 8080;', `listen ${address};`)
        .replace('http {', `http {\n  client_body_temp_path ${folder}/bodies;`),
    command: (program, file, folder) => {
      // The folder is its owner's alone, and workers would else be somebody else.
      const user = process.getuid?.() === 0 ? 'user root; ' : ''
      const more = `${user}daemon off; pid ${folder}/pid; error_log stderr;`
      return [program, '-c', file, '-p', folder, '-g', more]
    },
  },
  {
    name: 'HAProxy',
    file: 'deploy/haproxy.cfg',
    program: await findOrInstall({ program: 'haproxy', debianPackage: 'haproxy' }),
    localized: (text, address) => text.replace('bind :8080', `bind ${address}`),
    command: (program, file) => [program, '-db', '-f', file],
  },
]

/** A proxy in front of two addresses of one server. */
class Front {
  readonly nodes: readonly Network[]
  readonly #process: Subprocess<'ignore', 'ignore', 'pipe'>
  readonly #folder: { path: string; remove: () => void }
  readonly url: string

  private constructor(nodes: readonly Network[], kind: Kind, port: number, patience: string) {
    this.nodes = nodes
    this.url = `http://127.0.0.1:${port}`
    this.#folder = scratchFolder()
    const file = join(this.#folder.path, 'configuration')
    const [first, second] = nodes.map(({ url }) => new URL(url).host)
    const text = readFileSync(join(import.meta.dir, '..', kind.file), 'utf8')
      .replace('parley1:8080', first!)
      .replace('parley2:8080', second!)
      .replace(PATIENCE, patience)
    writeFileSync(file, kind.localized(text, new URL(this.url).host, this.#folder.path))
    const cmd = kind.command(kind.program!, file, this.#folder.path)
    this.#process = spawn({ cmd, stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' })
  }

  /** As it is shipped, unless it is to be less patient. */
  static async start(kind: Kind, server: string, patience = '75s'): Promise<Front> {
    const nodes = [await Network.to(server), await Network.to(server)]
    const front = new Front(nodes, kind, await freePort(), patience)
    const answers = () =>
      fetch(`${front.url}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      )
    await until(answers, `${kind.name} leads to the server`)
    return front
  }

  async stop(): Promise<void> {
    this.#process.kill()
    await within(this.#process.exited, 'the proxy ends')
    for (const node of this.nodes) await node.close()
    this.#folder.remove()
  }
}

/** Whether one of each, on which nothing is said, is there after some heartbeats, and of use. */
async function quietOutlives(author: Person, reader: Person): Promise<boolean> {
  const room = `/room/${(await author.createRoom()).id}`
  const socket = await Socket.of(reader)
  const sse = await Stream.sse(reader, `${room}/subscribe`)
  const ndjson = await Stream.open(reader, `${room}/subscribe`)
  let isCut = false
  void Promise.race([socket.closed, sse.ended, ndjson.ended]).then(() => {
    isCut = true
  })
  const heartbeats = () => sse.raw.split('\n').filter((line) => line.startsWith(':')).length
  await until(() => isCut || heartbeats() >= HEARTBEATS, `${HEARTBEATS} heartbeats`)
  if (isCut) return false
  expect((await socket.ask('ping')).ok).toEqual({})
  await author.post(room, 'still there?')
  expect((await sse.events.next()).text).toBe('still there?')
  expect((await ndjson.events.next()).text).toBe('still there?')
  for (const one of [sse, ndjson, socket]) one.close()
  return true
}

test.each(kinds)('$name waits for longer than three heartbeats', ({ file }) => {
  const waits = readFileSync(join(import.meta.dir, '..', file), 'utf8').match(PATIENCE)
  expect(waits!.length).toBeGreaterThanOrEqual(2)
  expect(PATIENCE_MS).toBeGreaterThan(3 * settings.heartbeatMs.default)
})

describe.each(kinds)('through $name', (kind) => {
  const isMissing = kind.program === undefined
  let server: ServerProcess
  let front: Front
  let ada: Person
  let place: string

  beforeAll(async () => {
    if (isMissing) return
    server = await ServerProcess.start({
      rateLimits: 'on',
      trustedProxyHops: 1,
      failuresPerAddressMax: FAILURES_PER_ADDRESS,
      connectsPerSecondMax: 1,
      connectsBurstMax: CONNECTS_BURST,
    })
    front = await Front.start(kind, server.url)
    ada = await signUp(front.url)
    place = `/room/${(await ada.createRoom()).id}`
  })

  afterAll(async () => {
    await front?.stop()
    await server?.stopAndForget()
  })

  test.skipIf(isMissing)(
    'the page comes, and a post, whose link leads back through it',
    async () => {
      const page = await fetch(`${front.url}/`)
      expect([page.status, page.headers.get('content-type')]).toEqual([
        200,
        'text/html;charset=utf-8',
      ])
      const json = { text: 'through the proxy', key: 'k1' }
      const posted = await ada.fetch(`${place}/messages`, { method: 'POST', json })
      expect(posted.status).toBe(201)
      const location = posted.headers.get('location')!
      expect(location).toStartWith(`${front.url}${place}/`)
      expect(await ada.get(new URL(location).pathname)).toMatchObject({ text: json.text })
    },
  )

  test.skipIf(isMissing)('each event comes at once, by every transport', async () => {
    const sse = await Stream.sse(ada, `${place}/subscribe`)
    const ndjson = await Stream.open(ada, `${place}/subscribe`)
    const socket = await Socket.of(ada, `${place}/subscribe`)
    await socket.reply(0)
    for (const text of ['one', 'two', 'three']) {
      // The next is posted only once everybody has this one: nothing pushes it out, for the next
      // heartbeat comes later than anybody waits here.
      await ada.post(place, text)
      const arrived = [sse.events.next(), ndjson.events.next()]
      const pushed = socket.events.next().then(({ event }) => event)
      for (const event of await within(Promise.all([...arrived, pushed]), `${text} comes`))
        expect(event.text).toBe(text)
    }
    for (const one of [sse, ndjson, socket]) one.close()
  })

  test.skipIf(isMissing)(
    'quiet connections outlive its time-outs, by their heartbeats',
    async () => {
      const lively = await ServerProcess.start({ heartbeatMs: HEARTBEAT_MS })
      const impatient = await Front.start(kind, lively.url, SHORT_PATIENCE)
      try {
        const author = await signUp(lively.url)
        const reader = new Person(impatient.url, author.id, author.name, author.token)
        let outlived = false
        for (let i = 0; i < QUIET_TRIES && !outlived; i++)
          outlived = await quietOutlives(author, reader)
        expect(outlived).toBe(true)
      } finally {
        await impatient.stop()
        await lively.stopAndForget()
      }
    },
  )

  test.skipIf(isMissing)(
    'bodies up to our limit pass, and beyond it the answer is ours',
    async () => {
      const send = (bytes: number) => {
        const json = JSON.stringify({ text: 'long' })
        const headers = { 'content-type': 'application/json' }
        return ada.fetch(`${place}/messages`, { method: 'POST', headers, body: json.padEnd(bytes) })
      }
      expect((await send(65_536)).status).toBe(201)
      const refused = await send(70_000)
      expect(refused.status).toBe(413)
      expect(await refused.json()).toMatchObject({ code: 'body_too_large' })
      expect((await send(300_000)).status).toBe(413)
    },
  )

  test.skipIf(isMissing)(
    'rates are held against the client’s address, whatever it claims',
    async () => {
      const guessFrom = async (address: string, name: string, claimed = '10.0.0.1') => {
        const json = JSON.stringify({ name, password: 'not the password' })
        const cmd = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '--interface', address]
        cmd.push('-H', `x-forwarded-for: ${claimed}`, '-H', 'content-type: application/json')
        cmd.push('-d', json, `${front.url}/sessions`)
        return Number(await new Response(spawn({ cmd, stdout: 'pipe' }).stdout).text())
      }
      const names = Array.from({ length: FAILURES_PER_ADDRESS }, (_, i) => `guess-${i}`)
      for (const name of names) expect(await guessFrom('127.0.0.2', name)).toBe(401)
      expect(await guessFrom('127.0.0.2', 'guess-last')).toBe(429)
      expect(await guessFrom('127.0.0.2', 'guess-last', '10.0.0.2')).toBe(429)
      expect(await guessFrom('127.0.0.3', 'guess-last')).toBe(401)
    },
  )

  test.skipIf(isMissing).each(METRICS_SPELLED)('%j does not lead to the figures', async (path) => {
    const head = `GET ${path} HTTP/1.1\r\nHost: ${new URL(front.url).host}\r\n`
    const { response } = await rawRequest(front.url, `${head}Connection: close\r\n\r\n`)
    expect(response?.body ?? '').not.toContain('parley_connections')
    if (path === '/metrics') expect(response?.status).toBe(404)
    expect(response?.status ?? 400).toBeGreaterThanOrEqual(400)
  })

  test.skipIf(isMissing)('nodes that refuse for load are not taken out', async () => {
    // Far more at once than are let in: each node answers some of them with 503.
    const open = () =>
      ada.fetch(`${place}/subscribe`).then(async ({ status, body }) => {
        await body?.cancel()
        return status
      })
    const statuses = await Promise.all(Array.from({ length: CONNECTS_BURST * 3 }, open))
    expect(statuses.filter((status) => status === 503).length).toBeGreaterThanOrEqual(4)
    for (let i = 0; i < 10; i++) expect((await ada.fetch('/me')).status).toBe(200)
  })

  test.skipIf(isMissing)('a node that stops is taken out, and posts go on, each once', async () => {
    const room = `/room/${(await ada.createRoom()).id}`
    const [first] = front.nodes
    const texts = Array.from({ length: 60 }, (_, i) => `post ${i}`)
    const failures: number[] = []
    for (const [index, text] of texts.entries()) {
      if (index === 20) await first!.close()
      const json = { text, key: text }
      const post = () => ada.fetch(`${room}/messages`, { method: 'POST', json })
      const taken = async () => {
        // HAProxy answers nothing, and closes, if the node breaks a connection that it used before.
        const status = await post().then(
          (response) => response.status,
          () => 502,
        )
        if (status >= 500) failures.push(index)
        return status < 300
      }
      await until(taken, `${text} is taken`)
    }
    const told = await ada.list(room)
    expect(told.map(({ text }) => text)).toEqual(texts)
    // What was on its way to the node may fail, and is repeated; the rest must not notice.
    expect(failures.length).toBeLessThanOrEqual(2)
  })
})
