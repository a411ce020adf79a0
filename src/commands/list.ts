/** All commands, by name, and the page that explains them. */
import { version } from '../version.ts'
import { backupCommand, inspectCommand, restoreCommand } from './backup.ts'
import type { Command } from './command.ts'
import { migrateCommand } from './migrate.ts'
import { readyCommand } from './ready.ts'
import { verifyCommand } from './verify.ts'

export const commands: readonly Command[] = [
  backupCommand,
  restoreCommand,
  inspectCommand,
  migrateCommand,
  readyCommand,
  verifyCommand,
]

export function findCommand(name: string): Command | undefined {
  return commands.find((command) => command.name === name)
}

export function helpText(): string {
  const rows = [
    ['serve', 'Serves; also without a command. Settings are environment variables.'],
    ...commands.map(({ name, usage, about }) => [`${name} ${usage}`, about]),
    ['version', 'Prints the version.'],
    ['help', 'Prints this.'],
  ] as [string, string][]
  const width = Math.max(...rows.map(([name]) => name.length))
  const lines = rows.map(([name, about]) => `  ${name.padEnd(width)}  ${about}`)
  return [`Parley ${version}: a chat server that loses nothing.`, '', ...lines].join('\n')
}
