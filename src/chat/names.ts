/** When two names are the same, and how prefixes of them are found. */

/**
 * The form in which room names are compared: NFC, then case folded. JavaScript has no case folding;
 * to lower, to upper and back to lower case agrees with it for everything but a handful of letters,
 * and folds `ß` with `SS` and `ẞ`, which lower case alone does not. Lower case writes a sigma at
 * the end of a word in another way, which would hide a word from whoever looks for its beginning.
 */
export function foldedName(name: string): string {
  const lower = name.normalize('NFC').toLowerCase().toUpperCase().toLowerCase()
  return lower.replaceAll('ς', 'σ').normalize('NFC')
}

/** True if there is something in the text that a reader can see. */
export function isVisible(text: string): boolean {
  return /[^\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cf}\u2800]/u.test(text)
}
