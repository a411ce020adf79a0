/**
 * SIGTERM: everyone is told to come back, what was begun is finished and answered, the process ends
 * with 0 within ten seconds, and everything acknowledged is there afterwards.
 */
import { expect, test } from 'bun:test'
import { ServerProcess, signUp, until, within } from '../harness.ts'
import { Socket, Stream } from '../live.ts'
import { Follower, Run, roomSpot, VIAS } from '../promises/run.ts'

const STOP_MS_MAX = 10_000

async function metrics(server: ServerProcess): Promise<string> {
  return (await fetch(`${server.url}/metrics`)).text()
}

for (const signal of ['SIGTERM', 'SIGINT'] as const)
  test(`${signal} drains: told to come back, answered, ended, and nothing lost`, async () => {
    const server = await ServerProcess.start()
    const [ada, bob] = [await signUp(server.url), await signUp(server.url)]
    const spot = roomSpot((await ada.createRoom()).id)
    const path = `${spot.path}/subscribe`
    const sockets = await Promise.all([
      ...[1, 2, 3].map(() => Socket.of(bob)),
      ...[1, 2, 3].map(() => Socket.of(bob, path)),
      Socket.open(server.url),
    ])
    const streams = await Promise.all([Stream.sse(bob, path), Stream.open(bob, path)])
    const run = new Run(server)
    const posting = [1, 2, 3, 4].map(() => run.postHttp(ada, spot))
    posting.push(run.postSocket(ada, spot))
    await until(() => run.attempts.length > 100, 'the room is busy')
    const polled = bob.fetch('/messages?after=0&wait=25')
    await until(async () => (await metrics(server)).includes('"long-poll"} 1'), 'somebody polls')

    const startedAt = performance.now()
    const exitCode = server.stop(signal)
    for (const { closed } of sockets) {
      const { code, reason } = await within(closed, 'a socket is closed')
      expect(code).toBe(1012)
      expect(JSON.parse(reason).retryMs).toBeGreaterThan(0)
    }
    await within(Promise.all(streams.map(({ ended }) => ended)), 'the streams end')
    expect((await polled).status).toBe(200)
    expect(await exitCode).toBe(0)
    expect(performance.now() - startedAt).toBeLessThan(STOP_MS_MAX)

    await server.restart()
    run.stopping = true
    await Promise.all(posting)
    expect(await run.faults(bob, [spot])).toEqual([])
    await server.stopAndForget()
  }, 30_000)

test('posts that are under way when the signal comes are answered', async () => {
  const server = await ServerProcess.start()
  const ada = await signUp(server.url)
  const spot = roomSpot((await ada.createRoom()).id)
  const run = new Run(server)
  const drafts = Array.from({ length: 200 }, () => run.draft(ada.name))
  const posts = drafts.map((draft) => run.tryHttp(ada, spot, draft))
  await until(() => run.attempts.length > 0, 'the first is answered')
  expect(await server.stop()).toBe(0)
  const answered = (await Promise.all(posts)).filter(Boolean).length
  // Those the server had taken; some may not have reached it before it was gone.
  expect(answered).toBeGreaterThan(1)

  await server.restart()
  for (const draft of drafts) expect(await run.tryHttp(ada, spot, draft)).toBe(true)
  expect(await run.faults(ada, [spot])).toEqual([])
  await server.stopAndForget()
})

test('readers follow through a restart without a gap, each from its cursor', async () => {
  const server = await ServerProcess.start()
  const [ada, bob] = [await signUp(server.url), await signUp(server.url)]
  const spot = roomSpot((await ada.createRoom()).id)
  const epoch = (await ada.fetch('/messages')).headers.get('parley-epoch')!
  const run = new Run(server)
  const followers = VIAS.map((via) => new Follower(run, bob, spot, via, epoch))
  const posting = [run.postHttp(ada, spot), run.postSocket(ada, spot)]
  for (let restarts = 0; restarts < 2; restarts++) {
    const before = run.attempts.length
    await until(() => run.attempts.length > before + 50, 'the room is busy')
    const startedAt = performance.now()
    expect(await server.stop()).toBe(0)
    // Whoever comes back at once does not keep it from ending.
    expect(performance.now() - startedAt).toBeLessThan(STOP_MS_MAX / 2)
    await server.restart()
  }
  run.stopping = true
  await Promise.all(posting)
  const head = (await run.log(bob, spot.path)).length
  await Promise.all(followers.map((follower) => follower.finish(head)))
  expect(await run.faults(bob, [spot])).toEqual([])
  await server.stopAndForget()
}, 30_000)
