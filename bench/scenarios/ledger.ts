/** *ledger*: what is written and read again: durable posts, and pages of a long history. */
import { measureHistory } from './history.ts'
import { measurePosts } from './posts.ts'
import type { Scenario } from './scenario.ts'

export const ledger: Scenario = {
  name: 'ledger',
  async run(context) {
    return [...(await measurePosts(context)), ...(await measureHistory(context))]
  },
}
