/** Errors, as the page tells them. */
import { ParleyError } from '../client'

/** What the library finds by itself, and says in a word. */
const OWN_FAULTS: Record<string, string> = {
  unreachable: 'The server cannot be reached.',
  outbox_full: 'Too many messages wait to be sent already.',
  not_signed_in: 'You are not signed in any more.',
}

/** What went wrong, for a person. */
export function sentence(error: unknown): string {
  if (!(error instanceof ParleyError)) return 'Something went wrong in this page. Reload it.'
  const { message, hint, code, retryAfter } = error
  if (code === 'rate_limited' || code === 'overloaded')
    return `${message} Try again in ${retryAfter ?? 'a few'} seconds.`
  return [OWN_FAULTS[code] ?? message, hint].filter(Boolean).join(' ')
}
