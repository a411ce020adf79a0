/** What a server uses is what all its processes use, those that have ended included. */
import { expect, test } from 'bun:test'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { treesOf } from '../bench/process-tree.ts'
import { readRssBytes, readUsage, startUsage } from '../bench/usage.ts'
import { scratchFolder, until } from './harness.ts'

const onLinux = test.skipIf(!existsSync('/proc/self/stat'))

/** Until it is told to end by a file that it finds. */
const BUSY = "const { existsSync } = require('node:fs'); while (!existsSync(process.argv[1])) {}"

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
  const { path, remove } = scratchFolder()
  const ending = join(path, 'that is enough')
  // The parent itself does nothing.
  const script = '"$0" -e "$1" "$2"; sleep 60'
  const command = ['sh', '-c', script, process.execPath, BUSY, ending]
  const parent = Bun.spawn(command, { stdout: 'ignore' })
  const usage = startUsage({ servers: [parent.pid], generators: [process.pid], cores: undefined })
  try {
    const busy = await until(() => treesOf([parent.pid])[1], 'there is a child')
    await until(() => usage().serverCpuS > 0.6, 'it is counted')
    expect(readRssBytes([parent.pid])).toBeGreaterThan(readUsage(parent.pid).rssBytes)
    writeFileSync(ending, '')
    await until(() => !treesOf([parent.pid]).includes(busy), 'it has ended')
    expect(usage().serverCpuS).toBeGreaterThan(0.5)
  } finally {
    for (const pid of treesOf([parent.pid]).reverse()) process.kill(pid, 'SIGKILL')
    await parent.exited
    remove()
  }
})
