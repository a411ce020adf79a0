/**
 * F15: the server is killed, and ten thousand come back within five seconds, each 500 events
 * behind. Nobody meets anything but a way in, or a time to come again; all have caught up in thirty
 * seconds, and are live then.
 */
import { comeBack, seqsOf, upTo } from '../faults/crowd.ts'
import { Person, ServerProcess, signUp } from '../harness.ts'
import type { RawWebSocket } from '../raw.ts'
import type { Trial } from './trial.ts'

const CROWD = 10_000
const WITHIN_MS = 5_000
const BEHIND = 500
const SEEN = 100
const CAUGHT_UP_MS = 30_000
const OVERLOADED = [429, 503]

export const returning: Trial = {
  name: 'F15',
  what: '10,000 come back within 5 s, each 500 events behind',
  minutesMax: 5,
  async run(scene) {
    const crowd = scene.times(CROWD, 500)
    const server = await ServerProcess.start({ connectionsPerUserMax: 2 * CROWD })
    scene.afterwards(() => server.stopAndForget())
    const [ada, bob] = [await signUp(server.url), await signUp(server.url)]
    const place = `/room/${(await ada.createRoom()).id}`
    for (const seq of upTo(SEEN + BEHIND)) await ada.post(place, `message ${seq}`)
    // Nothing is in memory when they come.
    await server.stop('SIGKILL')
    await server.restart()
    const { pid } = server
    const here = ({ id, name, token }: Person) => new Person(server.url, id, name, token)
    const statuses = new Map<number, number>()
    const startedAt = performance.now()
    const faults: string[] = []
    const sockets: RawWebSocket[] = []
    const one = async () => {
      const socket = await comeBack(here(bob), `${place}/subscribe?after=${SEEN}`, statuses)
      sockets.push(socket)
      const seqs = await seqsOf(socket, BEHIND)
      if (seqs.some((seq, i) => seq !== SEEN + i + 1)) faults.push(`somebody was given ${seqs}`)
      scene.progress(`${sockets.length} of ${crowd} are in`)
    }
    await Promise.all(upTo(crowd).map(() => scene.moment(WITHIN_MS).then(one)))
    const tookMs = performance.now() - startedAt
    if (tookMs > CAUGHT_UP_MS) faults.push(`it took ${Math.round(tookMs)} ms`)
    for (const [status, times] of statuses)
      if (status !== 101 && !OVERLOADED.includes(status)) faults.push(`${times} got ${status}`)
    faults.push(...(await areLive(here(ada), place, sockets)))
    if (server.pid !== pid) faults.push('the server was started again')
    for (const { connection } of sockets) connection.cut()
    const met = [...statuses].map(([status, times]) => `${status} ${times} times`).join(', ')
    const figures = `${crowd} caught up in ${(tookMs / 1_000).toFixed(1)} s; they met ${met}`
    return { figures, faults }
  },
}

async function areLive(author: Person, place: string, sockets: RawWebSocket[]): Promise<string[]> {
  const { seq } = await author.post(place, 'welcome back')
  const given = await Promise.all(sockets.map((socket) => seqsOf(socket, 1)))
  const wrong = given.filter(([one]) => one !== seq).length
  return wrong === 0 ? [] : [`${wrong} were not given the next message`]
}
