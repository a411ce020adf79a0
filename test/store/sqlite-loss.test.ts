/**
 * A log that lacks commits is noticed at the start: what is left is served under a new epoch,
 * without sessions, and the log says so. What only lacks what nobody was told of is left in peace.
 */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { openSqlite } from '../../src/store/sqlite.ts'
import { backUp, restore } from '../../src/store/sqlite-backup.ts'
import { PAGE_BYTES } from '../../src/store/sqlite-database.ts'
import { readAll, textOf } from '../contracts/store-home.ts'
import { type Person, ServerProcess, scratchFolder, signUp, until } from '../harness.ts'

const POSTS = 12
const HEADER_BYTES = 32
const FRAME_BYTES = 24 + PAGE_BYTES

let folder: ReturnType<typeof scratchFolder>
let copy: ReturnType<typeof scratchFolder>
let wal: string
let shm: string
let room: string
let ada: Person
let epoch: string

/** A server that is killed, with posts that are only in the log, each in a commit of its own. */
beforeEach(async () => {
  folder = scratchFolder()
  copy = scratchFolder()
  wal = join(copy.path, 'parley.db-wal')
  shm = join(copy.path, 'parley.db-shm')
  const server = await ServerProcess.start({}, folder.path)
  ada = await signUp(server.url)
  room = (await ada.createRoom()).id
  epoch = (await ada.fetch('/messages')).headers.get('parley-epoch')!
  for (let n = 1; n <= POSTS; n++) await ada.post(`/room/${room}`, `post ${n}`)
  await server.stop('SIGKILL')
  for (const name of readdirSync(folder.path))
    copyFileSync(join(folder.path, name), join(copy.path, name))
})

afterEach(() => {
  folder.remove()
  copy.remove()
})

/** Opens the copy; the texts that it has must be the first ones. */
async function opened() {
  const losses: string[] = []
  const store = await openSqlite({
    ...{ folder: copy.path, timeoutMs: 10_000, queueMax: 100, readersMax: 1 },
    onFatal: () => {},
    onLoss: (what) => losses.push(what),
  })
  const texts = (await readAll(store, room)).map(textOf)
  expect(texts).toEqual(texts.map((_, index) => `post ${index + 1}`))
  const isSame = store.epoch === epoch
  await store.close()
  return { posts: texts.length, isSame, losses }
}

const whole = { posts: POSTS, isSame: true, losses: [] }

const frames = () => Math.floor((statSync(wal).size - HEADER_BYTES) / FRAME_BYTES)

/** Flips a bit of the page in this frame. */
function flipBit(frame: number, at = 100): void {
  const bytes = readFileSync(wal)
  const place = HEADER_BYTES + frame * FRAME_BYTES + at
  bytes[place] = bytes[place]! ^ 1
  writeFileSync(wal, bytes)
}

test('after a mere kill everything is there, and the epoch stays', async () => {
  expect(await opened()).toEqual(whole)
})

test('a flipped bit in the middle of the log is noticed, also without the index beside it', async () => {
  flipBit(Math.floor(frames() / 2))
  rmSync(shm)
  const { posts, isSame, losses } = await opened()
  expect(posts).toBeWithin(1, POSTS - 1)
  expect([isSame, losses]).toEqual([false, [expect.stringMatching(/damaged after \d+ frames/)]])
  // It has been said once, and settled.
  const again = await opened()
  expect(again).toEqual({ posts, isSame: false, losses: [] })
})

test('a flipped bit in the last commit is noticed by the index', async () => {
  flipBit(frames() - 1)
  const { posts, isSame, losses } = await opened()
  expect([posts, isSame, losses.length]).toEqual([POSTS - 1, false, 1])
})

test('without the index it cannot be told from a commit that a power cut has torn', async () => {
  flipBit(frames() - 1)
  rmSync(shm)
  expect(await opened()).toEqual({ posts: POSTS - 1, isSame: true, losses: [] })
})

test('a log whose header is damaged, that is cut short or gone is noticed', async () => {
  const original = readFileSync(wal)
  const index = readFileSync(shm)
  const database = readFileSync(join(copy.path, 'parley.db'))
  const spoil: [() => void, RegExp][] = [
    [() => flipBit(0, 8 - HEADER_BYTES), /header/],
    [() => truncateSync(wal, HEADER_BYTES + 5 * FRAME_BYTES), /\d+ frames of \d+/],
    [() => truncateSync(wal, 0), /holds 0 frames of \d+/],
    [() => rmSync(wal), /holds 0 frames of \d+/],
  ]
  for (const [work, words] of spoil) {
    writeFileSync(wal, original)
    writeFileSync(shm, index)
    writeFileSync(join(copy.path, 'parley.db'), database)
    work()
    const { isSame, losses } = await opened()
    expect([isSame, losses]).toEqual([false, [expect.stringMatching(words)]])
  }
})

test('a commit that was begun and not finished is no loss', async () => {
  const commits = readFileSync(wal)
  const torn = [1, FRAME_BYTES / 2, FRAME_BYTES - 1].map((bytes) => commits.subarray(0, -bytes))
  // A disk may also have its end, and not what stands before that.
  const hole = Buffer.from(commits)
  hole.fill(0, commits.length - 2 * FRAME_BYTES, commits.length - FRAME_BYTES)
  for (const bytes of [...torn, hole]) {
    writeFileSync(wal, bytes)
    // A power cut takes the newest of the index with it.
    rmSync(shm, { force: true })
    expect(await opened()).toEqual({ posts: POSTS - 1, isSame: true, losses: [] })
    copyFileSync(join(folder.path, 'parley.db'), join(copy.path, 'parley.db'))
  }
})

test('a server says so, and everybody signs in again', async () => {
  flipBit(Math.floor(frames() / 2))
  const server = await ServerProcess.start({}, copy.path)
  const says = 'the database lacks posts that were acknowledged'
  await until(() => server.errors.includes(says), 'it says so')
  const response = await fetch(`${server.url}/me`, {
    headers: { authorization: `Bearer ${ada.token}` },
  })
  expect(response.status).toBe(401)
  await server.stop('SIGKILL')
})

test('whoever is killed between noticing and starting over notices again', async () => {
  // Nothing is wrong with the log any more; but the note is still there.
  writeFileSync(join(copy.path, 'parley.loss'), 'its log was damaged')
  const { isSame, losses } = await opened()
  expect([isSame, losses]).toEqual([false, ['its log was damaged']])
  expect(existsSync(join(copy.path, 'parley.loss'))).toBe(false)
})

test('a backup restored beside the index of a database that is gone lacks nothing', async () => {
  const backup = join(copy.path, 'backup')
  await backUp(copy.path, backup, () => {})
  for (const name of ['parley.db', 'parley.db-wal']) rmSync(join(copy.path, name), { force: true })
  copyFileSync(join(folder.path, 'parley.db-shm'), shm)
  const { epoch: restored } = await restore(backup, copy.path, () => {})
  const { posts, losses } = await opened()
  expect([posts, losses]).toEqual([POSTS, []])
  expect(restored).not.toBe(epoch)
})
