/** What the page's policy forbids does not happen in a browser, and what it needs does. */
import { afterAll, beforeAll, expect } from 'bun:test'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import { ServerProcess, until } from '../harness.ts'
import { browserTest, useBrowser } from './browser.ts'
import { Visitor } from './visitor.ts'

/** The page is made to do what it never does, and its browser complains, as it should. */
const COMPLAINTS = /breaks the policy|Content Security Policy|TrustedHTML|Refused|blocked/i

/** One for each attempt below. */
const DIRECTIVES = [
  ...['connect-src', 'frame-src', 'img-src', 'style-src-elem'],
  'require-trusted-types-for',
]

const browser = useBrowser()
let server: ServerProcess
let page: Page

beforeAll(async () => {
  server = await ServerProcess.start()
})
afterAll(() => server.stopAndForget())

browserTest('no script, style, picture or connection but ours', async () => {
  page = await browser.openPage(server.url, { tolerated: COMPLAINTS })
  const answered: string[] = []
  page.on('response', (response) => answered.push(response.url()))
  const broken = await page.evaluateHandle(async () => {
    const seen: string[] = []
    document.addEventListener('securitypolicyviolation', (event) => {
      seen.push(event.effectiveDirective)
    })
    const add = (name: string, more: object) =>
      document.head.append(Object.assign(document.createElement(name), more))
    const style = document.createElement('style')
    style.append('body { --foreign: 1 }')
    document.head.append(style)
    add('img', { src: 'https://elsewhere.example/a.png' })
    add('link', { rel: 'stylesheet', href: 'https://elsewhere.example/a.css' })
    document.body.append(
      Object.assign(document.createElement('iframe'), { src: 'https://elsewhere.example/' }),
    )
    await fetch('https://elsewhere.example/').catch(() => {})
    try {
      new WebSocket('wss://elsewhere.example/')
    } catch {}
    try {
      document.body.insertAdjacentHTML('beforeend', '<b>markup</b>')
    } catch {}
    try {
      Object.assign(document.createElement('script'), { text: 'window.ran = 1' })
    } catch {}
    return seen
  })
  await until(async () => {
    const seen = await broken.jsonValue()
    return DIRECTIVES.every((directive) => seen.includes(directive))
  }, 'each attempt is refused')
  const had = await page.evaluate(() => ({
    script: 'ran' in window,
    markup: document.querySelector('b') !== null,
    style: getComputedStyle(document.body).getPropertyValue('--foreign'),
  }))
  expect(had).toEqual({ script: false, markup: false, style: '' })
  expect(answered.filter((url) => !url.startsWith(server.url))).toEqual([])
})

browserTest(
  'the WebSocket of the page is let through, and nothing it does breaks the policy',
  async () => {
    page = await browser.openPage(server.url)
    const sockets: string[] = []
    page.on('websocket', (socket) => sockets.push(socket.url()))
    const ada = await new Visitor(page).signUp()
    await ada.createRoom()
    await ada.say('hello')
    await ada.sees('hello')
    await ada.is('live')
    expect(sockets.length).toBeGreaterThan(0)
    for (const url of sockets) expect(url).toStartWith(server.url.replace('http', 'ws'))
  },
)

browserTest('a page of somebody else can neither frame it nor hold on to its window', async () => {
  const foreign = createServer((_, response) => {
    response.setHeader('content-type', 'text/html').end(`<iframe src="${server.url}/"></iframe>`)
  })
  await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve))
  const { port } = foreign.address() as AddressInfo
  page = await browser.openPage(`http://localhost:${port}/`, { tolerated: COMPLAINTS })
  const frameUrl = () => page.frames()[1]?.url() ?? ''
  await until(() => frameUrl().startsWith('chrome-error://'), 'the frame is refused')
  const opening = page.waitForEvent('popup')
  await page.evaluate((url) => void Object.assign(window, { opened: open(url) }), server.url)
  const popup = await opening
  await popup.getByRole('button', { name: 'Sign in' }).waitFor()
  expect(await popup.evaluate(() => window.opener)).toBeNull()
  const opened = () => (window as unknown as { opened: Window }).opened.closed
  await until(() => page.evaluate(opened), 'the opener has lost its hold')
  foreign.close()
})
