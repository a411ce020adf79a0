/** The texts of posts: the post's number in its room, then filling of a fixed length. */

export const NUMBER_DIGITS = 8
export const NUMBER_MAX = 10 ** NUMBER_DIGITS - 1

const FILLING = ' the quick brown fox jumps over the lazy dog'
const ZERO = 48

/** `00000042 the quick brown fox jum` for 42 and 32 bytes: ASCII without quotes or markup. */
export function textOf(n: number, bytes: number): string {
  return String(n).padStart(NUMBER_DIGITS, '0') + fillingOf(bytes)
}

/** What stands in a text behind the number. */
export function fillingOf(bytes: number): string {
  const length = bytes - NUMBER_DIGITS
  return FILLING.repeat(Math.ceil(length / FILLING.length)).slice(0, length)
}

/** Writes a number over that of a text which stands in `bytes` at `at`. */
export function writeNumber(bytes: Uint8Array, at: number, n: number, digits: number): void {
  let rest = n
  for (let i = at + digits - 1; i >= at; i--) {
    bytes[i] = ZERO + (rest % 10)
    rest = Math.floor(rest / 10)
  }
}

/** The number at `at`; NaN if other than digits stand there. */
export function readNumber(bytes: Uint8Array, at: number, digits: number): number {
  let value = 0
  for (let i = at; i < at + digits; i++) {
    const digit = bytes[i]! - ZERO
    if (!(digit >= 0 && digit <= 9)) return Number.NaN
    value = value * 10 + digit
  }
  return value
}
