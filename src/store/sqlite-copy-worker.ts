/** A thread that copies a database, so that somebody else can tell how far it is. */
import { Database } from 'bun:sqlite'

declare const self: Worker

/** Where from, where to. */
export type CopyOrder = [path: string, copy: string]
/** Nothing, or what went wrong. */
export type CopyDone = string | undefined

self.onmessage = ({ data: [path, copy] }: MessageEvent<CopyOrder>) => {
  try {
    const db = new Database(path, { readonly: true })
    db.run('PRAGMA busy_timeout = 10000')
    db.run('VACUUM INTO ?', [copy])
    db.close()
    self.postMessage(undefined satisfies CopyDone)
  } catch (error) {
    self.postMessage((error as Error).message satisfies CopyDone)
  }
}
