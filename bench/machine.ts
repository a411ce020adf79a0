/**
 * The machine: which cores to use, how to start a process on one of them, and what to say of it.
 */
import { spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { median } from './stats.ts'

/** One core each; undefined where processes cannot be pinned. */
export interface Cores {
  server: number
  generator: number
}

/**
 * The first two cores this process may use; undefined without two of them, or without `taskset`.
 */
export function chooseCores(): Cores | undefined {
  if (Bun.which('taskset') === null || !existsSync('/proc/self/status')) return undefined
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  const [server, generator] = parseCoreList(list ?? '')
  return server === undefined || generator === undefined ? undefined : { server, generator }
}

/** `0,2-4` → 0, 2, 3, 4. */
export function parseCoreList(list: string): number[] {
  return list
    .split(',')
    .filter((range) => range !== '')
    .flatMap((range) => {
      const [from, to = from] = range.split('-').map(Number) as [number, number?]
      return Array.from({ length: to - from + 1 }, (_, i) => from + i)
    })
}

/**
 * The command that runs `command` on one core, its threads included, with as many open files as the
 * system allows. It replaces itself with `command`, so the process id is the command's own.
 */
export function pinned(core: number | undefined, command: readonly string[]): string[] {
  const taskset = core === undefined ? [] : ['taskset', '-c', String(core)]
  const raiseLimit = 'ulimit -n "$(ulimit -Hn)" 2>/dev/null; exec "$@"'
  return ['sh', '-c', raiseLimit, 'sh', ...taskset, ...command]
}

/** Files this process may have open. */
export function openFilesMax(): number {
  const { stdout } = spawnSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' })
  return stdout.trim() === 'unlimited' ? Number.POSITIVE_INFINITY : Number(stdout)
}

export interface Machine {
  cpu: string
  cores: number
  memoryGiB: number
  kernel: string
  bun: string
  date: string
  pinning: string
  openFilesMax: number
  /** What one durable write costs on the disk that holds the data: it bounds durable posts. */
  fdatasyncMs: number
  dataFolder: string
}

export function describeMachine(cores: Cores | undefined, folder: string): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round((totalmem() / 2 ** 30) * 10) / 10,
    kernel: `${type()} ${release()}`,
    bun: Bun.version,
    date: new Date().toISOString(),
    pinning:
      cores === undefined
        ? 'none: server and load generator compete for the same cores'
        : `server on core ${cores.server}, load generator on core ${cores.generator}`,
    openFilesMax: openFilesMax(),
    fdatasyncMs: measureFdatasyncMs(folder),
    dataFolder: folder,
  }
}

/** The median of a hundred small writes, each synced. */
function measureFdatasyncMs(folder: string): number {
  const path = join(folder, 'fdatasync')
  const file = openSync(path, 'w')
  const page = Buffer.alloc(4_096, 1)
  const times: number[] = []
  for (let i = 0; i < 100; i++) {
    writeSync(file, page)
    const startedAt = performance.now()
    fdatasyncSync(file)
    times.push(performance.now() - startedAt)
  }
  closeSync(file)
  rmSync(path)
  return median(times)
}
