/** A server whose wall clock can be set, while time goes on as before. */
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { ServerProcess } from '../harness.ts'
import { buildShim, type Shim, startUnder } from './shim.ts'

export class ClockShim {
  readonly #shim: Shim
  readonly #path: string

  private constructor(shim: Shim) {
    this.#shim = shim
    this.#path = join(shim.folder.path, 'shift')
    writeFileSync(this.#path, Buffer.alloc(8))
  }

  /** Undefined where there is no C compiler, or no LD_PRELOAD. */
  static build(): ClockShim | undefined {
    const shim = buildShim('clock-shim', 'a clock that is set')
    return shim && new ClockShim(shim)
  }

  start(settings: Record<string, string | number> = {}): Promise<ServerProcess> {
    return startUnder(this.#shim, { PARLEY_CLOCK_SHIM: this.#path }, settings)
  }

  /** The servers' clock is so many seconds away from the machine's, from now on. */
  set(seconds: number): void {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(seconds))
    // Written over, not replaced: the file is mapped.
    const file = openSync(this.#path, 'r+')
    writeSync(file, bytes)
    closeSync(file)
  }

  remove(): void {
    this.#shim.folder.remove()
  }
}
