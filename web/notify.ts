/** How one hears of direct messages while looking elsewhere: by the title, and on the desktop. */
import type { InboxEntry } from '../client'
import type { Kept } from './kept.ts'
import { go, hrefOf } from './places.ts'

const TEXT_CHARS_MAX = 140

/** The number of unread direct messages, in the tab's title. */
export function showUnread(count: number): void {
  document.title = count === 0 ? 'Parley' : `(${count}) Parley`
}

export const canNotify = 'Notification' in globalThis

/** Asks the browser for permission, if it is to be asked. True if we may. */
export async function allowNotifications(): Promise<boolean> {
  return canNotify && (await Notification.requestPermission()) === 'granted'
}

/** One notification for each person: the latest replaces the one before. */
export function announceDirect({ message }: InboxEntry, kept: Kept): void {
  if (document.visibilityState === 'visible' && document.hasFocus()) return
  if (!canNotify || Notification.permission !== 'granted' || !kept.notifies) return
  const { from, text } = message
  try {
    const shown = new Notification(from.name, {
      body: text.slice(0, TEXT_CHARS_MAX),
      tag: from.id,
      icon: document.querySelector<HTMLLinkElement>('link[rel=icon]')?.href ?? '',
    })
    shown.onclick = () => {
      window.focus()
      go(hrefOf({ user: from.id }))
      shown.close()
    }
  } catch {
    // Some phones show notifications through a service worker only, and throw here.
  }
}
