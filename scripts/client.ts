/**
 * Makes the client library one file for those who do not bundle, with its types beside it:
 * `client/dist/parley-client.js` and `client/dist/parley-client.d.ts`.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const CLIENT = join(ROOT, 'client')

/** The library as one ES module, minified. Rejects if it cannot be bundled. */
export async function bundleClient(): Promise<string> {
  const built = await Bun.build({
    entrypoints: [join(CLIENT, 'index.ts')],
    format: 'esm',
    minify: true,
  })
  return built.outputs[0]!.text()
}

/** What `client/index.ts` exports, and nothing else, so that one file can hold it. */
const DECLARED = ['types', 'errors', 'parley']

/** The types of the library as one declaration file. Throws what the compiler says. */
export function declareClient(): string {
  const folder = mkdtempSync(join(tmpdir(), 'parley-types-'))
  const tsc = join(ROOT, 'node_modules/.bin/tsc')
  const options = ['--declaration', '--emitDeclarationOnly', '--noEmit', 'false']
  const compiled = Bun.spawnSync([tsc, '-p', CLIENT, ...options, '--outDir', folder])
  if (compiled.exitCode !== 0) throw new Error(compiled.stdout.toString())
  const files = DECLARED.map((name) => readFileSync(join(folder, `${name}.d.ts`), 'utf8'))
  rmSync(folder, { recursive: true })
  return files.map((text) => text.replace(/^import .*\n/gm, '')).join('\n')
}

if (import.meta.main) {
  const dist = join(CLIENT, 'dist')
  rmSync(dist, { recursive: true, force: true })
  await Bun.write(join(dist, 'parley-client.js'), await bundleClient())
  await Bun.write(join(dist, 'parley-client.d.ts'), declareClient())
}
