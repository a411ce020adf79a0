/** Syncs that take longer: a durable figure of a fast disk says little about any other. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const SOURCE = join(import.meta.dir, 'slow-disk.c')

export class SlowDisk {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
    process.once('exit', this.remove)
  }

  /** Compiles it. A sentence that says what is missing, where that cannot be done. */
  static build(): SlowDisk | string {
    if (process.platform !== 'linux') return 'syncs can only be made slower on Linux'
    if (Bun.which('cc') === null) return 'there is no C compiler: apt-get install gcc libc6-dev'
    const folder = mkdtempSync(join(tmpdir(), 'parley-slow-disk-'))
    const { status, stderr } = spawnSync('cc', [
      ...['-shared', '-fPIC', '-O2', '-o', libraryIn(folder), SOURCE],
    ])
    if (status === 0 && existsSync(libraryIn(folder))) return new SlowDisk(folder)
    rmSync(folder, { recursive: true, force: true })
    return `the C compiler failed: ${stderr.toString().trim().split('\n')[0]}`
  }

  /** For the process whose syncs are to take so much longer. */
  env(syncMs: number): Record<string, string> {
    return {
      LD_PRELOAD: libraryIn(this.#folder),
      PARLEY_BENCH_SYNC_US: String(Math.round(syncMs * 1_000)),
    }
  }

  readonly remove = (): void => {
    process.removeListener('exit', this.remove)
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

function libraryIn(folder: string): string {
  return join(folder, 'slow-disk.so')
}
