/** The command line: serves, or does one of the things in `commands/list.ts`. */
import { type Command, Misuse, readOptions } from './commands/command.ts'
import { findCommand, helpText } from './commands/list.ts'
import { readConfig } from './config.ts'
import { createLog } from './log.ts'
import { SCRIPT_ARGUMENT } from './scripts.ts'
import { type RunningServer, startServer } from './server.ts'
import { version } from './version.ts'

/** A drain that hangs is cut here: whoever stops us was promised ten seconds. */
const STOP_MS_MAX = 9_500

/** Exit codes, besides 0: it failed, or it was asked for in a way nobody understands. */
const FAILED = 1
const MISUSED = 2

async function main([name = 'serve', ...args]: string[]): Promise<void> {
  if (name === SCRIPT_ARGUMENT) return void (await scripts[args[0]!]?.())
  if (name === 'serve') return serve()
  if (name === 'version' || name === '--version') return console.log(version)
  if (name === 'help' || name === '--help') return console.log(helpText())
  const command = findCommand(name)
  if (command === undefined) {
    console.error(`There is no command "${name}".\n\n${helpText()}`)
    process.exit(MISUSED)
  }
  await run(command, args)
}

/** Child processes of an executable; each runs as long as its module does. */
const scripts: Record<string, () => Promise<unknown>> = {
  'chat/hash-process': () => import('./chat/hash-process.ts'),
}

async function run(command: Command, args: string[]): Promise<void> {
  try {
    await command.run(readOptions(command, args), readConfig())
  } catch (error) {
    console.error((error as Error).message)
    process.exit(error instanceof Misuse ? MISUSED : FAILED)
  }
}

async function serve(): Promise<void> {
  const config = readConfig()
  const log = createLog(config.logLevel)
  const endWith = (why: string) => (error: unknown) => {
    log.fatal({ err: error }, `${why}; ending the process, whoever supervises it starts it again`)
    process.exit(FAILED)
  }
  const onFatal = endWith('the database cannot be trusted any more')
  // A bug has left things half done. Everything acknowledged is on the disk, so ending is safe.
  process.on('uncaughtException', endWith('an error nobody caught'))
  process.on('unhandledRejection', endWith('a rejection nobody caught'))
  const server = await startServer({ config, log, onFatal })
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      log.info({ signal }, 'stopping')
      setTimeout(() => process.exit(FAILED), STOP_MS_MAX).unref()
      void stop(server)
    })
  console.log(`Parley is listening on ${server.url}`)
}

async function stop(server: RunningServer): Promise<never> {
  await server.stop()
  process.exit(0)
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(`Parley could not start.\n${error.message}`)
  process.exit(FAILED)
})
