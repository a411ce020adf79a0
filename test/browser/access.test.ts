/** Everyone can use the page: by keyboard alone, with a screen reader, in either theme. */
import { afterAll, beforeAll, expect } from 'bun:test'
import axe from 'axe-core'
import type { Page } from 'playwright-core'
import { newName, PASSWORD, ServerProcess, signUp, until } from '../harness.ts'
import { browserTest, useBrowser } from './browser.ts'
import { Visitor } from './visitor.ts'

const browser = useBrowser()
let server: ServerProcess

beforeAll(async () => {
  server = await ServerProcess.start()
})
afterAll(() => server.stopAndForget())

/** What keeps people out, according to axe-core: the rule, and where it is broken. */
async function faults(page: Page): Promise<string[]> {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe.source)
  const { violations } = await page.evaluate(() => {
    const { axe } = window as unknown as { axe: typeof import('axe-core') }
    return axe.run({ resultTypes: ['violations'] })
  })
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => [id, ...target, failureSummary].join(' ')),
    )
}

// Colours do not depend on the width, nor names on the theme.
const LOOKS = [
  ['light', 1_280],
  ['dark', 360],
] as const

for (const [colorScheme, width] of LOOKS)
  browserTest(`no view keeps anybody out: ${colorScheme}, ${width} px wide`, async () => {
    const page = await browser.openPage(server.url, { colorScheme, width, height: 800 })
    const ada = new Visitor(page)
    const found: Record<string, string[]> = {}
    const look = async (view: string) => {
      found[view] = await faults(page)
    }
    await look('signing in')
    await page.getByRole('button', { name: 'Create an account' }).click()
    await look('signing up')
    await page.getByRole('button', { name: 'I have an account' }).click()
    await ada.signUp()
    await look('the first time')
    await page.getByRole('button', { name: 'New room' }).click()
    await look('a new room')
    await page.getByRole('button', { name: 'Cancel' }).click()
    await ada.createRoom()
    await look('an empty room')
    for (const text of TEXTS) await ada.say(text)
    await ada.sees('the last of them')
    await look('a conversation')
    await page.getByRole('button', { name: 'Jump to date' }).click()
    await look('the date')
    await page.keyboard.press('Escape')
    await page.keyboard.press('Control+k')
    await page.getByRole('dialog', { name: 'Go to' }).waitFor()
    await look('the switcher')
    await page.keyboard.press('Escape')
    await ada.follow('#/sessions')
    await page.getByRole('heading', { name: 'Sessions' }).waitFor()
    await look('sessions')
    expect(Object.keys(found)).toBeArrayOfSize(9)
    for (const [view, all] of Object.entries(found)) expect([view, all]).toEqual([view, []])
  })

const TEXTS = [
  'plain, *stressed*, **strong**, ~~gone~~, `code` and https://example.org/',
  '> quoted\n\nand answered',
  '1. one\n2. two\n   - inner',
  '```\nlet x = 1\n```',
  '| a | b |\n|---|---|\n| 1 | 2 |',
  '# a heading',
  'the last of them',
]

browserTest('by keyboard alone: sign in, switch, write, bring back what one wrote', async () => {
  const account = await signUp(server.url, newName('ada'))
  const rooms = ['Kitchen', 'Garden'].map((name) => newName(name))
  for (const room of rooms) await account.createRoom(room)
  const page = await browser.openPage(server.url)
  const ada = new Visitor(page, account.name)
  await page.locator('input[name=name]:focus').waitFor()
  await page.keyboard.type(account.name)
  await page.keyboard.press('Tab')
  await page.keyboard.type(PASSWORD)
  await page.keyboard.press('Enter')
  await ada.conversations.waitFor()
  for (const room of rooms) {
    await page.keyboard.press('Control+k')
    await page.getByRole('dialog', { name: 'Go to' }).waitFor()
    await page.keyboard.type(room.slice(0, -1).toUpperCase())
    await page.getByRole('dialog').getByText(room).waitFor()
    await page.keyboard.press('Enter')
    await ada.isIn(room)
    // Whoever types before the page is done with the last step types into nothing.
    const isFocused = () => ada.composer.evaluate((one) => one === document.activeElement)
    await until(isFocused, 'one can write at once')
    await page.keyboard.type(`hello, ${room}`)
    await page.keyboard.press('Enter')
    await ada.sees(`hello, ${room}`)
  }
  await page.keyboard.press('ArrowUp')
  await until(
    async () => (await ada.composer.inputValue()) === `hello, ${rooms[1]}`,
    'what was written last is back',
  )
  await page.keyboard.type('!')
  await page.keyboard.press('Shift+Enter')
  await page.keyboard.type('and goodbye')
  await page.keyboard.press('Enter')
  const shown = await ada.endsWith(`hello, ${rooms[1]}!\nand goodbye`)
  expect(shown).toBeArrayOfSize(2)
})

browserTest('a dialog keeps the focus, and gives it back', async () => {
  const page = await browser.openPage(server.url)
  const ada = await new Visitor(page).signUp()
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label'))
  await page.getByRole('button', { name: 'New room' }).focus()
  await page.keyboard.press('Enter')
  const dialog = page.getByRole('dialog', { name: 'New room' })
  await dialog.waitFor()
  for (let i = 0; i < 8; i++) {
    await page.keyboard.press('Tab')
    const isInside = await dialog.evaluate(
      (element) =>
        document.activeElement === document.body || element.contains(document.activeElement),
    )
    expect(isInside).toBe(true)
  }
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'hidden' })
  await until(async () => (await focused()) === 'New room', 'the button has the focus again')
  await ada.is('live')
})
