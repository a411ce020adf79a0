/**
 * Reading JSON strictly. `JSON.parse` takes the last of two equal keys and lets half a surrogate
 * pair through; two readers of one text could then disagree on what it says, so both are refused
 * here.
 */
import { problem } from '../errors.ts'

const DEPTH_MAX = 32

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Bytes → text. Throws `body_not_utf8`. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw problem('body_not_utf8')
  }
}

/**
 * Text → an object. Throws `body_not_json` (a byte order mark and `NaN` included),
 * `body_not_object`, `body_too_deep`, `body_duplicate_key`, `body_lone_surrogate`.
 */
export function parseObject(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw problem('body_not_json', { detail: (error as Error).message.slice(0, 120) })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw problem('body_not_object')
  refuseDoubtful(text)
  return value as Record<string, unknown>
}

/** One pass over a text known to be JSON: how deep it is, and whether a key comes twice. */
function refuseDoubtful(text: string): void {
  const keys: (Set<string> | null)[] = []
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    if (char === '{' || char === '[') {
      keys.push(char === '{' ? new Set() : null)
      if (keys.length > DEPTH_MAX) throw problem('body_too_deep')
    } else if (char === '}' || char === ']') keys.pop()
    else if (char === '"') {
      const end = endOfString(text, at)
      const raw = text.slice(at, end + 1)
      const string = raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1)
      if (!string.isWellFormed()) throw problem('body_lone_surrogate')
      at = end
      if (isKey(text, end)) refuseTwice(keys.at(-1), string)
    }
  }
}

function refuseTwice(keys: Set<string> | null | undefined, key: string): void {
  if (keys?.has(key)) throw problem('body_duplicate_key', { field: key.slice(0, 64) })
  keys?.add(key)
}

/** The index of the quote that closes the string opened at `start`. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0
  while (text[at - 1 - backslashes] === '\\') backslashes += 1
  return backslashes % 2 === 1
}

/** Whether the string that ends here is a key: then a colon follows. */
function isKey(text: string, end: number): boolean {
  let next = end + 1
  while (text[next] === ' ' || text[next] === '\n' || text[next] === '\r' || text[next] === '\t')
    next += 1
  return text[next] === ':'
}
