/** SQLite keeps the contract. */
import { openSqlite } from '../../src/store/sqlite.ts'
import { type StoreHome, storeContract } from '../contracts/store.ts'
import { scratchFolder } from '../harness.ts'

async function makeHome(): Promise<StoreHome> {
  const folder = scratchFolder()
  const unexpected = (error: Error) => {
    throw error
  }
  return {
    open: (onFatal = unexpected) =>
      openSqlite({
        folder: folder.path,
        onFatal,
        timeoutMs: 10_000,
        queueMax: 10_000,
        readersMax: 4,
      }),
    remove: async () => folder.remove(),
  }
}

storeContract('SQLite', makeHome)
