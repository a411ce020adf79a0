import { HOME_HREF } from './places.ts'

/** On a phone: from a conversation back to the list. */
export function Back() {
  return (
    <a class="back" href={HOME_HREF} aria-label="Back to conversations">
      ‹
    </a>
  )
}
