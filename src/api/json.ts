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
  const object = value as Record<string, unknown>
  if (!isPlain(text, object)) refuseDoubtful(text)
  return object
}

/**
 * True if nothing in the text can be doubtful, found out by the runtime's own searches, which for
 * the usual post take a seventh of the time of a pass over all characters. There are no escapes and
 * nothing nested, and each colon is one that a key has behind it, or stands in a key or a value: so
 * there is no key that `JSON.parse` has dropped for another.
 */
function isPlain(text: string, object: Record<string, unknown>): boolean {
  if (text.includes('\\') || !text.isWellFormed()) return false
  let colons = countColons(text)
  for (const key of Object.keys(object)) {
    const value = object[key]
    if (typeof value === 'object' && value !== null) return false
    colons -= 1 + countColons(key) + (typeof value === 'string' ? countColons(value) : 0)
  }
  return colons === 0
}

function countColons(text: string): number {
  let count = 0
  for (let at = text.indexOf(':'); at !== -1; at = text.indexOf(':', at + 1)) count += 1
  return count
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a

/** One pass over a text known to be JSON: how deep it is, and whether a key comes twice. */
function refuseDoubtful(text: string): void {
  const keys: (Keys | null)[] = []
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE: {
        const end = endOfString(text, at)
        refuseString(text, at, end, keys.at(-1))
        at = end
        break
      }
      case 0x7b: // {
      case 0x5b: // [
        keys.push(text.charCodeAt(at) === 0x7b ? new Keys() : null)
        if (keys.length > DEPTH_MAX) throw problem('body_too_deep')
        break
      case 0x7d: // }
      case 0x5d: // ]
        keys.pop()
    }
  }
}

/** The string between two quotes: well formed, and if it is a key, a new one. */
function refuseString(
  text: string,
  start: number,
  end: number,
  keys: Keys | null | undefined,
): void {
  const raw = text.slice(start + 1, end)
  const string = raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw
  if (!string.isWellFormed()) throw problem('body_lone_surrogate')
  if (!keys || !isKey(text, end)) return
  if (!keys.add(string)) throw problem('body_duplicate_key', { field: string.slice(0, 64) })
}

/** The keys of one object. Most have one or two, for which a set would be a waste. */
class Keys {
  #first: string | undefined
  #others: Set<string> | undefined

  /** False if it is there already. */
  add(key: string): boolean {
    if (this.#first === undefined) this.#first = key
    else if (key === this.#first || this.#others?.has(key)) return false
    else (this.#others ??= new Set()).add(key)
    return true
  }
}

/** The index of the quote that closes the string opened at `start`. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0
  while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes += 1
  return backslashes % 2 === 1
}

/** Whether the string that ends here is a key: then a colon follows, maybe after white space. */
function isKey(text: string, end: number): boolean {
  let next = end + 1
  // All of JSON's white space is at or below the space.
  while (text.charCodeAt(next) <= 0x20) next += 1
  return text.charCodeAt(next) === COLON
}
