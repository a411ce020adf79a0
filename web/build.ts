/**
 * Bundles the page. The server runs this file in a child process when somebody first asks for the
 * page, for bundling takes more processor and memory than chat can spare. By hand, it tells whether
 * the page can be built, and how large it is.
 */
import { basename, join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import type { PackedPage, PageFile } from '../src/api/page-source.ts'

/** The page itself first, then what it loads. Rejects with an `AggregateError` of what is wrong. */
export async function buildPage(entry = join(import.meta.dir, 'index.html')): Promise<PageFile[]> {
  const { outputs } = await Bun.build({
    entrypoints: [entry],
    target: 'browser',
    minify: true,
    splitting: true,
    publicPath: '/assets/',
    naming: { entry: NAME, chunk: NAME, asset: NAME },
    jsx: { runtime: 'automatic', importSource: 'preact', development: false },
    define: { 'process.env.NODE_ENV': '"production"' },
    env: 'disable',
  })
  const files = await Promise.all(outputs.map(fileOf))
  return files.sort((one, other) => one.path.localeCompare(other.path))
}

const NAME = '[name]-[hash].[ext]'

async function fileOf(output: Bun.BuildArtifact): Promise<PageFile> {
  const bytes = new Uint8Array(await output.arrayBuffer())
  const path = output.path.endsWith('.html') ? '/' : `/assets/${basename(output.path)}`
  const gzip = new Uint8Array(gzipSync(bytes, { level: 9 }))
  const brotli = new Uint8Array(brotliCompressSync(bytes))
  return { path, type: output.type, bytes, gzip, brotli }
}

/** As `unpackPage` reads it. */
export async function packPage(): Promise<PackedPage> {
  try {
    const files = await buildPage()
    return { files: files.map((file) => ({ ...file, ...encoded(file) })) }
  } catch (error) {
    const { errors } = error as Partial<AggregateError>
    return { error: [String(error), ...(errors ?? []).map(described)].join('\n') }
  }
}

function encoded({ bytes, gzip, brotli }: PageFile) {
  const text = (one: Uint8Array) => Buffer.from(one).toString('base64')
  return { bytes: text(bytes), gzip: text(gzip), brotli: text(brotli) }
}

/** With the place in the source, which the message alone does not have. */
function described(error: BuildMessage | ResolveMessage): string {
  const { position, message } = error
  return position?.file ? `${position.file}:${position.line}: ${message}` : message
}

if (import.meta.main) console.log(JSON.stringify(await packPage()))
