/** What the tests of `parley verify` share: the command itself, and servers with planted faults. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { spawn } from 'bun'
import { ScratchServer, type Services } from '../../src/verify/scratch-server.ts'
import { type Plant, plantedCopy } from '../faults/planted.ts'
import { ServerProcess, scratchFolder } from '../harness.ts'

export const TRIAL_MS_MAX = 60_000

const undo: (() => unknown)[] = []

/** To be done when the test has ended; the last comes first. */
export function afterwards(one: () => unknown): void {
  undo.push(one)
}

export async function undoAll(): Promise<void> {
  for (const one of undo.splice(0).reverse()) await one()
}

/** Starts the command; `env` beside the test's own environment. */
export function startVerify(args: readonly string[], env: Record<string, string> = {}) {
  const folder = scratchFolder()
  afterwards(() => folder.remove())
  return spawn({
    cmd: [...ServerProcess.command, 'verify', ...args],
    env: { ...process.env, DATA_DIR: join(folder.path, 'not', 'there', 'yet'), ...env },
    stdout: 'pipe',
    stderr: 'pipe',
  })
}

export async function verify(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<[code: number, printed: string, errors: string]> {
  const child = startVerify(args, env)
  const [printed, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return [await child.exited, printed, errors]
}

/** The command that starts a copy of the sources in which texts are replaced. */
export function plantedCommand(...plants: (Plant | undefined)[]): readonly string[] {
  const { command, remove } = plantedCopy(plants.filter((one) => one !== undefined))
  afterwards(remove)
  return command
}

/** Such a server, started. */
export async function planted(
  plants: readonly (Plant | undefined)[],
  services: Services = {},
): Promise<ScratchServer> {
  const folder = scratchFolder()
  afterwards(() => folder.remove())
  mkdirSync(join(folder.path, 'data'))
  const command = plantedCommand(...plants)
  const server = new ScratchServer(command, join(folder.path, 'data'), services)
  afterwards(() => server.remove())
  await server.start()
  return server
}
