/**
 * `npm run build [-- --outfile FILE] [-- --target bun-linux-arm64]`: everything in one executable,
 * runtime included, for machines that have neither Node nor Bun. For which ones Bun can build it
 * says itself: bun.sh/docs/bundler/executables.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { packPage } from '../web/build.ts'

const ROOT = join(import.meta.dirname, '..')
/** Threads need entry points of their own; `src/scripts.ts` knows where they end up. */
const ENTRY_POINTS = ['main.ts', 'store/sqlite-worker.ts', 'store/sqlite-copy-worker.ts']

export async function buildExecutable(outfile: string, target?: string): Promise<void> {
  const page = await packPage()
  if ('error' in page) throw new Error(page.error)
  await Bun.build({
    entrypoints: ENTRY_POINTS.map((name) => join(ROOT, 'src', name)),
    root: join(ROOT, 'src'),
    minify: true,
    define: { PARLEY_PAGE: JSON.stringify(JSON.stringify(page)) },
    compile:
      target === undefined ? { outfile } : { outfile, target: target as Bun.Build.CompileTarget },
  })
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      outfile: { type: 'string', default: join(ROOT, 'dist', 'parley') },
      target: { type: 'string' },
    },
  })
  await buildExecutable(values.outfile, values.target)
  console.log(`${values.outfile} (${Math.round(statSync(values.outfile).size / 1e6)} MB)`)
}
