/** What stands in the list of messages, from what is in the window. */
import type { Message } from '../../client'
import { dayOf } from '../times.ts'

/** Messages of one person this close together stand under one name. */
const GROUP_MS = 5 * 60_000

export interface Row {
  message: Message
  /** The first of its day: a line with the day stands above it. */
  startsDay: boolean
  /** Stands under the name of its author, not under an earlier message of theirs. */
  startsGroup: boolean
  /** The first that was not read when the conversation was opened. */
  startsUnread: boolean
}

/** `unreadAfter`: the last seq read, if there is something unread after it. */
export function rowsOf(messages: readonly Message[], unreadAfter: number | undefined): Row[] {
  let before: Message | undefined
  return messages.map((message) => {
    const startsDay = before === undefined || dayOf(before.at) !== dayOf(message.at)
    const startsUnread = unreadAfter !== undefined && message.seq === unreadAfter + 1
    const startsGroup = startsDay || startsUnread || !continues(before!, message)
    before = message
    return { message, startsDay, startsGroup, startsUnread }
  })
}

function continues(before: Message, message: Message): boolean {
  const closeMs = Date.parse(message.at) - Date.parse(before.at)
  return before.from.id === message.from.id && closeMs < GROUP_MS
}
