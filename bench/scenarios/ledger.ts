/** *ledger*: what is written and read again: durable posts, and pages of a long history. */
import { measureHistory } from './history.ts'
import { measurePosts } from './posts.ts'
import type { Scenario } from './scenario.ts'

export const ledger: Scenario = {
  name: 'ledger',
  async run(context) {
    const posts = await measurePosts(context)
    // A long history is written into the embedded database's file before the server starts.
    return context.postgresUrl === undefined
      ? [...posts, ...(await measureHistory(context))]
      : posts
  },
}
