/** A room of a hundred thousand messages is read as easily as one of ten. */
import { afterAll, beforeAll, expect } from 'bun:test'
import { ServerProcess, scratchFolder, until } from '../harness.ts'
import { firstSeqOf, seedArchive } from './archive.ts'
import { browserTest, useBrowser } from './browser.ts'
import { Visitor } from './visitor.ts'

const MESSAGES = 100_000
const ROOM = 'The archive'
/** What a page may hold of a conversation, whatever its length. */
const ARTICLES_MAX = 400
/** What the eye forgives. */
const MOVED_PX_MAX = 2

const browser = useBrowser()
let server: ServerProcess
let room: string

beforeAll(async () => {
  const folder = scratchFolder().path
  room = await seedArchive(folder, ROOM, MESSAGES)
  server = await ServerProcess.start({}, folder)
}, 60_000)
afterAll(() => server.stopAndForget())

/** Someone who has just signed up, and follows a link. */
async function visit(hash: string): Promise<Visitor> {
  const visitor = await new Visitor(await browser.openPage(server.url)).signUp()
  await visitor.follow(hash)
  await visitor.isIn(ROOM)
  return visitor
}

/** The seqs that can be seen, from top to bottom. */
function inSight({ log }: Visitor): Promise<number[]> {
  return log.evaluate((box) => {
    const { top, bottom } = box.getBoundingClientRect()
    return [...box.querySelectorAll<HTMLElement>('article[data-seq]')]
      .filter((article) => {
        const place = article.getBoundingClientRect()
        return place.bottom > top && place.top < bottom
      })
      .map((article) => Number(article.dataset.seq))
  })
}

const seesSeq = (visitor: Visitor, seq: number) =>
  until(async () => (await inSight(visitor)).includes(seq), `message ${seq} is in sight`)

/** All that is in the page follows without a hole; answers with its first seq and its length. */
async function run(visitor: Visitor): Promise<{ first: number; length: number }> {
  const seqs = await visitor.log
    .locator('article[data-seq]')
    .evaluateAll((articles) => articles.map((one) => Number((one as HTMLElement).dataset.seq)))
  const first = seqs[0]!
  expect(seqs).toEqual(seqs.map((_, i) => first + i))
  return { first, length: seqs.length }
}

/**
 * Scrolls by so many pixels, and watches the message at the top of the box for some frames: while
 * pages are put before it and after it, it must stay where it is. Answers with how far it strayed.
 */
function strayed({ log }: Visitor, px: number): Promise<number> {
  return log.evaluate(async (box, by) => {
    box.scrollTop += by
    const { top } = box.getBoundingClientRect()
    const articles = [...box.querySelectorAll('article[data-seq]')]
    const watched = articles.find((one) => one.getBoundingClientRect().bottom > top)!
    const before = watched.getBoundingClientRect().top
    let most = 0
    for (let frame = 0; frame < 6; frame++) {
      await new Promise(requestAnimationFrame)
      const now = watched.isConnected ? watched.getBoundingClientRect().top : Number.MAX_VALUE
      most = Math.max(most, Math.abs(now - before))
    }
    return most
  }, px)
}

/** Scrolls on until enough pages have come; answers with the most that anything strayed. */
async function scroll(visitor: Visitor, px: number, isFar: (first: number) => boolean) {
  let most = 0
  await until(
    async () => {
      most = Math.max(most, await strayed(visitor, px))
      const { first, length } = await run(visitor)
      expect(length).toBeLessThanOrEqual(ARTICLES_MAX)
      return isFar(first)
    },
    'it has scrolled through several pages',
    20_000,
  )
  return most
}

browserTest('it opens at its end, and shows what is said next', async () => {
  const ada = await visit(`#/room/${room}`)
  await seesSeq(ada, MESSAGES)
  expect((await run(ada)).length).toBeLessThanOrEqual(ARTICLES_MAX)
  await ada.is('live')
})

browserTest('scrolling up and down again, what one reads stays where it is', async () => {
  const ada = await visit(`#/room/${room}`)
  await seesSeq(ada, MESSAGES)
  expect(await scroll(ada, -1_500, (first) => first < MESSAGES - 600)).toBeLessThan(MOVED_PX_MAX)
  const { first } = await run(ada)
  expect(await scroll(ada, 1_500, (now) => now > first + 300)).toBeLessThan(MOVED_PX_MAX)
  await ada.page.getByRole('button', { name: 'Jump to latest' }).click()
  await seesSeq(ada, MESSAGES)
  await until(async () => (await run(ada)).first > MESSAGES - ARTICLES_MAX, 'the end is shown')
})

browserTest('a link leads to a message in the middle, and one can go on from there', async () => {
  const ada = await visit(`#/room/${room}/50000`)
  await seesSeq(ada, 50_000)
  expect(await scroll(ada, -600, (first) => first < 49_800)).toBeLessThan(MOVED_PX_MAX)
  await ada.follow(`#/room/${room}/777`)
  await seesSeq(ada, 777)
  await ada.page.goBack()
  await seesSeq(ada, 50_000)
})

browserTest('a date leads to its first message', async () => {
  const ada = await visit(`#/room/${room}`)
  await ada.page.getByRole('button', { name: 'Jump to date' }).click()
  await ada.page.getByLabel('Date', { exact: true }).fill('2024-02-01')
  await ada.page.getByRole('button', { name: 'Go', exact: true }).click()
  const seq = firstSeqOf('2024-02-01')
  await seesSeq(ada, seq)
  expect(ada.place).toBe(`/room/${room}/${seq}`)
  expect(await ada.page.getByRole('heading', { name: '1 February 2024' }).count()).toBe(1)
})
