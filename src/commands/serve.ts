/** `parley serve`, or just `parley`: starts the server, and stops it on a signal. */
import { fileURLToPath } from 'node:url'
import { createPageProcess } from '../api/page-process.ts'
import { createPackedPage, type PageSource } from '../api/page-source.ts'
import { readConfig } from '../config.ts'
import { createLog } from '../log.ts'
import { type RunningServer, startServer } from '../server.ts'

/** A drain that hangs is cut here: whoever stops us was promised ten seconds. */
const STOP_MS_MAX = 9_500

/** The page, packed, in an executable; `scripts/build.ts` puts it there. */
declare const PARLEY_PAGE: string | undefined

/** Resolves once connections are accepted. Rejects with a sentence for people. */
export async function serve(): Promise<void> {
  const config = readConfig()
  const log = createLog(config.logLevel)
  const endWith = (why: string) => (error: unknown) => {
    log.fatal({ err: error }, `${why}; ending the process, whoever supervises it starts it again`)
    process.exit(1)
  }
  const onFatal = endWith('the database cannot be trusted any more')
  // A bug has left things half done. Everything acknowledged is on the disk, so ending is safe.
  process.on('uncaughtException', endWith('an error nobody caught'))
  process.on('unhandledRejection', endWith('a rejection nobody caught'))
  const server = await startServer({ config, log, page: pageSource(), onFatal })
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      log.info({ signal }, 'stopping')
      setTimeout(() => process.exit(1), STOP_MS_MAX).unref()
      void stop(server)
    })
  console.log(`Parley is listening on ${server.url}`)
}

function pageSource(): PageSource {
  if (typeof PARLEY_PAGE !== 'undefined') return createPackedPage(PARLEY_PAGE)
  const script = fileURLToPath(new URL('../../web/build.ts', import.meta.url))
  return createPageProcess({ script })
}

async function stop(server: RunningServer): Promise<never> {
  await server.stop()
  process.exit(0)
}
