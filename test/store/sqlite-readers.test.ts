/** When more threads read: for calls that are slow and wait, and for nothing else. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { readdirSync, readlinkSync } from 'node:fs'
import { openSqlite } from '../../src/store/sqlite.ts'
import { SqliteReaders } from '../../src/store/sqlite-readers.ts'
import type { NewEvent } from '../../src/types.ts'
import { scratchFolder, until } from '../harness.ts'

const TIMELINE = 'rHall'
/** Enough for a call that lists them all to be slow, even from memory. */
const EVENTS = 4_000
const ALL = { after: 0, limit: EVENTS }

let folder: ReturnType<typeof scratchFolder>
let readers: SqliteReaders

const surroundings = () => ({
  folder: folder.path,
  onFatal: (error: Error) => {
    throw error
  },
  timeoutMs: 30_000,
  queueMax: 10_000,
})

beforeEach(async () => {
  folder = scratchFolder()
  const store = await openSqlite({ ...surroundings(), readersMax: 1 })
  const event = { timeline: TIMELINE, type: 'message', author: 'uAda', at: 1 }
  const body = JSON.stringify({ from: { id: 'uAda', name: 'ada' }, text: 'x'.repeat(200) })
  await store.append(Array.from({ length: EVENTS }, (): NewEvent => ({ ...event, body })))
  await store.close()
})

afterEach(async () => {
  await readers.close()
  folder.remove()
})

async function openReaders(readersMax: number, queueMax = 10_000): Promise<void> {
  readers = await SqliteReaders.open({ ...surroundings(), queueMax, readersMax })
}

function list(count: number): Promise<string[]> {
  const calls = Array.from({ length: count }, () => readers.call<string>('list', TIMELINE, ALL))
  return Promise.all(calls)
}

test('many slow calls are shared among threads, up to the limit, with the same answers', async () => {
  await openReaders(3)
  const first = await list(1)
  await until(async () => {
    expect(new Set(await list(48))).toEqual(new Set(first))
    return readers.size === 3
  }, 'two more threads read')
  await list(48)
  expect(readers.size).toBe(3)
})

test('each thread has a share of the calls, and a line of its own', async () => {
  await openReaders(3, 20)
  await until(() => list(20).then(() => readers.size === 3), 'two more threads read')
  await list(60)
  await expect(list(61)).rejects.toMatchObject({ code: 'overloaded' })
})

test('a limit of one is one', async () => {
  await openReaders(1)
  for (let round = 0; round < 3; round++) await list(48)
  expect(readers.size).toBe(1)
})

test('few slow calls are not worth a thread', async () => {
  await openReaders(3)
  for (let round = 0; round < 6; round++) await list(8)
  expect(readers.size).toBe(1)
})

test('quick calls are not worth a thread, however many wait', async () => {
  await openReaders(3)
  const heads = () => readers.call<number[]>('heads', [TIMELINE])
  for (let round = 0; round < 3; round++)
    for (const one of await Promise.all(Array.from({ length: 5_000 }, heads)))
      expect(one).toEqual([EVENTS])
  expect(readers.size).toBe(1)
})

test.skipIf(process.platform !== 'linux')(
  'closing while a thread starts leaves none behind',
  async () => {
    await openReaders(3)
    await list(16)
    await Promise.all([list(16), readers.close()])
    await until(() => openFiles() === 0, 'all threads have let go of the database')
    await openReaders(1)
  },
)

/** Files of the folder that this process has open. */
function openFiles(): number {
  const open = readdirSync('/proc/self/fd').map((number) => {
    try {
      return readlinkSync(`/proc/self/fd/${number}`)
    } catch {
      return ''
    }
  })
  return open.filter((path) => path.startsWith(folder.path)).length
}
