/** Small libraries in C that stand between a server and its system, to make that fail. */
import { join } from 'node:path'
import { ServerProcess, scratchFolder } from '../harness.ts'

/** Says on the console why a test does not run here: a skipped test is easily overlooked. */
export function skipLoudly(what: string, why: string): undefined {
  console.warn(`\n  SKIPPED: ${what}, because ${why}\n`)
  return undefined
}

/** What went wrong; undefined if nothing did. */
export function run(command: string[]): string | undefined {
  try {
    const { success, stderr } = Bun.spawnSync(command, { stderr: 'pipe' })
    return success ? undefined : stderr.toString().trim() || 'it failed'
  } catch (error) {
    return (error as Error).message
  }
}

export interface Shim {
  library: string
  /** Its own, for the library and whatever tells it what to do. */
  folder: { path: string; remove: () => void }
}

/** Builds `<name>.c` beside this file. Undefined where there is no C compiler, or no LD_PRELOAD. */
export function buildShim(name: string, what: string): Shim | undefined {
  if (process.platform !== 'linux') return skipLoudly(what, 'this is not Linux')
  const folder = scratchFolder()
  const library = join(folder.path, `${name}.so`)
  const source = join(import.meta.dir, `${name}.c`)
  const failed = run(['cc', '-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'])
  if (failed === undefined) return { library, folder }
  folder.remove()
  return skipLoudly(what, `the shim does not compile: ${failed}`)
}

/** Starts a server with the shim beneath it, now and whenever it is restarted. */
export function startUnder(
  shim: Shim,
  variables: Record<string, string>,
  settings: Record<string, string | number> = {},
  folder?: string,
): Promise<ServerProcess> {
  const all = { LD_PRELOAD: shim.library, ...variables }
  return ServerProcess.start(settings, folder, { variables: all })
}
