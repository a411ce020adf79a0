/** Someone signed in, and all that belongs to them: what every part of the page is given. */
import type { Parley, User } from '../client'
import { Conversations } from './conversations.ts'
import { Kept } from './kept.ts'
import { announceDirect, showUnread } from './notify.ts'

export interface Signed {
  client: Parley
  me: User
  kept: Kept
  conversations: Conversations
  /** Ends the session; what this browser kept is forgotten. */
  signOut: () => Promise<void>
}

export function signed(client: Parley, me: User): Signed {
  const kept = new Kept(me.id)
  const conversations = new Conversations(client, kept)
  conversations.onDirect = (entry) => announceDirect(entry, kept)
  conversations.onChange(() => showUnread(conversations.unreadDirect))
  return { client, me, kept, conversations, signOut: () => client.signOut() }
}
