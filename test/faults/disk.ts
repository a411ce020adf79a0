/** Disks that fail: a small one that fills up, and one that a shim under the process makes fail. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ServerProcess, scratchFolder } from '../harness.ts'

/** Says on the console why a test does not run here: a skipped test is easily overlooked. */
function skipLoudly(what: string, why: string): undefined {
  console.warn(`\n  SKIPPED: ${what}, because ${why}\n`)
  return undefined
}

function run(command: string[]): string | undefined {
  try {
    const { success, stderr } = Bun.spawnSync(command, { stderr: 'pipe' })
    return success ? undefined : stderr.toString().trim() || 'it failed'
  } catch (error) {
    return (error as Error).message
  }
}

export interface SmallDisk {
  path: string
  remove(): void
}

/** A file system of its own, of so many bytes; undefined where none can be mounted. */
export function mountSmallDisk(bytes: number): SmallDisk | undefined {
  const folder = scratchFolder()
  const failed = run(['mount', '-t', 'tmpfs', '-o', `size=${bytes}`, 'parley-test', folder.path])
  if (failed !== undefined) {
    folder.remove()
    return skipLoudly('a full disk', `nothing can be mounted here: ${failed}`)
  }
  return {
    path: folder.path,
    remove() {
      run(['umount', '-l', folder.path])
      folder.remove()
    },
  }
}

export type DiskFault = 'fsync-fails' | 'read-only' | 'write-fails-at'

/** A server on a disk that can be made to fail. */
export class DiskShim {
  readonly #library: string
  readonly #folder: { path: string; remove: () => void }

  private constructor(library: string, folder: { path: string; remove: () => void }) {
    this.#library = library
    this.#folder = folder
    mkdirSync(join(folder.path, 'faults'))
  }

  /** Undefined where there is no C compiler, or no LD_PRELOAD. */
  static build(): DiskShim | undefined {
    if (process.platform !== 'linux') return skipLoudly('a failing disk', 'this is not Linux')
    const folder = scratchFolder()
    const library = join(folder.path, 'disk-shim.so')
    const source = join(import.meta.dir, 'disk-shim.c')
    const failed = run(['cc', '-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'])
    if (failed !== undefined) {
      folder.remove()
      return skipLoudly('a failing disk', `the shim does not compile: ${failed}`)
    }
    return new DiskShim(library, folder)
  }

  /** Starts a server with the shim beneath it. Restarted, it will be without. */
  async start(): Promise<ServerProcess> {
    const variables = { LD_PRELOAD: this.#library, PARLEY_DISK_SHIM: this.#path() }
    Object.assign(process.env, variables)
    try {
      return await ServerProcess.start()
    } finally {
      for (const name of Object.keys(variables)) delete process.env[name]
    }
  }

  begin(fault: DiskFault, number?: number): void {
    writeFileSync(this.#path(fault), number === undefined ? '' : String(number))
  }

  end(fault: DiskFault): void {
    rmSync(this.#path(fault), { force: true })
  }

  remove(): void {
    this.#folder.remove()
  }

  #path(fault = ''): string {
    return join(this.#folder.path, 'faults', fault)
  }
}
