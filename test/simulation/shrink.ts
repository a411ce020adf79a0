/**
 * The shortest story that still goes wrong in the same way: `ddmin` of Zeller and Hildebrandt,
 * "Simplifying and Isolating Failure-Inducing Input" (IEEE Transactions on Software Engineering 28
 * (2), 2002).
 *
 * 1. The list is cut into parts, two at first. Each part is left out in turn.
 * 2. If it still fails without one, that one is gone, and there is a part less.
 * 3. If it needs them all, the parts are halved, until they are single steps.
 */
export function shrink<T>(items: readonly T[], fails: (items: readonly T[]) => boolean): T[] {
  let left = [...items]
  let parts = 2
  while (left.length > 0) {
    const size = Math.ceil(left.length / parts)
    const shorter = withoutOnePart(left, size, fails)
    if (shorter !== undefined) {
      left = shorter
      parts = Math.max(2, parts - 1)
    } else if (size === 1) return left
    else parts = Math.min(left.length, 2 * parts)
  }
  return left
}

function withoutOnePart<T>(
  items: readonly T[],
  size: number,
  fails: (items: readonly T[]) => boolean,
): T[] | undefined {
  for (let from = 0; from < items.length; from += size) {
    const rest = [...items.slice(0, from), ...items.slice(from + size)]
    if (fails(rest)) return rest
  }
  return undefined
}
