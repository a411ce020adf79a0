/**
 * The bare loop that durable posts by HTTP are measured against: the same runtime, the same
 * requests, the same table and the same promise (an answer only after the fsync of a group commit),
 * and nothing else. No sign-in, no checks, no live readers, no schema. What Parley adds is what it
 * costs beyond.
 */

import { Database } from 'bun:sqlite'
import { join } from 'node:path'

declare const self: Worker

const isWorker = !Bun.isMainThread
if (isWorker) runWorker()
else runServer()

function runServer(): void {
  const worker = new Worker(import.meta.url)
  let queue: { text: string; resolve: (seq: number) => void }[] = []
  let committing: typeof queue = []
  let head = 0

  const commit = () => {
    committing = queue
    queue = []
    worker.postMessage(JSON.stringify(committing.map(({ text }) => text)))
  }
  worker.onmessage = () => {
    const done = committing
    committing = []
    if (queue.length > 0) commit()
    for (const { resolve } of done) resolve(++head)
  }
  const record = (text: string) =>
    new Promise<number>((resolve) => {
      queue.push({ text, resolve })
      if (committing.length === 0) commit()
    })

  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      if (request.method === 'GET') return Response.json({ head })
      const { text } = (await request.json()) as { text: string }
      const seq = await record(text)
      const body = `{"seq":${seq},"text":${JSON.stringify(text)}}`
      return new Response(body, { status: 201, headers: { 'Content-Type': 'application/json' } })
    },
  })
  process.once('SIGTERM', () => process.exit(0))
  console.log(`The bare loop is listening on ${server.url.origin}`)
}

function runWorker(): void {
  const db = new Database(join(process.env.DATA_DIR!, 'floor.db'), { create: true })
  db.run('PRAGMA journal_mode = WAL')
  db.run('PRAGMA synchronous = FULL')
  db.run('PRAGMA wal_autocheckpoint = 4096')
  db.run(`CREATE TABLE events (
    timeline TEXT, seq INTEGER, at INTEGER, body TEXT, PRIMARY KEY (timeline, seq)
  ) STRICT, WITHOUT ROWID`)
  const insert = db.prepare('INSERT INTO events VALUES (?, ?, ?, ?)')
  let head = 0
  const append = db.transaction((texts: string[]) => {
    const now = Date.now()
    for (const text of texts) insert.run('room', ++head, now, text)
  })
  self.onmessage = ({ data }: MessageEvent<string>) => {
    append(JSON.parse(data))
    self.postMessage(head)
  }
}
