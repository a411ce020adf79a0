/** Bare `ws` on Node, with Parley's wire shapes: one send for each event and reader. */
import { join } from 'node:path'
import type { Peer } from './peer.ts'
import { findProgram, PeerProcess, packageVersion, readVersion } from './process.ts'

/** As long as Parley's ids, so that its dialect takes them. */
const ID_DIGITS = 16

export const nodeWs: Peer = {
  name: 'node-ws',
  title: 'ws on Node',
  install: 'npm ci',
  durable: 'memory only',
  ordered: 'numbered while connected, nothing resent',
  dialect: join(import.meta.dir, '../generator/parley.ts'),
  roomName: (room) => `r${String(room).padStart(ID_DIGITS, '0')}`,
  find() {
    const node = findProgram('node')
    const version = packageVersion('ws')
    if (node === undefined || version === undefined) return undefined
    return `${version}, Node ${readVersion([node, '--version'], /v(\S+)/)}`
  },
  start({ core }) {
    const script = join(import.meta.dir, 'node-ws-server.mjs')
    return PeerProcess.start(core, (_, port) => ({
      command: [findProgram('node')!, script, String(port)],
    }))
  },
}
