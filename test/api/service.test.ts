/** What is not chat: health, metrics, the documents, and the headers everything carries. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createOperations, createSocketOperations } from '../../src/api/operations.ts'
import { requestSchemas } from '../../src/api/schema.ts'
import { createServiceOperations, type Service } from '../../src/api/service.ts'
import { defaultConfig } from '../../src/config.ts'
import { errorKinds } from '../../src/errors.ts'
import { type Person, ServerProcess, signUp } from '../harness.ts'
import { Socket } from '../live.ts'
import { refusal } from './codes.ts'

let server: ServerProcess
let ada: Person

beforeAll(async () => {
  server = await ServerProcess.start()
  ada = await signUp(server.url)
})

afterAll(() => server.stopAndForget())

const get = (path: string) => fetch(server.url + path)

test.each([
  ['/healthz', 'application/json', '{"status":"alive"}'],
  ['/readyz', 'application/json', '{"status":"ready"}'],
])('%s', async (path, type, body) => {
  const response = await get(path)
  expect([response.status, await response.text()]).toEqual([200, body])
  expect(response.headers.get('content-type')).toBe(type)
})

test('/metrics counts what happens, and names nobody', async () => {
  const metric = async (name: string) => {
    const text = await (await get('/metrics')).text()
    const line = text.split('\n').find((one) => one.startsWith(`parley_${name} `))
    return Number(line?.split(' ')[1])
  }
  const room = await ada.createRoom()
  const before = await metric('posts_total{outcome="accepted"}')
  await ada.post(`/room/${room.id}`, 'hello', 'k1')
  await ada.post(`/room/${room.id}`, 'hello', 'k1')
  expect(await metric('posts_total{outcome="accepted"}')).toBe((before || 0) + 1)
  expect(await metric('posts_total{outcome="replayed"}')).toBe(1)
  const socket = await Socket.of(ada)
  await socket.ask('subscribe', { room: room.id })
  expect(await metric('connections{transport="websocket"}')).toBe(1)
  expect(await metric('subscriptions')).toBe(1)
  expect(await metric('live_timelines')).toBe(1)
  expect(await metric('resident_memory_bytes')).toBeGreaterThan(10 << 20)
  const text = await (await get('/metrics')).text()
  for (const secret of [ada.id, ada.name, room.id, ada.token]) expect(text).not.toContain(secret)
  socket.close()
})

test('/docs has every operation, frame, close code and error, and loads nothing', async () => {
  const response = await get('/docs')
  const html = await response.text()
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
  const policy = response.headers.get('content-security-policy')!
  expect(policy).toMatch(/^default-src 'none'; connect-src 'self'; .*style-src 'sha256-[\w+/]+=*'$/)
  const schemas = requestSchemas(defaultConfig())
  const all = [...createOperations(schemas), ...createServiceOperations({} as Service)]
  for (const { name, method, path, summary } of all) {
    expect(html).toContain(`<section id="${name}"><h3><code>${method} ${path}</code></h3>`)
    expect(html).toContain(summary)
  }
  for (const { op } of Object.values(createSocketOperations(schemas)))
    expect(html).toContain(`<section id="op-${op}">`)
  for (const { code, status } of errorKinds())
    expect(html).toContain(`<tr id="error-${code}"><td><code>${code}</code></td><td>${status}</td>`)
  for (const code of ['4400', '4401', '4008', '4013', '1012'])
    expect(html).toContain(`<td>${code}</td>`)
  expect(html).not.toMatch(
    /<(script|link|img|iframe|object|embed|form|base)\b|\bsrc=|url\(|@import/i,
  )
  const links = [...html.matchAll(/href="([^"]*)"/g)].map(([, href]) => href!)
  expect(links.length).toBeGreaterThan(20)
  for (const href of links) {
    expect(href).toMatch(/^(#[\w-]+|\/openapi\.json|\/asyncapi\.json)$/)
    if (href.startsWith('#')) expect(html).toContain(`id="${href.slice(1)}"`)
  }
})

test('the style sheet of /docs is the one its policy allows', async () => {
  const response = await get('/docs')
  const style = /<style>([\s\S]*)<\/style>/.exec(await response.text())![1]!
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(style))
  const hash = Buffer.from(digest).toString('base64')
  expect(response.headers.get('content-security-policy')).toContain(`'sha256-${hash}'`)
})

test('every answer, good or bad, tells browsers to trust nothing else', async () => {
  const room = await ada.createRoom()
  const stream = await ada.fetch(`/room/${room.id}/subscribe`)
  const answers = [
    await get('/healthz'),
    await get('/nowhere'),
    await get('/me'),
    await ada.fetch('/rooms'),
    await ada.fetch('/rooms', { method: 'POST', json: {} }),
    stream,
  ]
  for (const { headers } of answers) {
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(headers.get('cache-control')).toBe('no-store')
    const policy = headers.get('content-security-policy')
    expect(policy).toStartWith("default-src 'none'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toContain('unsafe')
    expect(headers.get('server')).toBeNull()
    expect(headers.get('x-powered-by')).toBeNull()
  }
  await stream.body!.cancel()
})

test.each(['/nowhere', '/rooms/', '/.env', '/.git/config', '/room', '/index.html'])(
  'GET %s: 404',
  async (path) => {
    expect(await refusal(get(path))).toBe('404 no_such_path')
  },
)

test.each([
  ['PUT', '/rooms', 'GET, POST'],
  ['PATCH', '/me', 'GET'],
  ['GET', '/session', 'DELETE'],
  ['POST', '/healthz', 'GET'],
  ['OPTIONS', '/sessions', 'POST, GET'],
])('%s %s: 405, and which methods there are', async (method, path, allow) => {
  const response = await fetch(server.url + path, { method })
  expect(response.headers.get('allow')).toBe(allow)
  expect(await refusal(response)).toBe('405 method_not_allowed')
})
