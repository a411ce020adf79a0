/** Programs the tests need: found, installed, or missed aloud. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { failureOf } from '../contracts/store-home.ts'
import { scratchFolder } from '../harness.ts'
import { findOrInstall, type Surroundings } from './install.ts'

let folder: ReturnType<typeof scratchFolder>
let said: string[]
let installed: string[]

beforeEach(() => {
  folder = scratchFolder()
  said = []
  installed = []
})

afterEach(() => folder.remove())

const needed = () => ({
  program: 'parley-test-program',
  debianPackage: 'parley-test-package',
  folders: () => [join(folder.path, 'nowhere'), folder.path],
})
const path = () => join(folder.path, 'parley-test-program')
const putProgram = (mode = 0o755) => writeFileSync(path(), '#!/bin/sh\n', { mode })

const surroundings = (more: Partial<Surroundings> = {}): Surroundings => ({
  mayInstall: true,
  isStrict: false,
  say: (line) => said.push(line),
  async install(debianPackage) {
    installed.push(debianPackage)
    return undefined
  },
  ...more,
})

test('what is there is found, without a word', async () => {
  putProgram()
  expect(await findOrInstall(needed(), surroundings())).toBe(path())
  expect([said, installed]).toEqual([[], []])
})

test('what is missing is installed, and the line before says so', async () => {
  const install = async () => putProgram() as undefined
  expect(await findOrInstall(needed(), surroundings({ install }))).toBe(path())
  expect(said).toHaveLength(1)
  expect(said[0]).toContain('installing the Debian package parley-test-package')
})

test('a file that nobody may run is not taken for the program', async () => {
  putProgram(0o644)
  await findOrInstall(needed(), surroundings())
  expect(installed).toEqual(['parley-test-package'])
})

test('where nothing may be installed, one line says what to install, and nothing is tried', async () => {
  const found = await findOrInstall(needed(), surroundings({ mayInstall: false }))
  expect([found, installed]).toEqual([undefined, []])
  expect(said).toHaveLength(1)
  expect(said[0]).toMatch(/^SKIPPED: .*Install the Debian package parley-test-package/)
})

test('an installation that fails or brings nothing is told as it is', async () => {
  const install = async () => 'no space left on the device'
  expect(await findOrInstall(needed(), surroundings({ install }))).toBeUndefined()
  expect(said.at(-1)).toContain('no space left on the device')
  expect(await findOrInstall(needed(), surroundings())).toBeUndefined()
  expect(said.at(-1)).toContain('parley-test-package did not bring it')
})

test('where nothing may be skipped, what is missing is an error', async () => {
  const strict = surroundings({ mayInstall: false, isStrict: true })
  expect(String(await failureOf(findOrInstall(needed(), strict)))).toContain('CI=true')
  expect(said).toEqual([])
})
