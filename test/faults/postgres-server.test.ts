/**
 * PostgreSQL fails under a server that people use: nothing acknowledged is lost, whatever is
 * retried is there once, everyone is answered in time, and it comes back without anybody's help.
 */
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { ServerProcess, signUp, until } from '../harness.ts'
import { Load } from '../promises/load.ts'
import { findPostgres, PostgresServer } from '../services/postgres.ts'
import { expectSoon, msOf } from '../soon.ts'

/** What every answer comes within, and a little for a busy machine. */
const ANSWER_MS = 2_000 + 500
/** A machine may pause for as long, in one of many answers. */
const PAUSE_MS = 2_000
const IN_FLIGHT = 8

const programs = await findPostgres()
const postgres = programs === undefined ? undefined : await PostgresServer.start(programs)

afterAll(() => postgres?.remove())

let url: string
let server: ServerProcess
let load: Load

/** Resolves when people's posts are acknowledged again, and reading goes on, too. */
async function goesOn(): Promise<void> {
  await load.goesOn(20)
  await until(async () => (await fetch(`${server.url}/readyz`)).ok, 'it is ready')
}

const refused = () => load.run.attempts.filter(({ outcome }) => outcome === 'failed').length

/** Everybody finishes what they have begun, and then all that happened is looked at. */
async function expectWell(): Promise<void> {
  expect(await load.faults()).toEqual([])
  expect(load.slowestMs).toBeLessThan(ANSWER_MS + PAUSE_MS)
}

/** The longest that anybody has waited for an answer which came meanwhile. */
async function slowestDuring(trouble: () => Promise<void>): Promise<number> {
  const { attempts } = load.run
  const before = attempts.length
  await trouble()
  const waits = attempts.slice(before).map((one) => one.completedAt - one.invokedAt)
  return Math.max(...waits)
}

describe.skipIf(postgres === undefined)('while people talk, PostgreSQL', () => {
  beforeEach(async () => {
    url = await postgres!.createDatabase()
    server = await ServerProcess.start({ databaseUrl: url })
    // Where the machine pauses, whoever comes may be told to come again.
    const start = () => Load.start(server, { inFlight: IN_FLIGHT }).catch(() => undefined)
    load = await until(start, 'people talk')
  })

  afterEach(async () => {
    postgres!.thaw()
    await server.stopAndForget()
  })

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
    await goesOn()
    for (let n = 0; n < times; n++) {
      await fail()
      await goesOn()
    }
    await expectWell()
    // The faults have hit: posts were under way.
    expect(load.run.attempts.length).toBeGreaterThan(load.run.acknowledged)
  })

  test('stops answering: all are told in time, and it goes on where it was', async () => {
    const asked = async () => {
      expect((await fetch(`${server.url}/readyz`)).status).toBe(503)
      expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
      const post = { method: 'POST', json: { text: 'x' } }
      const response = await load.reader.fetch(`${load.spots[0]!.path}/messages`, post)
      expect(response.status).toBe(503)
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
    }
    await goesOn()
    await expectSoon(ANSWER_MS, 'everybody is answered', async () => {
      const before = refused()
      let askedMs = 0
      const slowestMs = await slowestDuring(async () => {
        postgres!.freeze()
        await until(() => refused() > before + 20, 'posts are refused')
        askedMs = await msOf(() => asked())
        postgres!.thaw()
        await goesOn()
      })
      return Math.max(askedMs, slowestMs)
    })
    await expectWell()
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
    await goesOn()
    const other = await postgres!.connect(url).reserve()
    const trouble = async () => {
      const before = refused()
      await other`BEGIN`
      await other`SELECT FROM timelines WHERE id = ${load.spots[0]!.timeline} FOR UPDATE`
      await until(() => refused() > before + 30, 'posts are refused')
      const metrics = await (await fetch(`${server.url}/metrics`)).text()
      const queued = Number(/^parley_post_queue_events (\d+)/m.exec(metrics)![1])
      // Those who post wait for their answers: as many as are in flight, and no more.
      expect(queued).toBeLessThanOrEqual(load.spots.length * load.authors.length * (1 + IN_FLIGHT))
      await other`ROLLBACK`
      await goesOn()
    }
    await expectSoon(ANSWER_MS, 'everybody is answered', () => slowestDuring(trouble))
    other.release()
    await expectWell()
  })
})
