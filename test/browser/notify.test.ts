/** Direct messages reach people who look elsewhere: by the tab's title, and on the desktop. */
import { afterAll, beforeAll, expect } from 'bun:test'
import type { Page } from 'playwright-core'
import { newName, ServerProcess, until } from '../harness.ts'
import { browserTest, useBrowser } from './browser.ts'
import { Visitor } from './visitor.ts'

const browser = useBrowser()
let server: ServerProcess

beforeAll(async () => {
  server = await ServerProcess.start()
})
afterAll(() => server.stopAndForget())

interface Told {
  title: string
  body: string
  click: () => void
}

/** Whoever looks elsewhere has not the focus; the browser's own notifications are written down. */
async function lookElsewhere(page: Page): Promise<void> {
  await page.evaluate(() => {
    document.hasFocus = () => false
    const told: Told[] = []
    Object.assign(window, { told })
    window.Notification = class extends Notification {
      constructor(title: string, options?: NotificationOptions) {
        super(title, options)
        told.push({
          title,
          body: options?.body ?? '',
          click: () => this.onclick?.(new Event('click')),
        })
      }
    }
  })
}

const toldTo = (page: Page) =>
  page.evaluate(() =>
    (window as unknown as { told: Told[] }).told.map(({ title, body }) => [title, body]),
  )

async function twoPeople(): Promise<[Visitor, Visitor]> {
  const [ada, bob] = await Promise.all(
    ['ada', 'bob'].map(async (name) =>
      new Visitor(await browser.openPage(server.url), newName(name)).signUp(),
    ),
  )
  return [ada!, bob!]
}

async function switchOn({ page }: Visitor): Promise<void> {
  await page.getByRole('button', { name: 'Account' }).click()
  await page.getByLabel('Notifications').check()
  await page.keyboard.press('Escape')
}

browserTest('who allows it is told on the desktop, and led there by a click', async () => {
  const [ada, bob] = await twoPeople()
  await bob.page.context().grantPermissions(['notifications'], { origin: server.url })
  await switchOn(bob)
  const room = await bob.createRoom()
  await lookElsewhere(bob.page)
  await ada.find(room)
  await ada.say('to everyone in the room')
  await bob.sees('to everyone in the room')
  await ada.find(bob.name)
  await ada.say('psst <b>you</b>')
  await until(async () => (await toldTo(bob.page)).length === 1, 'bob is told')
  expect(await toldTo(bob.page)).toEqual([[ada.name, 'psst <b>you</b>']])
  await until(async () => (await bob.page.title()) === '(1) Parley', 'the title says one, too')
  await bob.page.evaluate(() => {
    document.hasFocus = () => true
    ;(window as unknown as { told: Told[] }).told[0]!.click()
  })
  await bob.isIn(ada.name)
  await until(async () => (await bob.page.title()) === 'Parley', 'nothing is unread any more')
})

browserTest(
  'who did not ask for it, or looks at the page, is told by the title alone',
  async () => {
    const [ada, bob] = await twoPeople()
    await bob.page.context().grantPermissions(['notifications'], { origin: server.url })
    await bob.createRoom()
    await lookElsewhere(bob.page)
    await ada.find(bob.name)
    await ada.say('one')
    await until(async () => (await bob.page.title()) === '(1) Parley', 'the title says one')
    await switchOn(bob)
    await bob.page.evaluate(() => {
      document.hasFocus = () => true
    })
    await ada.say('two')
    await until(async () => (await bob.page.title()) === '(2) Parley', 'the title says two')
    expect(await toldTo(bob.page)).toEqual([])
  },
)

browserTest('a browser that does not allow it is named as the one that does not', async () => {
  const [, bob] = await twoPeople()
  await bob.page.context().clearPermissions()
  await bob.page.evaluate(() => {
    Notification.requestPermission = async () => 'denied'
  })
  await bob.page.getByRole('button', { name: 'Account' }).click()
  await bob.page.getByLabel('Notifications').click()
  await bob.page.getByText('Your browser does not allow them').waitFor()
  expect(await bob.page.getByLabel('Notifications').isChecked()).toBe(false)
})
