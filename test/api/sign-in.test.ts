/** What a sign-in gives away: nothing, and not often. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { fetchJson, newName, PASSWORD, type Person, ServerProcess, signUp } from '../harness.ts'
import { problemIn, refusal } from './codes.ts'

let server: ServerProcess
let ada: Person

beforeAll(async () => {
  server = await ServerProcess.start()
  ada = await signUp(server.url)
})

afterAll(() => server.stopAndForget())

function signInAt(url: string, name: string, password: string): Promise<Response> {
  return fetchJson(url, '/sessions', { method: 'POST', json: { name, password } })
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!
}

describe('an unknown name and a wrong password', () => {
  const wrongPassword = () => signInAt(server.url, ada.name, 'not the password')
  const unknownName = () => signInAt(server.url, newName('nobody'), PASSWORD)

  test('get the same answer, to the letter', async () => {
    const [one, other] = [await wrongPassword(), await unknownName()]
    expect(one.status).toBe(401)
    expect(other.status).toBe(401)
    expect(await one.text()).toBe(await other.text())
    const names = (response: Response) => [...response.headers.keys()].sort()
    expect(names(one)).toEqual(names(other))
  })

  test('in the same time, as far as medians of interleaved attempts can tell', async () => {
    const ways = { wrongPassword, unknownName }
    const tookMs = { wrongPassword: [] as number[], unknownName: [] as number[] }
    for (let round = 0; round < 41; round++)
      for (const way of ['wrongPassword', 'unknownName'] as const) {
        const startedAt = performance.now()
        await (await ways[way]()).text()
        tookMs[way].push(performance.now() - startedAt)
      }
    const [one, other] = [median(tookMs.wrongPassword), median(tookMs.unknownName)]
    // On a busy machine both take several times as long, and differ by more.
    expect(Math.abs(one - other)).toBeLessThan(Math.max(5, Math.min(one, other) / 3))
    // The work was done: a comparison of two shortcuts would prove nothing.
    expect(Math.min(one, other)).toBeGreaterThan(4)
  })
})

test('a hundred wrong passwords: 30 are tried, the others are 429 with Retry-After', async () => {
  const guarded = await ServerProcess.start({ rateLimits: 'on' })
  try {
    const victim = await signUp(guarded.url)
    const attempt = () => signInAt(guarded.url, victim.name, 'not the password')
    for (let i = 0; i < 30; i++) expect((await attempt()).status).toBe(401)
    for (let i = 30; i < 100; i++) {
      const response = await attempt()
      expect(response.status).toBe(429)
      const retryAfterS = Number(response.headers.get('retry-after'))
      // Two more a minute.
      expect(retryAfterS).toBeGreaterThanOrEqual(1)
      expect(retryAfterS).toBeLessThanOrEqual(30)
      expect(response.headers.get('ratelimit')).toBe('"failures-per-name";r=0')
      const { code, retryAfter } = await problemIn(response)
      expect({ code, retryAfter }).toEqual({ code: 'rate_limited', retryAfter: retryAfterS })
    }
    // Not even the right one gets through, or the limit would tell it from the others.
    expect(await refusal(signInAt(guarded.url, victim.name, PASSWORD))).toBe('429 rate_limited')
    // Whoever is signed in goes on; and other people may sign in from the same address.
    expect((await victim.fetch('/me')).status).toBe(200)
    expect((await signUp(guarded.url)).token).toBeDefined()
  } finally {
    await guarded.stopAndForget()
  }
})

test('sign-ins are counted by what became of them', async () => {
  const counting = await ServerProcess.start({ rateLimits: 'on', failuresPerNameMax: 2 })
  try {
    const { name } = await signUp(counting.url)
    for (let i = 0; i < 5; i++) await signInAt(counting.url, name, 'not the password')
    const metrics = await (await fetch(`${counting.url}/metrics`)).text()
    for (const [outcome, count] of Object.entries({ accepted: 1, wrong: 2, throttled: 3 }))
      expect(metrics).toContain(`parley_sign_ins_total{outcome="${outcome}"} ${count}\n`)
  } finally {
    await counting.stopAndForget()
  }
})

test('no password, token or text is ever logged', async () => {
  const talkative = await ServerProcess.start({ logLevel: 'trace' })
  try {
    const eve = await signUp(talkative.url)
    const place = `/room/${(await eve.createRoom()).id}`
    await eve.post(place, 'a text that is nobody else’s business')
    await signInAt(talkative.url, eve.name, 'an attempt at a password')
    await eve.fetch(`${place}/messages`, { method: 'POST', body: '{"text":"broken' })
    await eve.signOut()
    expect(await talkative.stop()).toBe(0)
    expect(talkative.errors).toContain('stopping')
    for (const secret of [PASSWORD, eve.token, 'nobody else', 'an attempt', 'broken'])
      expect(talkative.errors).not.toContain(secret)
  } finally {
    await talkative.stopAndForget()
  }
})
