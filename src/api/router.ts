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

  /**
   * `HEAD` finds what `GET` finds, but for a subscription, which would stream to nobody. Throws
   * `no_such_path` or `method_not_allowed`.
   */
  find(method: string, path: string): Route {
    const parts = path.slice(1).split('/')
    for (const entry of this.#candidates(parts))
      if (answersTo(entry.operation, method) && matches(entry, parts))
        return { operation: entry.operation, params: paramsOf(entry, parts) }
    const methods = this.methods(path)
    if (methods.length === 0) throw problem('no_such_path')
    throw problem('method_not_allowed', { headers: { Allow: methods.join(', ') } })
  }

  /** The methods of a path, for `Allow`; none if there is no such path. */
  methods(path: string): string[] {
    const parts = path.slice(1).split('/')
    return this.#candidates(parts)
      .filter((entry) => matches(entry, parts))
      .map(({ operation }) => operation.method)
  }

  #candidates(parts: string[]): readonly Entry[] {
    return this.#entries.get(bucketOf(parts)) ?? NONE
  }
}

const NONE: readonly Entry[] = []

function answersTo({ method, kind }: Operation, asked: string): boolean {
  return method === asked || (asked === 'HEAD' && method === 'GET' && kind === 'request')
}

function bucketOf(parts: readonly string[]): string {
  return `${parts[0]} ${parts.length}`
}

function matches({ parts }: Entry, given: string[]): boolean {
  // The bucket has settled the first part and the number of parts.
  for (let i = 1; i < parts.length; i++)
    if (isParameter(parts[i]!) ? given[i] === '' : parts[i] !== given[i]) return false
  return true
}

/** Ids are made of unreserved characters, so a percent-encoded one is simply not found. */
function paramsOf({ parts }: Entry, given: string[]): Record<string, string> {
  const params: Record<string, string> = {}
  for (let i = 1; i < parts.length; i++)
    if (isParameter(parts[i]!)) params[parts[i]!.slice(1, -1)] = given[i]!
  return params
}

function isParameter(part: string): boolean {
  return part.startsWith('{')
}
