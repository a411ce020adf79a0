/**
 * The child processes of a server: which priority they have, what they can see of it, and how they
 * end when it does. Linux shows all that in `/proc`.
 */
import { expect, test } from 'bun:test'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { createPackedPage } from '../../src/api/page-source.ts'
import { defaultConfig } from '../../src/config.ts'
import { createLog } from '../../src/log.ts'
import { startServer } from '../../src/server.ts'
import {
  fetchJson,
  newName,
  PASSWORD,
  ServerProcess,
  scratchFolder,
  signUp,
  until,
} from '../harness.ts'

const onLinux = test.skipIf(process.platform !== 'linux')

/** Fields of `/proc/…/stat`, counted from the one after the name. */
const [STATE, PARENT, NICE] = [0, 1, 16]

/** Undefined once the process, or thread, is gone. */
function statOf(path: string): string[] | undefined {
  try {
    const stat = readFileSync(`${path}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

/** A dead one that nobody has asked for its exit code yet counts as gone. */
function isAlive(pid: number): boolean {
  const state = statOf(`/proc/${pid}`)?.[STATE]
  return state !== undefined && state !== 'Z'
}

function childrenOf(parent: number): number[] {
  const pids = readdirSync('/proc').map(Number).filter(isAlive)
  return pids.filter((pid) => Number(statOf(`/proc/${pid}`)?.[PARENT]) === parent)
}

/** Of each of its threads, each value once. */
function nicesOf(pid: number): number[] {
  const tasks = readdirSync(`/proc/${pid}/task`)
  const nices = tasks.map((task) => Number(statOf(`/proc/${pid}/task/${task}`)?.[NICE] ?? 0))
  return [...new Set(nices)]
}

/** What its open files are; those that all processes have under one name are left out. */
function filesOf(pid: number): string[] {
  const links = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
    } catch {
      return []
    }
  })
  return links.filter((link) => !link.startsWith('anon_inode:'))
}

/** A server that has hashed with as many processes as it may have, and their ids. */
async function withChildren(
  hashConcurrency: number,
  story: (server: ServerProcess, children: number[]) => Promise<void>,
): Promise<void> {
  const server = await ServerProcess.start({ hashConcurrency })
  try {
    expect(childrenOf(server.pid), 'without a hash there is no child').toEqual([])
    const names = Array.from({ length: 4 * hashConcurrency }, () => newName('hash'))
    await Promise.all(names.map((name) => signUp(server.url, name)))
    const children = childrenOf(server.pid)
    expect(children).toBeArrayOfSize(hashConcurrency)
    await story(server, children)
  } finally {
    await server.stopAndForget()
  }
}

onLinux('hashing has a low priority, and nothing in the server has', () =>
  withChildren(2, async (server, children) => {
    expect(nicesOf(server.pid)).toEqual([0])
    // The first thread is the one that hashes; the runtime starts others.
    for (const child of children) expect(Number(statOf(`/proc/${child}`)?.[NICE])).toBe(10)
  }),
)

onLinux('a child has nothing open of the server’s but standard error', () =>
  withChildren(1, async (server, [child]) => {
    const [ours, theirs] = [filesOf(server.pid), filesOf(child!)]
    expect(ours.filter((file) => file.startsWith(server.folder))).not.toEqual([])
    const standardError = readlinkSync(`/proc/${server.pid}/fd/2`)
    expect(theirs.filter((file) => ours.includes(file))).toEqual([standardError])
    expect(theirs).toBeArrayOfSize(3)
  }),
)

onLinux('`ps` shows what a child is, and no password, nor does a log', () =>
  withChildren(1, async (server, [child]) => {
    const argv = readFileSync(`/proc/${child}/cmdline`, 'utf8').split('\0')
    expect(argv.slice(1)).toEqual([expect.stringContaining('hash-process'), 'parley-passwords', ''])
    expect(argv.join(' ')).not.toContain(PASSWORD)
    expect(readFileSync(`/proc/${child}/environ`, 'utf8')).not.toContain(PASSWORD)
    const signingUp = fetchJson(server.url, '/users', {
      method: 'POST',
      json: { name: newName(), password: PASSWORD },
    })
    process.kill(child!, 'SIGKILL')
    expect((await signingUp).status).toBeOneOf([201, 500])
    await signUp(server.url)
    expect(await server.stop()).toBe(0)
    expect(server.errors).not.toContain(PASSWORD)
  }),
)

onLinux('the signals that stop a server do not stop its children before it has', () =>
  withChildren(1, async (server, [child]) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.kill(child!, signal)
      await signUp(server.url)
    }
    expect(childrenOf(server.pid)).toEqual([child!])
    expect(await server.stop()).toBe(0)
    expect(isAlive(child!)).toBe(false)
  }),
)

onLinux('a server killed by SIGKILL leaves no child behind', () =>
  withChildren(2, async (server, children) => {
    await server.stop('SIGKILL')
    await until(() => !children.some(isAlive), 'the children end by themselves')
  }),
)

onLinux('a server that has stopped leaves no child behind', async () => {
  const before = childrenOf(process.pid)
  const folder = scratchFolder()
  const config = defaultConfig({ port: 0, dataDir: folder.path, hashConcurrency: 1 })
  const onFatal = (error: Error) => {
    throw error
  }
  const page = createPackedPage('{"files":[]}')
  const server = await startServer({ config, log: createLog('warn'), page, onFatal })
  try {
    await signUp(server.url)
    const children = childrenOf(process.pid).filter((pid) => !before.includes(pid))
    expect(children).toBeArrayOfSize(1)
  } finally {
    await server.stop()
  }
  // Whatever another test has left behind may have ended meanwhile.
  expect(childrenOf(process.pid).filter((pid) => !before.includes(pid))).toEqual([])
  folder.remove()
})
