/** What Linux counts of listening sockets and of a process's memory. */
import { readFileSync } from 'node:fs'

/** Handshakes that were dropped because a listening socket's queue was full, since the start. */
export function readListenOverflows(): number {
  return parseListenOverflows(readFileSync('/proc/net/netstat', 'utf8'))
}

/**
 * `ListenOverflows` of the pair of lines that begin with `TcpExt:`, one with names and one with
 * values; `ListenDrops` counts those, too, and what was dropped for want of memory.
 */
export function parseListenOverflows(netstat: string): number {
  const [names = [], values = []] = netstat
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'))
    .map((line) => line.split(' '))
  const value = (name: string) => Number(values[names.indexOf(name)])
  return Math.max(value('ListenOverflows'), value('ListenDrops'))
}

export interface Memory {
  /** That nobody else has: what ends with the process. */
  privateDirtyBytes: number
  rssBytes: number
}

/** Of user memory: what the kernel keeps for the process's sockets is in neither. */
export function readMemory(pid: number): Memory {
  return parseMemory(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))
}

export function parseMemory(rollup: string): Memory {
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(rollup)?.[1])
  return { privateDirtyBytes: kib('Private_Dirty') * 1_024, rssBytes: kib('Rss') * 1_024 }
}

/** The largest that a process has been, resident, in bytes. */
export function readRssPeak(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024
}
