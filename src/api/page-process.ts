/**
 * The page, bundled from its sources by a child process. Bundling takes a core for a while and
 * memory that is never given back, so it is done elsewhere, at a low priority, once it is needed.
 */
import { launch, lower } from '../chat/processes.ts'
import { withDeadline } from '../clock.ts'
import { type PageSource, unpackPage } from './page-source.ts'

export interface PageProcessOptions {
  /** Prints one line of JSON: a `PackedPage`. */
  script: string
  /** Usually it takes a tenth of a second; on a machine that is busy, much longer. */
  timeoutMs?: number
  /** What it may print. */
  bytesMax?: number
}

export const BUILD_MS_MAX = 60_000
export const BUILD_BYTES_MAX = 16 << 20

export function createPageProcess(options: PageProcessOptions): PageSource {
  const { script, timeoutMs = BUILD_MS_MAX, bytesMax = BUILD_BYTES_MAX } = options
  let end = () => {}
  return {
    async files() {
      const child = launch([script], 'build the page')
      end = () => void child.kill('SIGKILL')
      if (child.pid !== undefined) tryTo(() => lower(child.pid!))
      child.stdin?.end()
      const late = () => new Error(`It takes longer than ${timeoutMs} ms.`)
      try {
        return unpackPage(await withDeadline(outputOf(child, bytesMax), timeoutMs, late))
      } catch (error) {
        const byHand = `Run "bun ${script}" to see why.`
        throw new Error(`The page could not be built. ${byHand} ${(error as Error).message}`)
      } finally {
        end()
      }
    },
    close: () => end(),
  }
}

/** All that it prints, once it has ended as it should. */
function outputOf(child: ReturnType<typeof launch>, bytesMax: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const chunks: Buffer[] = []
  let size = 0
  child.stdout?.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    size += chunk.length
    if (size > bytesMax) reject(new Error(`It prints more than ${bytesMax} bytes.`))
  })
  child.on('error', reject)
  child.on('close', (code, signal) => {
    if (code === 0) resolve(Buffer.concat(chunks).toString())
    else reject(new Error(`Its process ended with ${signal ?? `exit code ${code}`}.`))
  })
  return promise
}

/** A sandbox may forbid it; then the page is built at normal priority, once. */
function tryTo(act: () => void): void {
  try {
    act()
  } catch {}
}
