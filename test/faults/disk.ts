/** Disks that fail: a small one that fills up, and one that a shim under the process makes fail. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ServerProcess, scratchFolder } from '../harness.ts'
import { buildShim, run, type Shim, skipLoudly, startUnder } from './shim.ts'

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

export type DiskFault =
  | 'fsync-fails'
  | 'fsync-fails-at'
  | 'read-only'
  | 'write-fails-at'
  | 'dies-after-fsync'

/** A server on a disk that can be made to fail. */
export class DiskShim {
  readonly #shim: Shim

  private constructor(shim: Shim) {
    this.#shim = shim
    mkdirSync(join(shim.folder.path, 'faults'))
  }

  /** Undefined where there is no C compiler, or no LD_PRELOAD. */
  static build(): DiskShim | undefined {
    const shim = buildShim('disk-shim', 'a failing disk')
    return shim && new DiskShim(shim)
  }

  /** Starts a server with the shim beneath it. */
  start(folder?: string): Promise<ServerProcess> {
    return startUnder(this.#shim, { PARLEY_DISK_SHIM: this.#path() }, {}, folder)
  }

  begin(fault: DiskFault, number?: number): void {
    writeFileSync(this.#path(fault), number === undefined ? '' : String(number))
  }

  /** False once a fault with a number has happened, which it does once. */
  isPending(fault: DiskFault): boolean {
    return existsSync(this.#path(fault))
  }

  end(fault: DiskFault): void {
    rmSync(this.#path(fault), { force: true })
  }

  remove(): void {
    this.#shim.folder.remove()
  }

  #path(fault = ''): string {
    return join(this.#shim.folder.path, 'faults', fault)
  }
}
