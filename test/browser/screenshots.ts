/**
 * `npm run screenshots`: the page in three widths and two themes, for the documentation. The
 * conversation in it always has the same words and times, so a picture differs from the one before
 * only where the page does.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { directTimeline, inboxTimeline } from '../../src/chat/ids.ts'
import { foldedName } from '../../src/chat/names.ts'
import type { Store } from '../../src/store/store.ts'
import type { Author, Id } from '../../src/types.ts'
import { ServerProcess, signUp } from '../harness.ts'
import { messageOf, withStore } from './archive.ts'
import { findChromium } from './chromium.ts'
import { launchChromium, SETTING } from './launch.ts'
import { withPalette } from './png.ts'
import { Network } from './proxy.ts'
import { EARLIER, LATER, type Line, NOW, PEOPLE, ROOMS } from './scene.ts'
import { Visitor } from './visitor.ts'

const FOLDER = join(import.meta.dir, '../../docs/images')
const BYTES_MAX = 60 << 10
const SIZES = [
  { width: 360, height: 740 },
  { width: 768, height: 900 },
  { width: 1_440, height: 900 },
]

/** Ids are always the same, for a name's colour comes from the id. */
const AUTHORS: readonly Author[] = PEOPLE.map((name) => ({ id: `u${name.padEnd(16, '0')}`, name }))
const LOOKING = AUTHORS[0]!

function roomId(name: string): Id {
  return `r${String((ROOMS as readonly string[]).indexOf(name)).padEnd(16, '0')}`
}

/** Changes what a server has, between two lives of it. */
async function rewrite(server: ServerProcess, work: (store: Store) => Promise<void>) {
  await server.stop()
  await withStore(server.folder, work)
  await server.restart()
}

/** The accounts have the password of somebody who has signed up as people do. */
async function furnish(store: Store, model: string): Promise<void> {
  const { passwordHash } = (await store.findAccount(model))!
  for (const author of AUTHORS) await store.createUser({ ...author, createdAt: NOW, passwordHash })
  for (const name of ROOMS) {
    const room = { id: roomId(name), name, createdAt: NOW, createdBy: LOOKING.id }
    await store.createRoom(room, foldedName(name))
  }
}

async function say(store: Store, lines: readonly Line[]): Promise<void> {
  const events = lines.map(({ in: room, from, at, text }) => {
    const author = AUTHORS.find(({ name }) => name === from)!
    if (room !== undefined) return messageOf(roomId(room), author, text, at)
    const direct = messageOf(directTimeline(author.id, LOOKING.id), author, text, at)
    return { ...direct, inbox: inboxTimeline(LOOKING.id) }
  })
  await store.append(events)
}

async function sees({ log }: Visitor, room: string, lines: readonly Line[]): Promise<void> {
  const count = lines.filter((line) => line.in === room).length
  await log.locator(`[data-seq="${count}"]`).waitFor()
}

/** Someone who has read everything so far, so that what comes later is new to them. */
async function readAll(page: Page): Promise<void> {
  const visitor = await new Visitor(page, LOOKING.name).signIn()
  for (const room of ROOMS) {
    await visitor.goTo(room)
    await sees(visitor, room, EARLIER)
  }
}

async function photograph(page: Page, tell: (line: string) => void): Promise<void> {
  mkdirSync(FOLDER, { recursive: true })
  for (const colorScheme of ['light', 'dark'] as const)
    for (const size of SIZES) {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize(size)
      const visitor = new Visitor(page)
      await visitor.is('live')
      const bytes = withPalette(await page.screenshot({ animations: 'disabled', caret: 'hide' }))
      const name = `page-${size.width}-${colorScheme}.png`
      writeFileSync(join(FOLDER, name), bytes)
      tell(`${name}: ${bytes.length} bytes`)
      if (bytes.length > BYTES_MAX) throw new Error(`${name} is larger than ${BYTES_MAX} bytes.`)
    }
}

async function main(): Promise<void> {
  const executablePath = findChromium()
  if (executablePath === undefined) return
  const server = await ServerProcess.start()
  const network = await Network.to(server.url)
  const { name: model } = await signUp(server.url)
  const browser = await launchChromium(executablePath)
  try {
    await rewrite(server, async (store) => {
      await furnish(store, model)
      await say(store, EARLIER)
    })
    network.lead(server.url)
    const context = await browser.newContext({ ...SETTING, viewport: SIZES[2]! })
    const page = await context.newPage()
    await page.clock.setFixedTime(NOW)
    await page.goto(network.url)
    await readAll(page)
    await rewrite(server, (store) => say(store, LATER))
    network.lead(server.url)
    await page.goto(`${network.url}/#/room/${roomId(ROOMS[0])}`)
    await page.reload()
    await sees(new Visitor(page), ROOMS[0], [...EARLIER, ...LATER])
    await photograph(page, console.log)
  } finally {
    await browser.close()
    await network.close()
    await server.stopAndForget()
  }
}

await main()
