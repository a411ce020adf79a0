/** Copies of the sources with faults planted in them, to see that they are found. */
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { scratchFolder } from '../harness.ts'

const ROOT = join(import.meta.dir, '../..')

export type Plant = [file: string, text: string, fault: string]

export interface PlantedCopy {
  path: string
  /** Starts a server from it. */
  command: readonly string[]
  remove: () => void
}

/** A copy in which texts are replaced, each of which must be there; of `src`, or more. */
export function plantedCopy(plants: readonly Plant[], folders = ['src']): PlantedCopy {
  const { path, remove } = scratchFolder()
  for (const one of folders) cpSync(join(ROOT, one), join(path, one), { recursive: true })
  cpSync(join(ROOT, 'package.json'), join(path, 'package.json'))
  symlinkSync(join(ROOT, 'node_modules'), join(path, 'node_modules'))
  for (const [file, text, fault] of plants) {
    const source = readFileSync(join(path, file), 'utf8')
    if (!source.includes(text)) throw new Error(`${file} does not contain: ${text}`)
    writeFileSync(join(path, file), source.replace(text, fault))
  }
  return { path, command: [process.execPath, join(path, 'src/main.ts')], remove }
}
