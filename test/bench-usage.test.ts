/** What a server uses is what all its processes use, those that have ended included. */
import { expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { treesOf } from '../bench/process-tree.ts'
import { readRssBytes, readUsage, startUsage } from '../bench/usage.ts'
import { until } from './harness.ts'

const onLinux = test.skipIf(!existsSync('/proc/self/stat'))

/** Until it has had so many milliseconds of a core, however long that takes on a busy machine. */
const BUSY = `
  const ms = Number(process.argv[1])
  for (let used = 0; used < ms; ) {
    const { user, system } = process.cpuUsage()
    used = (user + system) / 1_000
  }`

onLinux('the tree of a process has its children and theirs, each once', async () => {
  const child = Bun.spawn(['sh', '-c', 'sleep 60 & wait'], { stdout: 'ignore' })
  try {
    await until(() => treesOf([child.pid]).length === 2, 'the child has a child')
    const tree = treesOf([child.pid])
    expect(tree[0]).toBe(child.pid)
    expect(treesOf([process.pid, child.pid, ...tree]).filter((pid) => pid === tree[1])).toEqual([
      tree[1]!,
    ])
    for (const pid of tree.reverse()) process.kill(pid, 'SIGKILL')
    await child.exited
    expect(treesOf([child.pid])).toEqual([])
  } finally {
    child.kill('SIGKILL')
  }
})

onLinux('children count while they run, and after they have ended', async () => {
  // The parent itself does nothing.
  const command = ['sh', '-c', '"$0" -e "$1" 1000; sleep 60', process.execPath, BUSY]
  const parent = Bun.spawn(command, { stdout: 'ignore' })
  const usage = startUsage({ servers: [parent.pid], generators: [process.pid], cores: undefined })
  try {
    const busy = await until(() => treesOf([parent.pid])[1], 'there is a child')
    await until(() => usage().serverCpuS > 0.3, 'it is counted')
    expect(readRssBytes([parent.pid])).toBeGreaterThan(readUsage(parent.pid).rssBytes)
    await until(() => !treesOf([parent.pid]).includes(busy), 'it has ended')
    expect(usage().serverCpuS).toBeGreaterThan(0.5)
  } finally {
    for (const pid of treesOf([parent.pid]).reverse()) process.kill(pid, 'SIGKILL')
    await parent.exited
  }
})
