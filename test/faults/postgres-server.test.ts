/**
 * PostgreSQL fails under a server that people use: nothing acknowledged is lost, whatever is
 * retried is there once, everyone is answered in time, and it comes back without anybody's help.
 */
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { type Person, ServerProcess, signUp, until } from '../harness.ts'
import { Follower, Run, roomSpot, type Spot, VIAS } from '../promises/run.ts'
import { findPostgres, PostgresServer } from '../services/postgres.ts'

/** What every answer comes within, and a little for a busy machine. */
const ANSWER_MS = 2_000 + 500
const BACK_MS = 5_000

const programs = await findPostgres()
const postgres = programs === undefined ? undefined : await PostgresServer.start(programs)

afterAll(() => postgres?.remove())

let url: string
let server: ServerProcess
let people: Person[]
let run: Run
let spots: Spot[]

/** People post in two rooms, over HTTP and WebSocket, until the run stops. */
function postEverywhere(): Promise<unknown> {
  const [ada, bob] = people as [Person, Person]
  const posting = spots.flatMap((spot) => [
    run.postHttp(ada, spot),
    run.postHttp(bob, spot),
    run.postSocket(ada, spot),
  ])
  return Promise.all(posting)
}

const acknowledged = () => run.attempts.filter(({ outcome }) => outcome === 'ok').length

/** Resolves when people's posts are acknowledged again, and reading goes on, too. */
async function goesOn(): Promise<void> {
  const before = acknowledged()
  await until(() => acknowledged() > before + 20, 'posts go on', BACK_MS)
  await until(async () => (await fetch(`${server.url}/readyz`)).ok, 'it is ready', BACK_MS)
}

/** Everybody finishes what they have begun, and then all that happened is looked at. */
async function checkAll(posting: Promise<unknown>, followers: Follower[]): Promise<void> {
  run.stopping = true
  await posting
  const [ada, , eve] = people as [Person, Person, Person]
  // Of what was stored without an answer readers hear with the next event.
  for (const spot of spots)
    await until(() => run.tryHttp(ada, spot, run.draft(ada.name)), 'one more is acknowledged')
  const head = (await run.log(eve, spots[0]!.path)).length
  await Promise.all(followers.map((follower) => follower.finish(head)))
  expect(await run.faults(eve, spots)).toEqual([])
  const waits = run.attempts.map(({ invokedAt, completedAt }) => completedAt - invokedAt)
  expect(Math.max(...waits)).toBeLessThan(ANSWER_MS)
}

describe.skipIf(postgres === undefined)('while people talk, PostgreSQL', () => {
  beforeEach(async () => {
    url = await postgres!.createDatabase()
    server = await ServerProcess.start({ databaseUrl: url })
    people = await Promise.all([1, 2, 3].map(() => signUp(server.url)))
    run = new Run(server)
    spots = []
    for (const person of people.slice(0, 2)) spots.push(roomSpot((await person.createRoom()).id))
  })

  afterEach(async () => {
    postgres!.thaw()
    await server.stopAndForget()
  })

  /** One reader by each way. */
  async function followAll(): Promise<Follower[]> {
    const epoch = (await people[0]!.fetch('/messages')).headers.get('parley-epoch')!
    return VIAS.map((via) => new Follower(run, people[2]!, spots[0]!, via, epoch))
  }

  test.each<[string, number, () => Promise<void>]>([
    [
      'is restarted three times',
      3,
      async () => {
        await postgres!.stop('SIGINT')
        await postgres!.restart()
      },
    ],
    [
      'crashes three times',
      3,
      async () => {
        await postgres!.stop('SIGKILL')
        await postgres!.restart()
      },
    ],
    [
      'ends all sessions twenty times',
      20,
      async () => {
        expect(await postgres!.terminateSessions(url)).toBeGreaterThan(0)
      },
    ],
  ])('%s: nothing is lost, nothing is there twice', async (_, times, fail) => {
    const followers = await followAll()
    const posting = postEverywhere()
    await goesOn()
    for (let n = 0; n < times; n++) {
      await fail()
      await goesOn()
    }
    await checkAll(posting, followers)
    // The faults have hit: posts were under way.
    expect(run.attempts.length).toBeGreaterThan(acknowledged())
  })

  test('stops answering: all are told in time, and it goes on where it was', async () => {
    const followers = await followAll()
    const posting = postEverywhere()
    await goesOn()
    postgres!.freeze()
    const refused = () => run.attempts.filter(({ outcome }) => outcome === 'failed').length
    await until(() => refused() > 20, 'posts are refused')
    const askedAt = performance.now()
    expect((await fetch(`${server.url}/readyz`)).status).toBe(503)
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
    const post = { method: 'POST', json: { text: 'x' } }
    const response = await people[0]!.fetch(`${spots[0]!.path}/messages`, post)
    expect(response.status).toBe(503)
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(performance.now() - askedAt).toBeLessThan(ANSWER_MS)
    postgres!.thaw()
    await goesOn()
    await checkAll(posting, followers)
  })

  test('is away with its password in the address: no log and no answer tells it', async () => {
    const secret = 'hunter2'
    const databaseUrl = url.replace('parley@', `parley:${secret}@`)
    const talkative = await ServerProcess.start({ databaseUrl, logLevel: 'trace' })
    const ada = await signUp(talkative.url)
    const room = await ada.createRoom()
    await postgres!.stop()
    const refused = async () => {
      const init = { method: 'POST', json: { text: 'x' } }
      const answer = await (await ada.fetch(`/room/${room.id}/messages`, init)).text()
      expect(answer).not.toContain(secret)
      return answer.includes('store_unavailable') && talkative.errors.includes('ECONNREFUSED')
    }
    await until(refused, 'posts are refused, and the log tells why')
    expect(talkative.errors).not.toContain(secret)
    await talkative.stopAndForget()
    await postgres!.restart()
  })

  test('has a busy room locked by somebody: all are told in time, and no queue builds up', async () => {
    const followers = await followAll()
    const posting = postEverywhere()
    await goesOn()
    const other = await postgres!.connect(url).reserve()
    await other`BEGIN`
    await other`SELECT FROM timelines WHERE id = ${spots[0]!.timeline} FOR UPDATE`
    const refused = () => run.attempts.filter(({ outcome }) => outcome === 'failed').length
    await until(() => refused() > 30, 'posts are refused')
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    const queued = Number(/^parley_post_queue_events (\d+)/m.exec(metrics)![1])
    // Those who post wait for their answers: as many as are in flight, and no more.
    expect(queued).toBeLessThanOrEqual(2 * (2 + 8))
    await other`ROLLBACK`
    other.release()
    await goesOn()
    await checkAll(posting, followers)
  })
})
