/** What becomes of a conversation when the network or the server goes away in the middle of it. */
import { afterAll, afterEach, beforeAll, expect } from 'bun:test'
import { type Message, newName, type Person, ServerProcess, signUp, until } from '../harness.ts'
import { browserTest, useBrowser } from './browser.ts'
import { Network } from './proxy.ts'
import { Visitor } from './visitor.ts'

/** What a browser says about connections that break, and a server that is busy coming back. */
const BROKEN = /net::ERR_|WebSocket connection to|Failed to load resource/
const CUTS = 10

const browser = useBrowser()
const networks: Network[] = []
let server: ServerProcess
/** Someone who reads by the API what is really there. */
let witness: Person

beforeAll(async () => {
  server = await ServerProcess.start()
  witness = await signUp(server.url)
})
afterEach(async () => {
  await Promise.all(networks.splice(0).map((network) => network.close()))
})
afterAll(() => server.stopAndForget())

/** Someone with a network of their own between them and the server. */
async function visit(name: string): Promise<{ visitor: Visitor; network: Network }> {
  const network = await Network.to(server.url)
  networks.push(network)
  const page = await browser.openPage(network.url, { tolerated: BROKEN })
  return { visitor: await new Visitor(page, newName(name)).signUp(), network }
}

async function recorded(place: string): Promise<string[]> {
  const messages = await witness.list(place, '?limit=1000')
  return messages.map(({ text }: Message) => text)
}

/** Its answer may come after the message itself. */
const noneIsPending = (one: Visitor) =>
  until(async () => (await one.pending()).length === 0, `${one.name} has nothing unsent`)

const numbered = (texts: string[]) => texts.map((text, i) => ({ seq: i + 1, text }))

browserTest(
  `the network is cut ${CUTS} times while two write: each text once, in one order`,
  async () => {
    const { visitor: ada, network: adas } = await visit('ada')
    const { visitor: bob, network: bobs } = await visit('bob')
    const room = await ada.createRoom()
    const place = ada.place
    await ada.say('start')
    await bob.page.reload()
    await bob.goTo(room)
    await bob.sees('start')
    const written = { ada: ['start'], bob: [] as string[] }
    const write = async (round: number, part: string) => {
      written.ada.push(`ada ${round} ${part}`)
      written.bob.push(`bob ${round} ${part}`)
      await Promise.all([ada.say(written.ada.at(-1)!), bob.say(written.bob.at(-1)!)])
    }
    for (let round = 1; round <= CUTS; round++) {
      await write(round, 'before')
      // In turns: one of them, the other, both.
      const cut = [[adas], [bobs], [adas, bobs]][round % 3]!
      for (const network of cut) network.cut()
      await write(round, 'in the dark')
      if (cut.includes(adas)) await ada.is('offline')
      if (cut.includes(bobs)) await bob.is('offline')
      for (const network of cut) network.restore()
      await write(round, 'after')
    }
    await Promise.all([ada.is('live'), bob.is('live')])
    const count = written.ada.length + written.bob.length
    for (const one of [ada, bob])
      await until(async () => (await one.messages()).length === count, `${one.name} has all`)
    const texts = await recorded(place)
    expect([...texts].sort()).toEqual([...written.ada, ...written.bob].sort())
    for (const mine of [written.ada, written.bob])
      expect(texts.filter((text) => mine.includes(text))).toEqual(mine)
    expect(await ada.messages()).toEqual(numbered(texts))
    expect(await bob.messages()).toEqual(numbered(texts))
    await Promise.all([noneIsPending(ada), noneIsPending(bob)])
  },
)

browserTest(
  'the server is killed while somebody writes: nothing is lost, nothing is there twice',
  async () => {
    const { visitor: ada, network } = await visit('ada')
    await ada.createRoom()
    const place = ada.place
    const written: string[] = []
    const write = async (text: string) => {
      written.push(text)
      await ada.say(text)
    }
    for (let i = 1; i <= 10; i++) await write(`before ${i}`)
    const killed = server.stop('SIGKILL')
    for (let i = 1; i <= 10; i++) await write(`meanwhile ${i}`)
    await killed
    await ada.is('offline')
    await write('to nobody')
    await until(async () => (await ada.pending()).includes('to nobody'), 'it is shown as unsent')
    await server.restart()
    network.lead(server.url)
    await write('after')
    expect(await ada.endsWith('after', 20_000)).toEqual(numbered(written))
    witness = await signUp(server.url)
    expect(await recorded(place)).toEqual(written)
    await ada.is('live')
  },
)

browserTest('what was not sent outlives a reload without a network', async () => {
  const { visitor: ada, network } = await visit('ada')
  const room = await ada.createRoom()
  await ada.say('one')
  await ada.sees('one')
  network.cut()
  await ada.is('offline')
  for (const text of ['two', 'three']) await ada.say(text)
  await until(async () => (await ada.pending()).join() === 'two,three', 'both are shown as unsent')
  const address = ada.page.url()
  await expect(ada.page.reload()).rejects.toThrow('net::ERR_')
  // The browser has put a page of its own in its place.
  await ada.page.waitForURL('chrome-error://**')
  network.restore()
  await ada.page.goto(address)
  await ada.isIn(room)
  expect(await ada.endsWith('three')).toEqual(numbered(['one', 'two', 'three']))
  await noneIsPending(ada)
})

browserTest(
  'a network that stalls is noticed, and what was written then arrives once',
  async () => {
    const { visitor: ada, network } = await visit('ada')
    await ada.createRoom()
    await ada.say('one')
    await ada.sees('one')
    network.stall()
    await ada.say('two')
    await until(async () => (await ada.pending()).join() === 'two', 'it is shown as unsent')
    network.restore()
    expect(await ada.endsWith('two')).toEqual(numbered(['one', 'two']))
  },
)
