/** `parley verify` on the embedded store: it finds nothing wrong with Parley, and says so. */
import { afterEach, expect, test } from 'bun:test'
import { REQUESTS_HELD_MAX, sparing } from '../../src/verify/places.ts'
import { type Transport, transports } from '../../src/verify/transports.ts'
import { ServerProcess } from '../harness.ts'
import { afterwards, planted, TRIAL_MS_MAX, undoAll, verify } from './on-trial.ts'

afterEach(undoAll)

test(
  'a server of its own keeps its promises, though it is killed',
  async () => {
    const [code, printed, errors] = await verify([
      '--people',
      '8',
      '--seconds',
      '3',
      '--kills',
      '2',
    ])
    expect(printed).toMatch(/\nPASS\n$/)
    expect(printed).toContain('killed 2 times')
    expect(printed).toContain('lost 0 · doubled 0 · reordered 0 · holes 0 · unseen 0 · made up 0')
    expect(printed).toContain('made up 0 · leaked 0 · after sign-out 0')
    expect(Number(/(\d+) acknowledged/.exec(printed)?.[1])).toBeGreaterThan(50)
    expect(errors).toContain('100 %')
    expect(code).toBe(0)
  },
  TRIAL_MS_MAX,
)

test(
  'a server that is there is put on trial as it is, and is not killed',
  async () => {
    const server = await ServerProcess.start({ rateLimits: 'on' })
    afterwards(() => server.stopAndForget())
    const [code, printed] = await verify([
      ...['--url', `${server.url}/`, '--people', '6', '--seconds', '2'],
    ])
    expect(printed).toContain(`the server at ${server.url}, which was not killed`)
    expect([code, printed]).toEqual([0, expect.stringMatching(/\nPASS\n$/)])
    const [misused, , errors] = await verify(['--url', server.url, '--kills', '3'])
    expect([misused, errors]).toEqual([2, expect.stringContaining('is not killed')])
  },
  TRIAL_MS_MAX,
)

test('nonsense is refused in a sentence', async () => {
  for (const [name, value] of [
    ['people', '1'],
    ['people', '501'],
    ['seconds', '0'],
    ['kills', '-1'],
    ['kills', 'many'],
  ] as const) {
    const [code, , errors] = await verify([`--${name}=${value}`])
    expect([code, errors]).toEqual([2, expect.stringContaining(`--${name} must be a whole number`)])
  }
  const [code, , errors] = await verify(['--url', 'http://127.0.0.1:9', '--seconds', '1'])
  expect([code, errors]).toEqual([1, expect.stringMatching(/connect/i)])
})

test('listeners hold so many requests at the most, evenly; beyond it they take WebSockets', () => {
  const wanted = (requests: number): Transport[] =>
    Array.from({ length: requests }, (_, i) => transports[1 + (i % 3)]!)
  const held = (all: readonly Transport[]) => all.filter((one) => one !== 'websocket')
  expect(sparing(wanted(REQUESTS_HELD_MAX))).toEqual(wanted(REQUESTS_HELD_MAX))
  for (const count of [REQUESTS_HELD_MAX + 1, 4 * REQUESTS_HELD_MAX]) {
    const spared = sparing(wanted(count))
    expect(spared).toHaveLength(count)
    expect(REQUESTS_HELD_MAX - held(spared).length).toBeOneOf([0, 1])
    expect(new Set(held(spared)).size).toBe(3)
    // Those who wanted a WebSocket have one, and cost nobody a request.
    const mixed = sparing([...wanted(count), 'websocket'])
    expect(mixed).toEqual([...spared, 'websocket'])
  }
})

test('a server of its own is on no database, replica or bus that the environment names', async () => {
  const services = {
    DATABASE_URL: 'postgres://127.0.0.1:9/parley',
    DATABASE_REPLICA_URL: 'postgres://127.0.0.1:9/parley',
    NATS_URL: 'nats://127.0.0.1:9',
  }
  for (const name of Object.keys(services)) afterwards(() => delete process.env[name])
  Object.assign(process.env, services)
  const server = await planted([])
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
})
