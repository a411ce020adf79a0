/**
 * Durable, posted once, gapless, resumable, through twenty violent deaths: `kill -9` at random
 * moments while people post over HTTP and WebSocket and follow over every transport. Whatever was
 * not acknowledged is retried with its key once the server is back.
 */
import { expect, test } from 'bun:test'
import { onEachBackend } from '../services/backends.ts'
import { Load } from './load.ts'

const KILLS = 20
const MS_BEFORE_KILL_MAX = 150

await onEachBackend((start) => {
  test('twenty kills under load lose nothing acknowledged and repeat nothing', async () => {
    const server = await start()
    const load = await Load.start(server, { authors: 3 })
    // The kills have hit if posts were under way, and readers had to come back.
    const haveHit = () =>
      load.unknown.length > KILLS &&
      load.run.readings.length > 2 * KILLS &&
      load.run.acknowledged > 200
    for (let kills = 0; kills < KILLS || !haveHit(); kills++) {
      await moment()
      await server.stop('SIGKILL')
      await server.restart()
    }
    await moment()
    expect(await load.faults()).toEqual([])
    await server.stopAndForget()
  }, 60_000)

  /** A random time: not for anything to happen, but so that the kill comes at any moment. */
  function moment(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, Math.random() * MS_BEFORE_KILL_MAX))
  }
})
