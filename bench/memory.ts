/** What Linux counts of a process's memory. */
import { readFileSync } from 'node:fs'

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
  return {
    privateDirtyBytes: readBytes(rollup, 'Private_Dirty'),
    rssBytes: readBytes(rollup, 'Rss'),
  }
}

/** The largest that a process has been, resident, in bytes. */
export function readRssPeak(pid: number): number {
  return readBytes(readFileSync(`/proc/${pid}/status`, 'utf8'), 'VmHWM')
}

function readBytes(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]) * 1_024
}
