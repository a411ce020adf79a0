/** Backups as their user makes them: by command, from under a running server. */
import { Database } from 'bun:sqlite'
import { afterEach, expect, test } from 'bun:test'
import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ProgressBar } from '../../src/commands/progress.ts'
import { PAGE_BYTES } from '../../src/store/sqlite-database.ts'
import { type Person, type Room, ServerProcess, scratchFolder, signIn, signUp } from '../harness.ts'
import { parley } from './parley.ts'

const folders: (() => void)[] = []
let server: ServerProcess | undefined

afterEach(async () => {
  await server?.stopAndForget()
  server = undefined
  for (const remove of folders.splice(0)) remove()
})

function scratch(): string {
  const { path, remove } = scratchFolder()
  folders.push(remove)
  return path
}

/** Posts one after the other until told to stop; gives the texts that were acknowledged. */
function keepTalking(ada: Person, room: Room): { said: string[]; stop(): Promise<void> } {
  const said: string[] = []
  let talking = true
  const talk = async (who: number) => {
    for (let n = 0; talking; n++) {
      const text = `${who}-${n}`
      await ada.post(`/room/${room.id}`, text)
      said.push(text)
    }
  }
  const all = Promise.all([1, 2, 3, 4].map(talk))
  return {
    said,
    async stop() {
      talking = false
      await all
    },
  }
}

test('a backup taken while people talk has all that was said before, and no hole', async () => {
  server = await ServerProcess.start()
  const ada = await signUp(server.url)
  const room = await ada.createRoom()
  const talk = keepTalking(ada, room)
  while (talk.said.length < 200) await ada.get('/me')
  const before = [...talk.said]

  const file = join(scratch(), 'backup.db')
  const taken = await parley(['backup', '--to', file], { DATA_DIR: server.folder })
  expect(taken.code).toBe(0)
  expect(taken.printed).toMatch(/^Backed up 1 user, 1 room, 1 timeline, [\d,]+ events .*checked it/)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  await talk.stop()
  const { epoch, head: headThen } = await subscribed(ada, room)

  const restored = scratch()
  const put = await parley(['restore', '--from', file], { DATA_DIR: restored })
  expect(put.code).toBe(0)
  await server.stopAndForget()
  server = await ServerProcess.start({}, restored)
  const again = await signIn(server.url, ada.name)
  const kept = await again.list(`/room/${room.id}`, '?after=0&limit=1000')
  const texts = new Set(kept.map((message) => message.text))
  for (const text of before) expect(texts.has(text)).toBe(true)
  expect(kept.map((message) => message.seq)).toEqual(kept.map((_, i) => i + 1))

  const now = await subscribed(again, room)
  expect(now.epoch).not.toBe(epoch)
  const old = await again.fetch(`/room/${room.id}/messages?after=1&epoch=${epoch}`)
  expect(old.headers.get('parley-recovered')).toBe('false')
  expect(headThen).toBeGreaterThanOrEqual(now.head)
})

async function subscribed(person: Person, room: Room): Promise<{ epoch: string; head: number }> {
  const response = await person.fetch(`/room/${room.id}/messages?limit=1`)
  const [last] = (await response.json()) as { seq: number }[]
  return { epoch: response.headers.get('parley-epoch')!, head: last!.seq }
}

/** A server's folder with two messages, stopped, and a backup of it. */
async function backedUp(): Promise<{ folder: string; file: string }> {
  const first = await ServerProcess.start()
  server = first
  const ada = await signUp(first.url)
  const room = await ada.createRoom()
  for (const text of ['one', 'two']) await ada.post(`/room/${room.id}`, text)
  await first.stop()
  const file = join(scratch(), 'backup.db')
  expect((await parley(['backup', '--to', file], { DATA_DIR: first.folder })).code).toBe(0)
  return { folder: first.folder, file }
}

test('nothing is ever overwritten', async () => {
  const { folder, file } = await backedUp()
  const size = statSync(file).size
  const again = await parley(['backup', '--to', file], { DATA_DIR: folder })
  expect([again.code, again.errors]).toEqual([1, expect.stringContaining('is there already')])
  const onto = await parley(['restore', '--from', file], { DATA_DIR: folder })
  expect([onto.code, onto.errors]).toEqual([1, expect.stringContaining('is there already')])
  expect(statSync(file).size).toBe(size)

  const orphan = scratch()
  writeFileSync(join(orphan, 'parley.db-wal'), 'left by another database')
  const beside = await parley(['restore', '--from', file], { DATA_DIR: orphan })
  expect([beside.code, beside.errors]).toEqual([1, expect.stringContaining('parley.db-wal')])
  expect(existsSync(join(orphan, 'parley.db'))).toBe(false)
})

test('a restore is refused while a server runs on the folder', async () => {
  const { file } = await backedUp()
  server = await ServerProcess.start()
  const refused = await parley(['restore', '--from', file], { DATA_DIR: server.folder })
  expect([refused.code, refused.errors]).toEqual([1, expect.stringContaining('Another Parley')])
})

