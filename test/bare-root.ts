/**
 * A machine with nothing on it: a folder that a process takes for the whole file system. It holds
 * an executable, the C library's files that the executable names, and what every Linux has.
 */
import { chmodSync, copyFileSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Subprocess, spawn, spawnSync, which } from 'bun'
import { scratchFolder, within } from './harness.ts'

/** Where `chroot` and the others are, whatever `PATH` says. */
const PATH = '/usr/sbin:/usr/bin:/sbin:/bin'
const OWN_MOUNTS = ['unshare', '--mount', '--propagation', 'private']
/** The numbers of Linux's devices. */
const DEVICES = { null: ['1', '3'], urandom: ['1', '9'] }

/** Whether such a machine can be made here; if not, a line says so. */
export function canMakeBareRoot(): boolean {
  const isPossible =
    which('unshare') !== null && spawnSync({ cmd: [...OWN_MOUNTS, 'true'] }).exitCode === 0
  if (!isPossible) console.warn('\n  SKIPPED: only root can run the executable in a bare root.\n')
  return isPossible
}

export type Running = Subprocess<'ignore', 'pipe', 'pipe'>

export class BareRoot {
  readonly #folder = scratchFolder()

  /** With the executable as `/parley`, and more libraries from where the C library is. */
  constructor(executable: string, more: readonly string[] = []) {
    for (const name of ['tmp', 'dev', 'proc', 'data']) mkdirSync(this.#at(name))
    copyFileSync(executable, this.#at('parley'))
    chmodSync(this.#at('parley'), 0o755)
    const { stdout } = spawnSync({ cmd: ['ldd', executable] })
    const named = [...String(stdout).matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path!)
    const folder = dirname(named.find((path) => path.includes('/libc.so'))!)
    for (const path of [...named, ...more.map((name) => join(folder, name))]) {
      mkdirSync(dirname(this.#at(path)), { recursive: true })
      copyFileSync(path, this.#at(path))
    }
    for (const [name, numbers] of Object.entries(DEVICES))
      spawnSync({ cmd: ['mknod', '-m', '666', this.#at(`dev/${name}`), 'c', ...numbers] })
  }

  #at(path: string): string {
    return join(this.#folder.path, path)
  }

  /** Runs it with these variables and no others. `/proc` is mounted for it alone. */
  run(args: readonly string[], variables: Record<string, string>): Running {
    const given = Object.entries(variables).map(([name, value]) => `${name}=${value}`)
    const script = 'mount -t proc proc "$1/proc" && shift && exec "$@"'
    const { path } = this.#folder
    const inside = ['env', '-i', ...given, which('chroot', { PATH })!, path, '/parley', ...args]
    return spawn({
      cmd: [...OWN_MOUNTS, 'sh', '-c', script, 'sh', path, ...inside],
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
  }

  remove(): void {
    this.#folder.remove()
  }
}

/** The address that a server prints once it accepts connections. */
export async function addressPrinted(
  server: Subprocess<'ignore', 'pipe', 'pipe' | 'inherit'>,
): Promise<string> {
  const { value } = await within(server.stdout.getReader().read(), 'it prints its address')
  return /http:\S+/.exec(new TextDecoder().decode(value))![0]
}
