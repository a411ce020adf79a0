/** People talk, each in a browser of their own. */
import { afterAll, beforeAll, expect } from 'bun:test'
import { newName, ServerProcess, until } from '../harness.ts'
import { expectSoon, msOf } from '../soon.ts'
import { browserTest, type PageOptions, useBrowser } from './browser.ts'
import { Visitor } from './visitor.ts'

const browser = useBrowser()
let server: ServerProcess

beforeAll(async () => {
  server = await ServerProcess.start()
})
afterAll(() => server.stopAndForget())

const visit = async (name: string, options?: PageOptions) =>
  new Visitor(await browser.openPage(server.url, options), newName(name))

browserTest('two people sign up, and talk', async () => {
  const ada = await (await visit('ada')).signUp()
  const room = await ada.createRoom()
  const bob = await (await visit('bob')).signUp()
  await bob.goTo(room)
  await ada.say('The kettle is on.')
  await bob.sees('The kettle is on.')
  await bob.say('Milk, as always?')
  await ada.sees('Milk, as always?')
  const expected = [
    { seq: 1, text: 'The kettle is on.' },
    { seq: 2, text: 'Milk, as always?' },
  ]
  expect(await ada.messages()).toEqual(expected)
  expect(await bob.messages()).toEqual(expected)
  await ada.is('live')
})

browserTest('a direct message finds someone who looks elsewhere', async () => {
  const ada = await (await visit('ada')).signUp()
  const bob = await (await visit('bob')).signUp()
  await bob.createRoom()
  await ada.find(bob.name)
  await ada.say('psst')
  await until(async () => (await bob.unread(ada.name)) === '1', 'bob has one unread message')
  await ada.say('are you there?')
  await until(async () => (await bob.unread(ada.name)) === '2', 'bob has two unread messages')
  await bob.goTo(ada.name)
  await bob.sees('are you there?')
  await until(async () => (await bob.unread(ada.name)) === '', 'bob has read them')
  await bob.say('here')
  await ada.sees('here')
})

browserTest('what is said in a room one has read is counted, until one looks', async () => {
  const ada = await (await visit('ada')).signUp()
  const room = await ada.createRoom()
  await ada.say('zero')
  await ada.sees('zero')
  const other = await ada.createRoom()
  const bob = await (await visit('bob')).signUp()
  await bob.goTo(room)
  await bob.say('one')
  await until(async () => (await ada.unread(room)) === '1', 'ada has one unread message')
  await bob.say('two')
  await until(async () => (await ada.unread(room)) === '2', 'ada has two unread messages')
  expect(await ada.unread(other)).toBe('')
  await ada.goTo(room)
  await ada.sees('two')
  await until(async () => (await ada.unread(room)) === '', 'ada has read them')
})

browserTest('a reload brings everything back, without signing in again', async () => {
  const ada = await (await visit('ada')).signUp()
  const room = await ada.createRoom()
  for (const text of ['one', 'two', 'three']) await ada.say(text)
  await ada.sees('three')
  await ada.composer.fill('half a thou')
  await ada.page.reload()
  await ada.isIn(room)
  await ada.sees('three')
  expect((await ada.messages()).map(({ text }) => text)).toEqual(['one', 'two', 'three'])
  expect(await ada.composer.inputValue()).toBe('half a thou')
})

browserTest('signing out in one tab ends the other within two seconds', async () => {
  await expectSoon(2_000, 'the other tab shows the way in', async () => {
    const ada = await (await visit('ada')).signUp()
    const room = await ada.createRoom()
    const other = new Visitor(await browser.openPage(server.url, { beside: ada.page }), ada.name)
    await other.isIn(room)
    await ada.signOut()
    const tookMs = await msOf(() => other.isSignedOut())
    expect(await other.page.getByText(room).count()).toBe(0)
    await other.page.reload()
    await other.isSignedOut()
    return tookMs
  })
})

browserTest('a session that is ended from elsewhere ends its page', async () => {
  await expectSoon(2_000, 'the ended one shows the way in', async () => {
    const ada = await (await visit('ada')).signUp()
    const phone = await new Visitor((await visit('ada')).page, ada.name).signIn()
    await phone.follow('#/sessions')
    const items = phone.page.locator('main').getByRole('listitem')
    await until(async () => (await items.count()) === 2, 'both sign-ins are listed')
    await items.filter({ hasNotText: 'This one' }).getByRole('button', { name: 'End' }).click()
    const tookMs = await msOf(() => ada.isSignedOut())
    await until(async () => (await items.count()) === 1, 'one is left')
    return tookMs
  })
})

browserTest(
  'what is wrong is said: a name that is taken, a password that is not right',
  async () => {
    const ada = await (await visit('ada')).signUp()
    const refused = / (409|401|400) /
    const page = await browser.openPage(server.url, { tolerated: refused })
    const fill = async (name: string, password: string, button: string) => {
      await page.getByLabel('Name', { exact: true }).fill(name)
      await page.getByLabel('Password').fill(password)
      await page.getByRole('button', { name: button }).click()
    }
    await fill(ada.name, 'not the password', 'Sign in')
    await page.getByRole('alert').getByText('Name or password is wrong').waitFor()
    await page.getByRole('button', { name: 'Create an account' }).click()
    await fill(ada.name, 'a good password', 'Sign up')
    await page.getByRole('alert').getByText('taken').waitFor()
    await fill(newName(), 'short', 'Sign up')
    await page.getByRole('alert').getByText('password').waitFor()
  },
)
