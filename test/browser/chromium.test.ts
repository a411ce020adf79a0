/** Where the browser comes from, and what happens where there is none. */
import { expect, test } from 'bun:test'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { scratchFolder } from '../harness.ts'
import { findChromium, type Machine } from './chromium.ts'

/** A machine of the test's own, with a program at `chromium` if it has one. */
function machineWith(more: Partial<Machine> & { has?: boolean }) {
  const folder = scratchFolder()
  const path = join(folder.path, 'chromium')
  const put = () => {
    writeFileSync(path, '#!/bin/sh\n')
    chmodSync(path, 0o755)
  }
  if (more.has) put()
  const said: string[] = []
  const say = (line: string) => void said.push(line)
  const bare = { environment: {}, places: [path], canInstall: false, install: put, say }
  return { path, said, machine: { ...bare, ...more }, remove: folder.remove }
}

test('one that is there is taken, and nothing is said', () => {
  const { machine, path, said, remove } = machineWith({ has: true, canInstall: true })
  expect(findChromium(machine)).toBe(path)
  expect(said).toEqual([])
  remove()
})

test('a chosen one goes before the usual places, and must be a program', () => {
  const chosen = machineWith({ has: true })
  const environment = { PARLEY_CHROMIUM: chosen.path }
  const { machine, remove } = machineWith({ has: true, environment })
  expect(findChromium(machine)).toBe(chosen.path)
  chosen.remove()
  expect(() => findChromium(machine)).toThrow(/PARLEY_CHROMIUM .* no program/)
  remove()
})

test('where it can be, it is installed, with a line that says so', () => {
  const { machine, path, said, remove } = machineWith({ canInstall: true })
  expect(findChromium(machine)).toBe(path)
  expect(said).toEqual([expect.stringContaining('installing it with apt-get')])
  remove()
})

test('without one, tests are skipped, and what to install is said', () => {
  const failing = { canInstall: true, install: () => {} }
  for (const more of [{}, failing]) {
    const { machine, said, remove } = machineWith(more)
    expect(findChromium(machine)).toBeUndefined()
    expect(said.at(-1)).toContain('are skipped. Install chromium')
    remove()
  }
})

test('in CI a skip is a failure', () => {
  const { machine, remove } = machineWith({ environment: { CI: 'true' } })
  expect(() => findChromium(machine)).toThrow('Install chromium')
  remove()
})
