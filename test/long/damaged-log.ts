/**
 * F5: SQLite's log is cut short, or a bit in it flips, anywhere. Parley refuses to start, or serves
 * the commits before that and says so with a new epoch. Without the index beside the log, as after
 * a power cut, it cannot know of the last two commits, nor of a log that merely ends earlier.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { epochOf } from '../cluster/cluster.ts'
import { readRebuilt } from '../faults/cuts.ts'
import { ServerProcess, scratchFolder, signUp } from '../harness.ts'
import type { Scene, Trial } from './trial.ts'

/** Enough that the log was begun anew, and has frames of an earlier round behind its end. */
const POSTS = 1_500
const UNKNOWABLE_COMMITS = 2

interface Victim {
  folder: string
  log: Buffer
  timeline: string
  epoch: string
  posts: number
}

type Damage = 'cut short' | 'a bit flipped'
type End = 'refused' | 'nothing missing' | 'said so' | 'not noticed' | 'WRONG'

export const damagedLog: Trial = {
  name: 'F5',
  what: 'the log is cut short, or a bit flips in it, at many places',
  minutesMax: 15,
  async run(scene) {
    const victim = await killedServer(scene)
    const faults: string[] = []
    const ends = new Map<string, number>()
    const places = scene.times(300, 20)
    for (let n = 0; n < places; n++)
      for (const damage of ['cut short', 'a bit flipped'] as const)
        for (const hasIndex of [true, false]) {
          const place = scene.below(victim.log.length)
          const end = endOf(scene, victim, damage, place, hasIndex)
          const what = `${damage}, ${hasIndex ? 'with' : 'without'} the index: ${end}`
          ends.set(what, (ends.get(what) ?? 0) + 1)
          if (end === 'WRONG') faults.push(`${what}, at byte ${place} of ${victim.log.length}`)
          scene.progress(`${n} of ${places} places`)
        }
    const figures = [...ends].sort().map(([what, times]) => `${what} ${times} times`)
    return { figures: figures.join('; '), faults }
  },
}

async function killedServer(scene: Scene): Promise<Victim> {
  const { path, remove } = scratchFolder()
  scene.afterwards(remove)
  const server = await ServerProcess.start({}, path)
  const ada = await signUp(server.url)
  const { id } = await ada.createRoom()
  const posts = scene.times(POSTS, 100)
  for (let n = 1; n <= posts; n++) await ada.post(`/room/${id}`, `post ${n}`)
  const epoch = await epochOf(ada)
  await server.stop('SIGKILL')
  const log = readFileSync(join(path, 'parley.db-wal'))
  return { folder: path, log, timeline: id, epoch, posts }
}

function endOf(
  scene: Scene,
  victim: Victim,
  damage: Damage,
  place: number,
  hasIndex: boolean,
): End {
  const copy = join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), `parley-log-${process.pid}`)
  rmSync(copy, { recursive: true, force: true })
  for (const name of ['parley.db', ...(hasIndex ? ['parley.db-shm'] : [])])
    copyInto(copy, victim.folder, name)
  const log = Buffer.from(victim.log)
  if (damage === 'a bit flipped') log[place] = log[place]! ^ (1 << scene.below(8))
  const left = damage === 'cut short' ? log.subarray(0, place) : log
  writeFileSync(join(copy, 'parley.db-wal'), left)
  try {
    const { log: found, epoch, loss } = readRebuilt(copy, [victim.timeline])
    const events = found.get(victim.timeline)!
    if (events.some(({ seq, text }, i) => seq !== i + 1 || text !== `post ${i + 1}`)) return 'WRONG'
    if ((loss === undefined) !== (epoch === victim.epoch)) return 'WRONG'
    if (loss !== undefined) return 'said so'
    const lost = victim.posts - events.length
    if (lost === 0) return 'nothing missing'
    const isUnknowable = damage === 'cut short' || lost <= UNKNOWABLE_COMMITS
    return !hasIndex && isUnknowable ? 'not noticed' : 'WRONG'
  } catch (error) {
    return (error as Error).message.includes('is damaged') ? 'refused' : 'WRONG'
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

function copyInto(folder: string, from: string, name: string): void {
  mkdirSync(folder, { recursive: true })
  copyFileSync(join(from, name), join(folder, name))
}
