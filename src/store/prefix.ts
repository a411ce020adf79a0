/**
 * The first text after all that begin with `prefix`, in the order of UTF-8's bytes, which is that
 * of code points; undefined if there is none.
 */
export function afterPrefix(prefix: string): string | undefined {
  const points = [...prefix]
  while (points.at(-1) === '\u{10ffff}') points.pop()
  const last = points.pop()?.codePointAt(0)
  if (last === undefined) return undefined
  // Surrogates are no code points of their own.
  return points.join('') + String.fromCodePoint(last === 0xd7ff ? 0xe000 : last + 1)
}
