/** A whole server moves from one database to another, and nobody in it notices. */
import { Database } from 'bun:sqlite'
import { afterAll, afterEach, describe, expect, test } from 'bun:test'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Person, type Room, read, ServerProcess, signIn, signUp } from '../harness.ts'
import { Socket } from '../live.ts'
import { findPostgres, PostgresServer } from '../services/postgres.ts'
import {
  afterwards,
  bytesOf,
  cleanUp,
  dumpPostgres,
  dumpSqlite,
  filled,
  scratch,
} from './migrate-world.ts'
import { parley } from './parley.ts'

const programs = await findPostgres()
const postgres = programs === undefined ? undefined : await PostgresServer.start(programs)
afterAll(() => postgres?.remove())
afterEach(cleanUp)

async function serve(settings: Record<string, string>, folder?: string): Promise<ServerProcess> {
  const server = await ServerProcess.start(settings, folder)
  afterwards(() => server.stopAndForget())
  return server
}

/** Moves, and gives the checksum of all that was moved. */
async function move(from: string, to: string): Promise<string> {
  const { code, printed, errors } = await parley(['migrate', '--from', from, '--to', to])
  expect([code, errors]).toEqual([0, expect.stringContaining('verifying 100 %')])
  return /in all ([0-9a-f]{64})/.exec(printed)![1]!
}

interface Talk {
  ada: Person
  bob: Person
  room: Room
  epoch: string
}

async function talk(url: string): Promise<Talk> {
  const [ada, bob] = [await signUp(url), await signUp(url)]
  const room = await ada.createRoom()
  for (const text of ['one', 'two \\ "2"', '三 👍🏽'])
    await ada.post(`/room/${room.id}`, text, text)
  for (const text of ['psst', 'it’s\tme']) await ada.post(`/user/${bob.id}`, text)
  const epoch = (await ada.fetch(`/room/${room.id}/messages`)).headers.get('parley-epoch')!
  return { ada, bob, room, epoch }
}

/** All that somebody can read, with the token that they have. */
async function seenBy(reader: Person, { ada, bob, room }: Talk): Promise<unknown[]> {
  const places = [`/room/${room.id}`, `/user/${ada.id}`, `/user/${bob.id}`, '']
  const paths = ['/rooms', '/users', '/sessions', ...places.map((place) => `${place}/messages`)]
  return Promise.all(paths.map((path) => reader.get(path)))
}

/** The same person, with the same token, at another server. */
const at = (url: string, { id, name, token }: Person) => new Person(url, id, name, token)

/** Nobody notices that the server is another one: not by a token, a password, a key, a cursor. */
async function goOn(url: string, talk: Talk, seen: unknown[]): Promise<void> {
  const [ada, bob] = [at(url, talk.ada), at(url, talk.bob)]
  expect(await seenBy(bob, talk)).toEqual(seen)
  await signIn(url, ada.name)
  const place = `/room/${talk.room.id}`
  const again = { text: 'one', key: 'one' }
  const replay = await ada.fetch(`${place}/messages`, { method: 'POST', json: again })
  expect(replay.headers.get('idempotent-replayed')).toBe('true')
  expect(await read<{ seq: number }>(replay, 200)).toMatchObject({ seq: 1 })
  const other = { text: 'another', key: 'one' }
  const reused = await ada.fetch(`${place}/messages`, { method: 'POST', json: other })
  expect(reused.status).toBe(422)

  const socket = await Socket.of(bob)
  const { epoch } = talk
  const told = await socket.ask('subscribe', { room: talk.room.id, after: 1, epoch })
  expect(told.ok).toMatchObject({ recovered: true, epoch })
  const head = told.ok.head as number
  const next = await ada.post(place, `after ${head}`)
  expect(next.seq).toBe(head + 1)
  const missed = await socket.events.count(head)
  expect(missed.map(({ event }) => event.seq)).toEqual(missed.map((_, n) => n + 2))
  socket.close()
}

describe.skipIf(postgres === undefined)('a server moves', () => {
  test('to PostgreSQL and back, with all that people have: nobody notices', async () => {
    const embedded = await serve({})
    const told = await talk(embedded.url)
    const seen = await seenBy(told.bob, told)
    // Killed, so that what was said last stands in the log alone.
    await embedded.stop('SIGKILL')
    const before = bytesOf(embedded.folder)
    expect(before[1]).toMatch(/^[0-9a-f]{64}$/)

    const url = await postgres!.createDatabase()
    await move(`sqlite:${embedded.folder}`, url)
    expect(bytesOf(embedded.folder)).toEqual(before)
    const shared = await serve({ databaseUrl: url })
    await goOn(shared.url, told, seen)
    const later = await seenBy(at(shared.url, told.bob), told)
    await shared.stop()

    const folder = join(scratch(), 'data')
    await move(url, `sqlite:${folder}`)
    const back = await serve({}, folder)
    await goOn(back.url, told, later)
  })

  test('and what comes back is what went, row for row, and the source is as it was', async () => {
    const folder = await filled(2_000)
    const before = bytesOf(folder)
    const files = readdirSync(folder)
    const url = await postgres!.createDatabase()
    const checksum = await move(`sqlite:${folder}`, url)
    expect(bytesOf(folder)).toEqual(before)
    expect(readdirSync(folder)).toEqual(files)
    const dump = dumpSqlite(folder)
    expect(dump.events).toHaveLength(3 * 2_000 + 2 * 10)
    expect(await dumpPostgres(postgres!.connect(url))).toEqual(dump)

    const [second, third] = [await postgres!.createDatabase(), join(scratch(), 'third')]
    expect(await move(url, second)).toBe(checksum)
    expect(await move(second, `sqlite:${third}`)).toBe(checksum)
    expect(dumpSqlite(third)).toEqual(dump)
    expect(await dumpPostgres(postgres!.connect(url))).toEqual(dump)
  })
})

test('from SQLite to SQLite, or from a backup, it is the same', async () => {
  const folder = await filled(100)
  const backup = join(scratch(), 'backup.db')
  await parley(['backup', '--to', backup], { DATA_DIR: folder })
  const [one, other] = [join(scratch(), 'one'), join(scratch(), 'other')]
  const checksum = await move(`sqlite:${folder}`, `sqlite:${one}`)
  expect(await move(`sqlite:${backup}`, `sqlite:${other}`)).toBe(checksum)
  for (const copy of [one, other]) expect(dumpSqlite(copy)).toEqual(dumpSqlite(folder))
  expect(existsSync(`${backup}-wal`)).toBe(false)
})

test('a server without anybody moves, too, with its epoch', async () => {
  const folder = await filled(0)
  const db = new Database(join(folder, 'parley.db'))
  for (const table of ['users', 'sessions', 'rooms', 'timelines', 'events'])
    db.run(`DELETE FROM ${table}`)
  db.close()
  const copy = join(scratch(), 'copy')
  await move(`sqlite:${folder}`, `sqlite:${copy}`)
  expect(dumpSqlite(copy)).toEqual(dumpSqlite(folder))
})
