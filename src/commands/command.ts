/** What can be done from a shell besides serving. */
import { type ParseArgsConfig, parseArgs } from 'node:util'
import type { Config } from '../config.ts'

type Options = NonNullable<ParseArgsConfig['options']>
type Values = Record<string, string | undefined>

export interface Command {
  name: string
  /** What follows the name. */
  usage: string
  /** One sentence. */
  about: string
  /** All of them texts. */
  options: Options
  /** Rejects with a sentence for people. */
  run(values: Values, config: Config): Promise<void>
}

/** Somebody asked for what is not there; the message says what is. */
export class Misuse extends Error {}

/** Reads the command's options. Throws `Misuse` if one is not known. */
export function readOptions(command: Command, args: string[]): Values {
  try {
    return parseArgs({ args, options: command.options, strict: true }).values as Values
  } catch (error) {
    throw new Misuse(`${(error as Error).message}\nUsage: parley ${command.name} ${command.usage}`)
  }
}
