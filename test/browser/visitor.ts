/** Someone who uses the page, in verbs. They find things as people do: by role, name and label. */
import type { Locator, Page } from 'playwright-core'
import { newName, PASSWORD, until } from '../harness.ts'

export interface Shown {
  seq: number
  text: string
}

type Status = 'live' | 'catching-up' | 'offline' | 'signed-out'

export class Visitor {
  readonly page: Page
  readonly name: string

  constructor(page: Page, name = newName()) {
    this.page = page
    this.name = name
  }

  /** Makes an account; the page signs in by itself. */
  async signUp(): Promise<this> {
    await this.page.getByRole('button', { name: 'Create an account' }).click()
    await this.#giveCredentials('Sign up')
    await this.conversations.waitFor()
    return this
  }

  /** With an account made elsewhere, by the harness's `signUp`. */
  async signIn(): Promise<this> {
    await this.#giveCredentials('Sign in')
    await this.conversations.waitFor()
    return this
  }

  async signOut(): Promise<void> {
    await this.page.getByRole('button', { name: 'Account' }).click()
    await this.page.getByRole('button', { name: 'Sign out' }).click()
    await this.page.getByRole('button', { name: 'Sign in' }).waitFor()
  }

  async createRoom(name = newName('room')): Promise<string> {
    await this.page.getByRole('button', { name: 'New room' }).click()
    await this.page.getByLabel('Room name').fill(name)
    await this.page.getByRole('button', { name: 'Create' }).click()
    await this.isIn(name)
    return name
  }

  /** Opens a room or a person that the list shows. */
  async goTo(name: string): Promise<void> {
    await this.linkTo(name).click()
    await this.isIn(name)
  }

  /** Looks for somebody by name, and opens the conversation with them. */
  async find(name: string): Promise<void> {
    const field = this.page.getByLabel('Search rooms and people')
    await field.fill(name)
    await this.goTo(name)
    await field.fill('')
  }

  /** By the address bar, for example `#/room/r…/42`. */
  async follow(hash: string): Promise<void> {
    await this.page.evaluate((to) => {
      location.hash = to
    }, hash)
  }

  async say(text: string): Promise<void> {
    await this.composer.fill(text)
    await this.composer.press('Enter')
  }

  /** Waits until the message stands in the log, with its number. */
  async sees(text: string): Promise<void> {
    const article = this.log.locator('article[data-seq]')
    await article
      .filter({ has: this.page.getByText(text, { exact: true }) })
      .first()
      .waitFor()
  }

  async isIn(name: string): Promise<void> {
    await this.page.locator('main').getByRole('heading', { level: 1, name }).waitFor()
  }

  async isSignedOut(): Promise<void> {
    await this.page.getByRole('button', { name: 'Sign in' }).waitFor()
  }

  async is(state: Status): Promise<void> {
    await this.page.locator(`[role=status][data-state=${state}]`).waitFor()
  }

  /** What stands in the log, in the order of the page. */
  messages(): Promise<Shown[]> {
    return this.log.locator('article[data-seq]').evaluateAll((articles) =>
      articles.map((article) => ({
        seq: Number((article as HTMLElement).dataset.seq),
        text: (article.querySelector('.text') as HTMLElement).innerText,
      })),
    )
  }

  /** My posts that have no number yet. */
  async pending(): Promise<string[]> {
    return this.log.locator('article:not([data-seq]) .text').allInnerTexts()
  }

  /** Waits until the last message says this; answers with all that stand there. */
  async endsWith(text: string, ms?: number): Promise<Shown[]> {
    return until(
      async () => {
        const all = await this.messages()
        return all.at(-1)?.text === text && all
      },
      `"${text}" is the last message of ${this.name}`,
      ms,
    )
  }

  /** The place that is open, as the address bar names it: `/room/r…`. */
  get place(): string {
    return new URL(this.page.url()).hash.slice(1)
  }

  get log(): Locator {
    return this.page.getByRole('log', { name: 'Messages' })
  }

  get composer(): Locator {
    return this.page.getByRole('textbox', { name: 'Message' })
  }

  get conversations(): Locator {
    return this.page.getByRole('navigation', { name: 'Conversations' })
  }

  linkTo(name: string): Locator {
    return this.conversations.getByRole('link', { name })
  }

  /** The number beside a conversation's name; empty if there is none. */
  async unread(name: string): Promise<string> {
    const [count = ''] = await this.linkTo(name).locator('.unread').allInnerTexts()
    return count.replace(/\D/g, '')
  }

  async #giveCredentials(button: string): Promise<void> {
    await this.page.getByLabel('Name', { exact: true }).fill(this.name)
    await this.page.getByLabel('Password').fill(PASSWORD)
    await this.page.getByRole('button', { name: button }).click()
  }
}
