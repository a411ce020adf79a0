/**
 * Where the scripts of our threads and child processes are: files beside this one, or parts of the
 * one executable that everything was built into (`scripts/build.ts`).
 */
import { fileURLToPath } from 'node:url'

export type ScriptName = 'store/sqlite-worker' | 'store/sqlite-copy-worker' | 'chat/hash-process'

/** In an executable, Bun shows what it holds under this path. */
export const inExecutable = import.meta.url.includes('/$bunfs/')

/** The first argument with which an executable is told to be one of its scripts. */
export const SCRIPT_ARGUMENT = '--script'

/** For `new Worker`. */
export function scriptUrl(name: ScriptName): URL {
  return new URL(inExecutable ? `./${name}.js` : `./${name}.ts`, import.meta.url)
}

/** For `spawn(process.execPath, …)`. */
export function scriptArguments(name: ScriptName): string[] {
  return inExecutable ? [SCRIPT_ARGUMENT, name] : [fileURLToPath(scriptUrl(name))]
}

/** What starts another server. */
export function serveCommand(): string[] {
  if (inExecutable) return [process.execPath]
  return [process.execPath, fileURLToPath(new URL('./main.ts', import.meta.url))]
}
