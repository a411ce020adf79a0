/**
 * Durable, posted once, gapless, resumable, through twenty violent deaths: `kill -9` at random
 * moments while people post over HTTP and WebSocket and follow over every transport. Whatever was
 * not acknowledged is retried with its key once the server is back.
 */
import { expect, test } from 'bun:test'
import { signUp } from '../harness.ts'
import { onEachBackend } from '../services/backends.ts'
import { Follower, Run, roomSpot, VIAS } from './run.ts'

const KILLS = 20
const MS_BEFORE_KILL_MAX = 150

await onEachBackend((start) => {
  test('twenty kills under load lose nothing acknowledged and repeat nothing', async () => {
    const server = await start()
    const [ada, bob, eve] = await Promise.all([1, 2, 3].map(() => signUp(server.url)))
    const spots = [roomSpot((await ada!.createRoom()).id), roomSpot((await bob!.createRoom()).id)]
    const response = await ada!.fetch(`${spots[0]!.path}/messages`)
    const epoch = response.headers.get('parley-epoch')!
    const run = new Run(server)
    const followers = VIAS.map((via) => new Follower(run, eve!, spots[0]!, via, epoch))
    const posting = spots.flatMap((spot) => [
      run.postHttp(ada!, spot),
      run.postHttp(bob!, spot),
      run.postHttp(eve!, spot),
      run.postSocket(ada!, spot),
      run.postSocket(bob!, spot),
    ])
    for (let kills = 0; kills < KILLS; kills++) {
      await moment()
      await server.stop('SIGKILL')
      await server.restart()
    }
    await moment()
    run.stopping = true
    await Promise.all(posting)

    // Every answer to a key names the same seq, also now.
    const unknown = run.attempts.filter(({ outcome }) => outcome === 'unknown')
    const again = new Map([...unknown, ...run.attempts.slice(-50)].map((one) => [one.key, one]))
    for (const { client, key, text, timeline } of again.values()) {
      const author = [ada!, bob!, eve!].find(({ name }) => name === client)!
      const spot = spots.find((one) => one.timeline === timeline)!
      expect(await run.tryHttp(author, spot, { client, key, text })).toBe(true)
    }
    const head = (await run.log(eve!, spots[0]!.path)).length
    await Promise.all(followers.map((follower) => follower.finish(head)))

    expect(await run.faults(eve!, spots)).toEqual([])
    // The kills have hit: posts were under way, and readers had to come back.
    expect(unknown.length).toBeGreaterThan(KILLS)
    expect(run.readings.length).toBeGreaterThan(KILLS)
    expect(head).toBeGreaterThan(100)
    await server.stopAndForget()
  }, 60_000)

  /** A random time: not for anything to happen, but so that the kill comes at any moment. */
  function moment(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, Math.random() * MS_BEFORE_KILL_MAX))
  }
})
