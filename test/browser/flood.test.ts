/** A thousand messages a second into the room one looks at: the page stays at one's command. */
import { afterAll, beforeAll, expect } from 'bun:test'
import { newName, type Person, ServerProcess, signUp, until } from '../harness.ts'
import { Socket } from '../live.ts'
import { browserTest, useBrowser } from './browser.ts'
import { tracedTasks } from './tasks.ts'
import { Visitor } from './visitor.ts'

const SECONDS = 5
const PER_SECOND = 1_000
const BURST_MS = 50
/** A task of the page's own that takes longer is felt as a stutter. */
const TASK_MS_MAX = 100

const browser = useBrowser()
let server: ServerProcess
let crowd: Person

beforeAll(async () => {
  server = await ServerProcess.start()
  crowd = await signUp(server.url)
})
afterAll(() => server.stopAndForget())

/** Posts evenly over the time, and resolves when all of it is acknowledged. */
async function flood(room: string): Promise<void> {
  const socket = await Socket.of(crowd)
  const count = (PER_SECOND * BURST_MS) / 1_000
  const posts: Promise<unknown>[] = []
  const startedAt = performance.now()
  const post = () => {
    const due = Math.min(SECONDS, (performance.now() - startedAt) / 1_000) * PER_SECOND
    const burst = Math.min(count, Math.floor(due) - posts.length)
    for (let i = 0; i < burst; i++)
      posts.push(socket.ask('post', { room, text: `message ${posts.length + 1}` }))
    return posts.length === SECONDS * PER_SECOND
  }
  await until(post, 'all are posted', 4 * SECONDS * 1_000)
  await Promise.all(posts)
  socket.close()
}

browserTest('a flood leaves the page awake, and the list right at its end', async () => {
  const ada = await new Visitor(await browser.openPage(server.url)).signUp()
  await ada.createRoom(newName('flood'))
  const last = SECONDS * PER_SECOND
  const tasks = await tracedTasks(ada.page, async () => {
    await flood(ada.place.split('/')[2]!)
    await until(async () => (await lastSeq(ada)) === last, 'the last message is there')
  })
  const longest = tasks.toSorted((one, other) => other - one).slice(0, 5)
  console.log(`longest tasks during the flood, in ms of CPU time: ${longest.join(', ')}`)
  expect(tasks.length).toBeGreaterThan(SECONDS)
  expect(longest[0]).toBeLessThanOrEqual(TASK_MS_MAX)
  const shown = await ada.messages()
  expect(shown).toEqual(
    shown.map((_, i) => {
      const seq = last - shown.length + 1 + i
      return { seq, text: `message ${seq}` }
    }),
  )
})

/** A look that costs the page nothing worth measuring. */
function lastSeq({ page }: Visitor): Promise<number> {
  return page.evaluate(() => {
    const log = document.querySelector('[role=log]')!
    return Number((log.lastElementChild as HTMLElement).dataset.seq)
  })
}
