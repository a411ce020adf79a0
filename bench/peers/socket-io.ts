/** socket.io on Node: rooms in memory, one frame for each event and reader. */
import { join } from 'node:path'
import type { CreateDialect, Wire } from '../generator/dialect.ts'
import { encodeText, OPCODE } from '../generator/websocket.ts'
import { type Peer, roomName } from './peer.ts'
import { findProgram, PeerProcess, packageVersion, readVersion } from './process.ts'
import { Shape } from './shape.ts'

export const socketIo: Peer = {
  name: 'socket-io',
  title: 'socket.io',
  install: 'npm ci',
  durable: 'memory only',
  ordered: 'in order while connected, nothing resent',
  dialect: import.meta.path,
  roomName,
  find() {
    const node = findProgram('node')
    const version = packageVersion('socket.io')
    if (node === undefined || version === undefined) return undefined
    return `${version}, Node ${readVersion([node, '--version'], /v(\S+)/)}`
  },
  start({ core }) {
    const script = join(import.meta.dir, 'socket-io-server.mjs')
    return PeerProcess.start(core, (_, port) => ({
      command: [findProgram('node')!, script, String(port)],
    }))
  },
}

/** Packets of Engine.IO 4 with those of Socket.IO in them; `4` is a message. */
const OPEN = '0'.charCodeAt(0)
const CONNECT = '40'
const CONNECTED = '40'
const JOINED = '430[]'

export const createDialect: CreateDialect = ({ textBytes }) => {
  const post = new Shape(textBytes, (room, text) => `42${JSON.stringify(['post', room, text])}`)
  const event = new Shape(textBytes, (room, text) => `42${JSON.stringify(['message', room, text])}`)
  const converse = (wire: Wire, text: string): void => {
    if (text.charCodeAt(0) === OPEN) wire.send(encodeText(CONNECT))
    else if (text.startsWith(CONNECTED))
      wire.send(encodeText(`420${JSON.stringify(['join', wire.rooms.map(roomName)])}`))
    else if (text === JOINED) {
      for (const room of wire.rooms) wire.joinedRoom(room, 0)
      wire.joined()
    } else throw new Error(`A packet that nobody awaits: ${text.slice(0, 200)}`)
  }
  return {
    upgrade: () => ({ path: '/socket.io/?EIO=4&transport=websocket', headers: {} }),
    opened() {
      // The server speaks first.
    },
    received(wire, _opcode, bytes, start, end) {
      if (end - start === event.length && event.fits(bytes, start, end)) {
        const n = event.number(bytes, start)
        wire.delivered(event.room(bytes, start), n, n)
      } else converse(wire, bytes.toString('latin1', start, end))
    },
    post: post.frame(OPCODE.text),
  }
}
