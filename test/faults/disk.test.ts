/**
 * The disk fails: it is full, read-only, or loses a write. Nothing is acknowledged that is not
 * kept, reading goes on, and posting comes back by itself; but a failed fsync ends the process.
 */
import { afterAll, expect, test } from 'bun:test'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Person, ServerProcess, signUp, until, within } from '../harness.ts'
import { Stream } from '../live.ts'
import { Run, roomSpot, type Spot } from '../promises/run.ts'
import { DiskShim, mountSmallDisk } from './disk.ts'

const MIB = 1 << 20
const smallDisk = mountSmallDisk(6 * MIB)
const shim = DiskShim.build()

afterAll(() => {
  smallDisk?.remove()
  shim?.remove()
})

async function settle(server: ServerProcess): Promise<{ run: Run; ada: Person; spot: Spot }> {
  const ada = await signUp(server.url)
  return { run: new Run(server), ada, spot: roomSpot((await ada.createRoom()).id) }
}

/** Posts one message until it is acknowledged, always with the same key. */
function insist(run: Run, author: Person, spot: Spot, draft = run.draft(author.name)) {
  return until(() => run.tryHttp(author, spot, draft), `${draft.key} is acknowledged`)
}

/** Posts once and gives the status, and what is said in case of a problem. */
async function statusOf(run: Run, author: Person, spot: Spot, draft = run.draft(author.name)) {
  const invokedAt = run.now()
  const init = { method: 'POST', json: { text: draft.text, key: draft.key } }
  const response = await author.fetch(`${spot.path}/messages`, init)
  const answer = (await response.json()) as { seq?: number; code?: string }
  run.note(draft, spot, invokedAt, answer)
  return { status: response.status, retryAfter: response.headers.get('retry-after'), ...answer }
}

/** What must go on while nothing can be written. */
async function readingGoesOn(reader: Person, spot: Spot, followed: Stream): Promise<void> {
  const head = (await reader.list(spot.path)).at(-1)!.seq
  expect(await reader.list(spot.path, `?after=0&limit=${head}`)).toHaveLength(Math.min(head, 1_000))
  expect((await fetch(`${reader.url}/healthz`)).status).toBe(200)
  const late = await Stream.sse(reader, `${spot.path}/subscribe?after=${head - 1}`)
  expect((await late.events.next()).seq).toBe(head)
  late.close()
  await until(() => followed.events.all.at(-1)?.seq === head, 'the reader has what was committed')
}

test.skipIf(smallDisk === undefined)(
  'a full disk refuses posts, reading goes on, and space brings posting back',
  async () => {
    const ballast = join(smallDisk!.path, 'ballast')
    writeFileSync(ballast, Buffer.alloc(2 * MIB, 'x'))
    const server = await ServerProcess.start({}, join(smallDisk!.path, 'data'))
    const { run, ada, spot } = await settle(server)
    const followed = await Stream.sse(ada, `${spot.path}/subscribe?after=0`)
    const large = () => {
      const draft = run.draft(ada.name)
      return { ...draft, text: `${draft.text} ${'x'.repeat(16_000)}` }
    }
    const told = await until(async () => {
      const eight = Array.from({ length: 8 }, () => statusOf(run, ada, spot, large()))
      return (await Promise.all(eight)).find(({ status }) => status !== 201)
    }, 'the disk is full')
    // Refused plainly, not left unknown.
    expect(run.attempts.filter(({ outcome }) => outcome === 'unknown')).toEqual([])
    expect([507, 503]).toContain(told.status)
    expect(['storage_full', 'store_unavailable']).toContain(told.code!)
    expect(Number(told.retryAfter)).toBeGreaterThan(0)
    await readingGoesOn(ada, spot, followed)

    const pid = server.pid
    rmSync(ballast)
    for (let i = 0; i < 20; i++) await insist(run, ada, spot)
    expect(server.pid).toBe(pid)
    expect(await run.faults(ada, [spot])).toEqual([])
    followed.close()
    await server.stopAndForget()
  },
)

test.skipIf(shim === undefined)(
  'a disk that becomes read-only refuses posts, reading goes on, and posting comes back',
  async () => {
    const server = await shim!.start()
    const { run, ada, spot } = await settle(server)
    const followed = await Stream.sse(ada, `${spot.path}/subscribe?after=0`)
    for (let i = 0; i < 5; i++) await insist(run, ada, spot)
    shim!.begin('read-only')
    const refused = Array.from({ length: 10 }, () => run.draft(ada.name))
    for (const draft of refused) expect(await run.tryHttp(ada, spot, draft)).toBe(false)
    expect(await statusOf(run, ada, spot)).toMatchObject({
      status: 503,
      code: 'store_unavailable',
    })
    await readingGoesOn(ada, spot, followed)

    shim!.end('read-only')
    for (const draft of refused) await insist(run, ada, spot, draft)
    expect(await run.faults(ada, [spot])).toEqual([])
    expect(run.attempts.filter(({ outcome }) => outcome === 'failed')).toHaveLength(11)
    followed.close()
    await server.stopAndForget()
  },
)

test.skipIf(shim === undefined)(
  'whichever write fails, nothing is acknowledged that is not kept, before and after a restart',
  async () => {
    const server = await shim!.start()
    const { run, ada, spot } = await settle(server)
    let failures = 0
    for (let k = 1; k <= 8; k++) {
      shim!.begin('write-fails-at', k)
      for (let i = 0; i < 6; i++)
        if (!(await run.tryHttp(ada, spot, run.draft(ada.name)))) failures += 1
      shim!.end('write-fails-at')
      await insist(run, ada, spot)
    }
    expect(failures).toBeGreaterThanOrEqual(8)
    expect(await run.faults(ada, [spot])).toEqual([])
    await server.stop('SIGKILL')
    await server.restart()
    expect(await run.faults(ada, [spot])).toEqual([])
    await server.stopAndForget()
  },
)

test.skipIf(shim === undefined)(
  'a failed fsync acknowledges nothing and ends the process; what was acknowledged is kept',
  async () => {
    const server = await shim!.start()
    const { run, ada, spot } = await settle(server)
    for (let i = 0; i < 5; i++) await insist(run, ada, spot)
    shim!.begin('fsync-fails')
    const caught = Array.from({ length: 6 }, () => run.draft(ada.name))
    const tries = await Promise.all(caught.map((draft) => run.tryHttp(ada, spot, draft)))
    expect(tries).toEqual(tries.map(() => false))
    expect(await within(server.exited, 'the process ends')).toBe(1)
    expect(server.errors).toContain('the database cannot be trusted any more')

    shim!.end('fsync-fails')
    await server.restart()
    for (const draft of caught) await insist(run, ada, spot, draft)
    expect(await run.faults(ada, [spot])).toEqual([])
    await server.stopAndForget()
  },
)
