/**
 * F4: one write fails, then one sync: the first of a server's life, the second, the third, until
 * the life is over before it is the turn. A life is a start in an empty folder, an account, a room,
 * some posts and a stop in good order. Whatever was acknowledged is there in the next life, which
 * nothing disturbs; and a server whose sync has failed ends by itself.
 */
import { DiskShim } from '../faults/disk.ts'
import {
  type Person,
  type ServerProcess,
  scratchFolder,
  signUp,
  until,
  within,
} from '../harness.ts'
import { Run, roomSpot, type Spot } from '../promises/run.ts'
import { type Scene, Skipped, type Trial } from './trial.ts'

const POSTS = 8
const LIVES_MAX = 2_000

type Failing = 'write-fails-at' | 'fsync-fails-at'

interface Life {
  /** Whether the fault has come. */
  hit: boolean
  faults: string[]
}

export const failingDisk: Trial = {
  name: 'F4',
  what: 'the k-th write fails, then the k-th sync, for every k of a life',
  minutesMax: 20,
  async run(scene) {
    const shim = DiskShim.build()
    if (shim === undefined) throw new Skipped('it needs Linux and a C compiler')
    scene.afterwards(() => shim.remove())
    const faults: string[] = []
    const tried: string[] = []
    for (const failing of ['write-fails-at', 'fsync-fails-at'] as const) {
      const step = Math.max(1, Math.round(1 / scene.share))
      let k = 1
      let lives = 0
      for (; lives < LIVES_MAX; k += step, lives++) {
        const life = await live(scene, shim, failing, k)
        faults.push(...life.faults.map((what) => `${failing} ${k}: ${what}`))
        scene.progress(`${failing} ${k}`)
        if (!life.hit) break
      }
      tried.push(`${lives} lives with ${failing} up to ${k - 1}`)
    }
    return { figures: tried.join(', '), faults }
  },
}

async function live(scene: Scene, shim: DiskShim, failing: Failing, k: number): Promise<Life> {
  const folder = scratchFolder()
  const faults: string[] = []
  shim.begin(failing, k)
  // A server that refuses to start has acknowledged nothing.
  const first = await shim.start(folder.path).catch(() => undefined)
  scene.afterwards(() => first?.stop('SIGKILL'))
  const talk = first && (await talkTo(first))
  if (first !== undefined) faults.push(...(await end(first, shim, failing)))
  const hit = !shim.isPending(failing)
  shim.end(failing)

  const second = await shim.start(folder.path)
  scene.afterwards(() => second.stop('SIGKILL').catch(() => {}))
  try {
    if (talk !== undefined) faults.push(...(await missing(second, talk)))
    const eve = await signUp(second.url)
    await eve.post(`/room/${(await eve.createRoom()).id}`, 'all is well again')
  } finally {
    await second.stop('SIGKILL')
    folder.remove()
  }
  return { hit, faults }
}

/** What was acknowledged to whom; people give up where they are told of an error. */
interface Talk {
  run: Run
  ada?: Person
  spot?: Spot
}

async function talkTo(server: ServerProcess): Promise<Talk> {
  const talk: Talk = { run: new Run({ url: server.url }) }
  try {
    talk.ada = await signUp(server.url)
    talk.spot = roomSpot((await talk.ada.createRoom()).id)
    for (let i = 0; i < POSTS; i++)
      await talk.run.tryHttp(talk.ada, talk.spot, talk.run.draft(talk.ada.name))
  } catch {
    // Refused, or cut off: nothing was promised from there on.
  }
  return talk
}

/** Stops the server, if it has not ended by itself, as it must once a sync has failed. */
async function end(server: ServerProcess, shim: DiskShim, failing: Failing): Promise<string[]> {
  if (failing === 'fsync-fails-at' && !shim.isPending(failing)) {
    const code = await within(server.exited, 'a server whose sync has failed ends')
    return code === 1 ? [] : [`a sync failed, and it ended with ${code}`]
  }
  const code = await server.stop('SIGTERM')
  // A sync that fails while it stops is one of a copy: what it copies was synced at its commit.
  return code === 0 || !shim.isPending(failing) ? [] : [`nothing failed, and it ended with ${code}`]
}

async function missing(server: ServerProcess, talk: Talk): Promise<string[]> {
  const { ada, spot } = talk
  if (ada === undefined) return []
  const run = new Run({ url: server.url })
  run.attempts.push(...talk.run.attempts)
  const response = await run.at(ada).fetch('/me')
  if (response.status !== 200) return [`the session is gone: ${response.status}`]
  if (spot === undefined) return []
  for (const { outcome, client, key, text } of talk.run.attempts)
    if (outcome !== 'ok')
      await until(() => run.tryHttp(ada, spot, { client, key, text }), `${key} is acknowledged`)
  return (await run.faults(ada, [spot])).map(({ kind, what }) => `${kind}: ${what}`)
}
