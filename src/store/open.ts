/** Chooses the backend. The only place that knows more than one of them. */
import type { Config } from '../config.ts'
import { openPostgres } from './postgres.ts'
import { openSqlite } from './sqlite.ts'
import type { Store, StoreOptions } from './store.ts'

export function openStore(config: Config, options: StoreOptions): Promise<Store> {
  const queueMax = config.storeQueueMax
  const { onReplicaPage: onPage = () => {} } = options
  const replica = { url: config.databaseReplicaUrl, onPage }
  if (config.databaseUrl !== '')
    return openPostgres({
      url: config.databaseUrl,
      ...(replica.url !== '' && { replica }),
      connectionsMax: config.databaseConnectionsMax,
      timeoutMs: config.databaseTimeoutMs,
      startMs: config.storeTimeoutMs,
      queueMax,
    })
  return openSqlite({
    ...options,
    folder: config.dataDir,
    timeoutMs: config.storeTimeoutMs,
    queueMax,
    readersMax: config.storeReadersMax,
  })
}
