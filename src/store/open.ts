/** Chooses the backend. The only place that knows more than one of them. */
import type { Config } from '../config.ts'
import { openSqlite } from './sqlite.ts'
import type { Store, StoreOptions } from './store.ts'

export function openStore(config: Config, options: StoreOptions): Promise<Store> {
  return openSqlite({
    ...options,
    folder: config.dataDir,
    timeoutMs: config.storeTimeoutMs,
    queueMax: config.storeQueueMax,
    readersMax: config.storeReadersMax,
  })
}
