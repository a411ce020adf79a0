/**
 * CPU and memory of the server and of the generator, as the system counts them, and how much of
 * their cores went to somebody else.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Cores } from './machine.ts'
import { treesOf } from './process-tree.ts'

/** Fixed on Linux, whatever the kernel's own tick. */
const TICKS_PER_S = 100

export interface ProcessUsage {
  /** Of all its threads, user and system, since it started, and of its children that have ended. */
  cpuSeconds: number
  /** Resident memory. What the kernel keeps for sockets is not in it. */
  rssBytes: number
}

/** From `/proc`; from `ps` where there is none. */
export function readUsage(pid: number): ProcessUsage {
  try {
    return {
      cpuSeconds: parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8')),
      rssBytes: parseStatus(readFileSync(`/proc/${pid}/status`, 'utf8')),
    }
  } catch {
    const { stdout } = spawnSync('ps', ['-o', 'rss=,time=', '-p', String(pid)])
    return parsePs(stdout.toString())
  }
}

/**
 * `utime`, `stime`, `cutime` and `cstime`; the second field, the name, may itself hold blanks and
 * brackets.
 */
export function parseStat(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_S
}

export function parseStatus(status: string): number {
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1]) * 1_024
}

/** `12345 [[dd-]hh:]mm:ss[.cc]` */
export function parsePs(line: string): ProcessUsage {
  const [rss = '', time = ''] = line.trim().split(/\s+/)
  const [clock = '', days = '0'] = time.split('-').reverse()
  const seconds = clock.split(':').reduce((sum, part) => sum * 60 + Number(part), 0)
  return { rssBytes: Number(rss) * 1_024, cpuSeconds: Number(days) * 86_400 + seconds }
}

/**
 * Seconds a core has spent on processes, and on other guests of the same host. Interrupts are left
 * out: those of the loopback are our own doing.
 */
export function parseCoreStat(stat: string, core: number): number {
  const line = stat.split('\n').find((one) => one.startsWith(`cpu${core} `)) ?? ''
  const [, user, nice, system, , , , , steal] = line.split(' ').map(Number)
  return (user! + nice! + system! + steal!) / TICKS_PER_S
}

export interface Used {
  seconds: number
  serverCpuS: number
  generatorCpuS: number
  /** The share (0 to 1) of a core of ours, the server's or the generator's, that others had. */
  disturbed: number
}

/** Whose use is counted. */
export interface Parties {
  /** The server's processes; what they started is counted, too. */
  servers: readonly number[]
  generators: readonly number[]
  cores: Cores | undefined
}

/** Starts counting; the function returned tells what has been used since. */
export function startUsage({ servers, generators, cores }: Parties): () => Used {
  const startedAt = performance.now()
  const before = readCpuS(servers)
  const generatorBefore = readCpuS(generators)
  const ownBefore = readOwnCpuS(servers)
  const busyBefore = readBusy(cores)
  return () => {
    const seconds = (performance.now() - startedAt) / 1_000
    const serverCpuS = readCpuS(servers) - before
    const generatorCpuS = readCpuS(generators) - generatorBefore
    const ours = [serverCpuS, readOwnCpuS(servers) - ownBefore]
    const others = readBusy(cores).map((busy, i) => busy - busyBefore[i]! - ours[i]!)
    const disturbed = Math.max(0, ...others.map((othersS) => othersS / seconds))
    return { seconds, serverCpuS, generatorCpuS, disturbed }
  }
}

/** Of this process and of all that it started but the server: it runs where the generator does. */
function readOwnCpuS(servers: readonly number[]): number {
  return readCpuS([process.pid]) - readCpuS(servers)
}

function readCpuS(pids: readonly number[]): number {
  return treesOf(pids).reduce((sum, pid) => sum + readUsage(pid).cpuSeconds, 0)
}

/** Of these processes and of all that they started. */
export function readRssBytes(pids: readonly number[]): number {
  return treesOf(pids).reduce((sum, pid) => sum + readUsage(pid).rssBytes, 0)
}

/** Handshakes the kernel has dropped since it started, for the listening queue was full. */
export function readListenOverflows(): number {
  return parseListenOverflows(readFileSync('/proc/net/netstat', 'utf8'))
}

/** Each group has a line of names and, below it, one of values. */
export function parseListenOverflows(netstat: string): number {
  const [names = [], values = []] = netstat
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'))
    .map((line) => line.split(' '))
  return Number(values[names.indexOf('ListenOverflows')])
}

/** Of the server's core and of the generator's. */
function readBusy(cores: Cores | undefined): number[] {
  if (cores === undefined) return []
  const stat = readFileSync('/proc/stat', 'utf8')
  return [cores.server, cores.generator].map((core) => parseCoreStat(stat, core))
}
