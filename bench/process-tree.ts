/** Processes with all that they started. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'

/**
 * The processes that run now, of these and of all that they started, and so on: each once, and one
 * before those it started. Only these themselves where the system has no `/proc`.
 */
export function treesOf(roots: readonly number[]): number[] {
  if (!existsSync('/proc/self/stat')) return [...roots]
  const parents = readParents()
  const pids = new Set(roots.filter((pid) => parents.has(pid)))
  // What is added on the way is visited, too.
  for (const pid of pids) for (const [child, parent] of parents) if (parent === pid) pids.add(child)
  return [...pids]
}

function readParents(): Map<number, number> {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
    } catch {
      // It ended while the others were looked at.
    }
  }
  return parents
}
