/**
 * A real Chromium, for the tests of the page: one process for each test file, with cookies and
 * storage of its own for each person. Whatever the page complains of on the way (an uncaught error,
 * an error on the console, a breach of its policy) fails the test that it happened in.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { DEADLINE_MS } from '../harness.ts'
import { findChromium } from './chromium.ts'
import { LAUNCH_MS_MAX, launchChromium, SETTING } from './launch.ts'

/** A story has many steps, each with a deadline of its own. */
const STORY_MS_MAX = 120_000

const executablePath = findChromium()

/** A test that needs the browser. Bun's summary counts those that are skipped for want of one. */
export function browserTest(title: string, story: () => Promise<void>): void {
  if (executablePath === undefined) test.skip(title, story)
  else test(title, story, STORY_MS_MAX)
}

export interface PageOptions {
  width?: number
  height?: number
  colorScheme?: 'light' | 'dark'
  hasTouch?: boolean
  /** Complaints that belong to the story: what a browser says of a network that is cut. */
  tolerated?: RegExp
  /** Beside another page of the same person: another tab. */
  beside?: Page
}

/** To be called once in a file, outside of its tests. */
export function useBrowser(): {
  openPage(url: string, options?: PageOptions): Promise<Page>
} {
  let browser: Browser | undefined
  const contexts = new Set<BrowserContext>()
  const complaints: string[] = []
  if (executablePath !== undefined)
    beforeAll(async () => {
      browser = await launchChromium(executablePath)
    }, LAUNCH_MS_MAX)

  afterEach(async () => {
    await Promise.all([...contexts].map((context) => context.close()))
    contexts.clear()
    expect(complaints.splice(0), 'what the page complained of').toEqual([])
  })
  afterAll(() => browser?.close())

  return {
    async openPage(url, options = {}) {
      const context = options.beside?.context() ?? (await newContext(browser!, options))
      contexts.add(context)
      const page = await context.newPage()
      collectComplaints(page, options.tolerated, (one) => complaints.push(one))
      await page.goto(url)
      return page
    },
  }
}

async function newContext(browser: Browser, options: PageOptions): Promise<BrowserContext> {
  const { width = 1_024, height = 768, colorScheme = 'light', hasTouch = false } = options
  const context = await browser.newContext({
    ...{ viewport: { width, height }, colorScheme, hasTouch },
    ...SETTING,
  })
  context.setDefaultTimeout(DEADLINE_MS)
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      console.error(`breaks the policy: ${event.violatedDirective} ${event.blockedURI}`)
    })
  })
  return context
}

/** A page that asks who it is, and is nobody yet, is answered 401; Chromium reports that always. */
const NOBODY_YET = / 401 .*\/me$/

function collectComplaints(
  page: Page,
  tolerated: RegExp | undefined,
  complain: (complaint: string) => void,
): void {
  const add = (complaint: string) => {
    if (NOBODY_YET.test(complaint) || tolerated?.test(complaint)) return
    complain(complaint)
  }
  page.on('pageerror', (error) => add(`uncaught: ${error.stack ?? error.message}`))
  page.on('crash', () => add('the page crashed'))
  page.on('console', (message) => {
    if (message.type() === 'error') add(`${message.text()} ${message.location().url}`)
  })
}