test('what an interrupted backup left is no obstacle, and is never taken for one', async () => {
  const { folder, file } = await backedUp()
  const other = join(scratch(), 'other.db')
  writeFileSync(`${other}.partial`, 'half')
  expect((await parley(['backup', '--to', other], { DATA_DIR: folder })).code).toBe(0)
  expect(existsSync(`${other}.partial`)).toBe(false)
  expect(statSync(other).size).toBe(statSync(file).size)
})

test('a damaged backup, one with a hole, and what is none are refused, and leave nothing', async () => {
  const { file } = await backedUp()
  const damaged = join(scratch(), 'damaged.db')
  copyFileSync(file, damaged)
  const bytes = new Uint8Array(await Bun.file(damaged).arrayBuffer())
  writeFileSync(damaged, bytes.fill(7, PAGE_BYTES, 2 * PAGE_BYTES))
  const holed = join(scratch(), 'holed.db')
  copyFileSync(file, holed)
  const db = new Database(holed)
  db.run('DELETE FROM events WHERE seq = 1')
  db.close()
  const nothing = join(scratch(), 'nothing.db')
  writeFileSync(nothing, 'this is no database')
  for (const [bad, why] of [
    [damaged, /damaged|malformed/],
    [holed, /has a hole/],
    [nothing, /not a database/],
    [join(scratch(), 'missing.db'), /There is no file/],
  ] as const) {
    const into = scratch()
    const refused = await parley(['restore', '--from', bad], { DATA_DIR: into })
    expect([refused.code, refused.errors]).toEqual([1, expect.stringMatching(why)])
    expect(readdirSync(into).filter((name) => name !== 'parley.lock')).toEqual([])
    const looked = await parley(['inspect', '--file', bad])
    expect([looked.code, looked.errors]).toEqual([1, expect.stringMatching(why)])
  }
  const looked = await parley(['inspect', '--file', file])
  expect([looked.code, looked.printed]).toEqual([
    0,
    expect.stringContaining('is in order: 1 user, 1 room, 1 timeline, 2 events'),
  ])
})

test('a copy that is found to be bad is no backup: nothing is left of it', async () => {
  const { folder, file } = await backedUp()
  const db = new Database(join(folder, 'parley.db'))
  db.run('DELETE FROM events WHERE seq = 1')
  db.close()
  const target = join(scratch(), 'b.db')
  const failed = await parley(['backup', '--to', target], { DATA_DIR: folder })
  expect([failed.code, failed.errors]).toEqual([1, expect.stringMatching('has a hole')])
  expect(readdirSync(dirname(target))).toEqual([])
  expect(existsSync(file)).toBe(true)
})

test('a backup that cannot be written leaves nothing behind', async () => {
  const { folder } = await backedUp()
  const target = join(scratch(), 'no', 'such', 'folder', 'b.db')
  const failed = await parley(['backup', '--to', target], { DATA_DIR: folder })
  expect([failed.code, failed.errors]).toEqual([1, expect.stringContaining('cannot be copied')])
  const empty = scratch()
  mkdirSync(join(empty, 'data'))
  const none = await parley(['backup', '--to', join(empty, 'b.db')], {
    DATA_DIR: join(empty, 'data'),
  })
  expect([none.code, none.errors]).toEqual([1, expect.stringContaining('There is no Parley data')])
  expect(readdirSync(empty)).toEqual(['data'])
})

test('what nobody understands gets help and its own exit code', async () => {
  for (const args of [['bakup'], ['backup'], ['backup', '--into', 'x'], ['restore', 'x']]) {
    const { code, errors } = await parley(args)
    expect([args, code]).toEqual([args, 2])
    expect(errors).toMatch(/backup --to FILE|restore --from FILE/)
  }
  const help = await parley(['help'])
  expect([help.code, help.printed]).toEqual([0, expect.stringContaining('restore --from FILE')])
  const version = await parley(['version'])
  expect(version.printed).toMatch(/^\d+\.\d+\.\d+\n$/)
})

test('progress is a bar on a terminal and some lines elsewhere', () => {
  const drawn: string[] = []
  const bar = (isTTY: boolean) =>
    new ProgressBar('copying', { isTTY, write: (text: string) => drawn.push(text) })
  const terminal = bar(true)
  for (const done of [0, 1, 2, 2, 500, 1_000]) terminal.show(done, 1_000)
  expect(drawn.length).toBe(3)
  expect(drawn.at(-1)).toBe(`\r\x1b[K${'█'.repeat(30)} copying 100 %`)
  drawn.length = 0
  const file = bar(false)
  for (let done = 0; done <= 1_000; done++) file.show(done, 1_000)
  expect(drawn.length).toBe(11)
  expect(drawn[5]).toBe('copying  50 %\n')
})
