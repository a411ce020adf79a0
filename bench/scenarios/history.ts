/** The second half of *ledger*: pages of a long history, hot and cold, each one checked. */
import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import type { PagesJob, PagesResult } from '../generator/jobs/pages.ts'
import { signUpUsers } from '../people.ts'
import type { Measured } from '../record.ts'
import { seedHistory } from '../seed.ts'
import { makeDataFolder, ServerProcess } from '../server.ts'
import { measureLoad } from './load.ts'
import { medianRate } from './runs.ts'
import { amount, atLeast, type BenchContext } from './scenario.ts'
import { stopping } from './subjects.ts'

const ROOMS = 1_000
/** In each room: ten million in all. */
const MESSAGES = { quick: 200, full: 10_000 }
const TEXT_BYTES = 128
const PAGE_SIZE = 50
const HOT_ROOMS = 100
const CONNECTIONS = 64
const WARM_UP_S = 2
const SECONDS = { quick: 4, full: 15 }

const HOT_PER_S_MIN = 30_000
const COLD_PER_S_MIN = 6_000

/** Tells the kernel to forget what it has read of files. */
const DROP_CACHES = '/proc/sys/vm/drop_caches'
const DROP_FILES = '1'

export async function measureHistory(context: BenchContext): Promise<Measured[]> {
  const { quick, cores, profileFolder, progress } = context
  const messages = quick ? MESSAGES.quick : MESSAGES.full
  const folder = makeDataFolder()
  const remove = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove)
  try {
    progress.begin('ledger')
    const seeding = { rooms: ROOMS, messages, textBytes: TEXT_BYTES }
    const rooms = seedHistory(folder, seeding, (written) =>
      progress.say(`${amount(written)} of ${amount(ROOMS * messages)} messages written`),
    )
    progress.end()
    const options = { script: 'src/main.ts', core: cores?.server, folder, profileFolder }
    const server = await ServerProcess.start(options)
    return await stopping(server, async () => {
      const [token] = await signUpUsers(server.url, 1)
      return measurePages(server, jobOf(server, token!, rooms, messages, quick), context)
    })
  } finally {
    process.removeListener('exit', remove)
    remove()
  }
}

type Job = Omit<PagesJob, 'which' | 'warmUpS'>

function jobOf(
  server: ServerProcess,
  token: string,
  rooms: string[],
  messages: number,
  quick: boolean,
): Job {
  return {
    kind: 'pages',
    port: server.port,
    token,
    rooms,
    messages,
    textBytes: TEXT_BYTES,
    pageSize: PAGE_SIZE,
    connections: CONNECTIONS,
    seconds: quick ? SECONDS.quick : SECONDS.full,
  }
}

async function measurePages(
  server: ServerProcess,
  job: Job,
  context: BenchContext,
): Promise<Measured[]> {
  const all = `${amount(job.messages * ROOMS)} messages in ${amount(ROOMS)} rooms`
  const hot: Measured[] = []
  const cold: Measured[] = []
  let isForgotten = true
  for (let run = 0; run < context.runs; run++) {
    isForgotten = forgetFiles()
    const randomPages = { ...job, which: 'random', warmUpS: 0 } as const
    cold.push(await measure(`random pages of ${all}`, randomPages))
    const newest = { ...job, rooms: job.rooms.slice(0, HOT_ROOMS), which: 'newest' } as const
    const hotPages = { ...newest, warmUpS: WARM_UP_S }
    hot.push(await measure(`the newest page of ${HOT_ROOMS} rooms`, hotPages))
  }
  const hotRow = medianRate(hot)
  const coldRow = medianRate(cold)
  hotRow.goals = [atLeast('pages a second', HOT_PER_S_MIN, hotRow.perSecond!, '')]
  coldRow.goals = [atLeast('pages a second', COLD_PER_S_MIN, coldRow.perSecond!, '')]
  if (!isForgotten)
    coldRow.notes = [
      `the system still held the database in memory: only root may write ${DROP_CACHES}`,
    ]
  return [hotRow, coldRow]

  async function measure(what: string, job: PagesJob): Promise<Measured> {
    const load = `${what}, ${PAGE_SIZE} messages each, ${CONNECTIONS} connections`
    const names = { scenario: 'ledger', load, unit: 'pages' } as const
    const promises = { durable: 'read from the disk', ordered: 'gapless numbers' }
    const { measured } = await measureLoad<PagesResult>(
      { ...names, ...promises },
      job,
      [server.pid],
      context,
    )
    return measured
  }
}

/** False where that is not allowed. */
function forgetFiles(): boolean {
  spawnSync('sync')
  try {
    writeFileSync(DROP_CACHES, DROP_FILES)
    return true
  } catch {
    return false
  }
}
