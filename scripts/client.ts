/**
 * Makes the client library one file for those who do not bundle, with its types beside it:
 * `client/dist/parley-client.js` and `client/dist/index.d.ts`.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'

const CLIENT = join(import.meta.dirname, '../client')

/** The library as one ES module, minified. Throws if it cannot be bundled. */
export async function bundleClient(): Promise<string> {
  const built = await Bun.build({
    entrypoints: [join(CLIENT, 'index.ts')],
    format: 'esm',
    minify: true,
  })
  return built.outputs[0]!.text()
}

if (import.meta.main) {
  const dist = join(CLIENT, 'dist')
  rmSync(dist, { recursive: true, force: true })
  await Bun.write(join(dist, 'parley-client.js'), await bundleClient())
  const config = join(CLIENT, 'tsconfig.build.json')
  const types = Bun.spawnSync(['tsc', '-p', config], { stdout: 'inherit', stderr: 'inherit' })
  if (types.exitCode !== 0) process.exit(types.exitCode)
}
