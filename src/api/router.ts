/** Method and path → operation. Paths are few and flat, so two map look-ups and a scan do. */
import { problem } from '../errors.ts'
import type { Operation } from './operation.ts'

export interface Route {
  operation: Operation
  params: Record<string, string>
}

interface Entry {
  operation: Operation
  /** Parts of the path; a parameter is its name in braces. */
  parts: string[]
}

export class Router {
  /** By first part and number of parts, which leaves a handful of entries each. */
  readonly #entries = new Map<string, Entry[]>()

  constructor(operations: readonly Operation[]) {
    for (const operation of operations) {
      const parts = operation.path.slice(1).split('/')
      const bucket = bucketOf(parts)
      const entries = this.#entries.get(bucket)
      if (entries) entries.push({ operation, parts })
      else this.#entries.set(bucket, [{ operation, parts }])
    }
  }

  /** `HEAD` finds what `GET` finds. Throws `no_such_path` or `method_not_allowed`. */
  find(method: string, path: string): Route {
    const parts = path.slice(1).split('/')
    const matching = (this.#entries.get(bucketOf(parts)) ?? []).filter((e) => matches(e, parts))
    if (matching.length === 0) throw problem('no_such_path')
    const wanted = method === 'HEAD' ? 'GET' : method
    const entry = matching.find(({ operation }) => operation.method === wanted)
    if (entry === undefined) throw notAllowed(matching)
    return { operation: entry.operation, params: paramsOf(entry, parts) }
  }

  /** The methods of a path, for `Allow`. */
  methods(path: string): string[] {
    const parts = path.slice(1).split('/')
    const entries = this.#entries.get(bucketOf(parts)) ?? []
    return entries.filter((e) => matches(e, parts)).map(({ operation }) => operation.method)
  }
}

function bucketOf(parts: string[]): string {
  return `${parts[0]} ${parts.length}`
}

function matches({ parts }: Entry, given: string[]): boolean {
  return parts.every((part, i) => (isParameter(part) ? given[i] !== '' : part === given[i]))
}

function paramsOf({ parts }: Entry, given: string[]): Record<string, string> {
  const params: Record<string, string> = {}
  // Ids are made of unreserved characters, so a percent-encoded one is simply not found.
  for (const [i, part] of parts.entries())
    if (isParameter(part)) params[part.slice(1, -1)] = given[i]!
  return params
}

function isParameter(part: string): boolean {
  return part.startsWith('{')
}

function notAllowed(entries: readonly Entry[]) {
  const allow = entries.map(({ operation }) => operation.method).join(', ')
  return problem('method_not_allowed', { headers: { Allow: allow } })
}
