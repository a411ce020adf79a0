/** The command line: serves, or does one of the other things in `commands/list.ts`. */
import { type Command, Misuse, readOptions } from './commands/command.ts'
import { findCommand, helpText } from './commands/list.ts'
import { serve } from './commands/serve.ts'
import { readConfig } from './config.ts'
import { SCRIPT_ARGUMENT } from './scripts.ts'
import { version } from './version.ts'

/** Exit codes, besides 0: it failed, or it was asked for in a way nobody understands. */
const FAILED = 1
const MISUSED = 2

/** Child processes of an executable; each runs as long as its module does. */
const scripts: Record<string, () => Promise<unknown>> = {
  'chat/hash-process': () => import('./chat/hash-process.ts'),
}

async function main([name = 'serve', ...args]: string[]): Promise<void> {
  if (name === SCRIPT_ARGUMENT) return void (await scripts[args[0]!]?.())
  if (name === 'serve') return serve().catch(failed('Parley could not start.\n'))
  if (name === 'version' || name === '--version') return console.log(version)
  if (name === 'help' || name === '--help') return console.log(helpText())
  const command = findCommand(name)
  if (command !== undefined) return run(command, args).catch(failed(''))
  console.error(`There is no command "${name}".\n\n${helpText()}`)
  process.exit(MISUSED)
}

async function run(command: Command, args: string[]): Promise<void> {
  await command.run(readOptions(command, args), readConfig())
  // Connections that are kept alive would hold it back.
  process.exit()
}

function failed(before: string): (error: Error) => never {
  return (error) => {
    console.error(before + error.message)
    process.exit(error instanceof Misuse ? MISUSED : FAILED)
  }
}

// Whatever is written holds password hashes and private messages: it is its owner's alone.
process.umask(0o077)
await main(process.argv.slice(2))
