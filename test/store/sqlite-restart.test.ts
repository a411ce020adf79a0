/** What a start of the embedded store does with what a killed process has left. */
import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { PAGE_BYTES, SqliteDatabase } from '../../src/store/sqlite-database.ts'
import { type DiskEvent, findStrace, TracedServer } from '../faults/disk-trace.ts'
import { ServerProcess, scratchFolder, signUp } from '../harness.ts'

const strace = await findStrace()

test.skipIf(strace === undefined)(
  'what a killed server left in its log is on the disk before anybody is told anything',
  async () => {
    const folder = scratchFolder()
    const server = await ServerProcess.start({}, folder.path)
    const ada = await signUp(server.url)
    const room = await ada.createRoom()
    await ada.post(`/room/${room.id}`, 'said before the kill')
    await server.stop('SIGKILL')

    const traced = await TracedServer.start(strace!, folder.path)
    expect((await fetch(`${traced.server.url}/healthz`)).status).toBe(200)
    await traced.kill()
    const events: DiskEvent[] = []
    for await (const event of traced.events()) events.push(event)
    const told = events.findIndex((one) => one.kind === 'sent' && `${one.bytes}`.includes('200'))
    const find = (kind: string, name: string) =>
      events.findIndex((one) => one.kind === kind && 'path' in one && one.path === name)
    const database = join(folder.path, 'parley.db')
    // First the log itself, then the pages that are copied out of it, and then it is empty.
    const steps = [
      find('synced', `${database}-wal`),
      find('written', database),
      find('synced', database),
      find('truncated', `${database}-wal`),
      // What names them, by us: SQLite has done so before, and looks past a failure.
      events.findLastIndex((one) => one.kind === 'synced' && one.path === folder.path),
      told,
    ]
    expect(steps).not.toContain(-1)
    expect(steps).toEqual(steps.toSorted((a, b) => a - b))
    await traced.remove()
    folder.remove()
  },
)

test('a new database has pages of its own size, and one that was made with another keeps it', () => {
  for (const [madeWith, kept] of [
    [undefined, PAGE_BYTES],
    [4_096, 4_096],
  ] as const) {
    const folder = scratchFolder()
    const path = join(folder.path, 'parley.db')
    if (madeWith !== undefined) {
      const old = new Database(path, { create: true })
      old.run(`PRAGMA page_size = ${madeWith}; CREATE TABLE old (n); DROP TABLE old`)
      old.close()
    }
    const database = SqliteDatabase.openWriter(folder.path)
    database.close()
    const db = new Database(path)
    expect(db.query('PRAGMA page_size').get()).toEqual({ page_size: kept })
    db.close()
    folder.remove()
  }
})
