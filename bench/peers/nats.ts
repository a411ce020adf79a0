/** nats-server's core (no JetStream) over its WebSocket listener: a subject for each room. */
import type { CreateDialect, Wire } from '../generator/dialect.ts'
import { encodeFrame, OPCODE } from '../generator/websocket.ts'
import { type Peer, roomName } from './peer.ts'
import { findProgram, PeerProcess, readVersion } from './process.ts'
import { Shape } from './shape.ts'
import { receiveStream } from './stream.ts'

/** Its pings need an answer of its own protocol; an hour outlasts every run. */
const CONFIG = (port: number): string => `
listen: "127.0.0.1:-1"
ping_interval: "1h"
max_connections: 100000
websocket {
  listen: "127.0.0.1:${port}"
  no_tls: true
  compression: false
}
`

export const nats: Peer = {
  name: 'nats',
  title: 'nats-server',
  install: 'apt-get install nats-server',
  durable: 'memory only',
  ordered: 'in order for each publisher, at most once',
  dialect: import.meta.path,
  roomName,
  find() {
    const program = findProgram('nats-server')
    return program && readVersion([program, '--version'], /v(\d\S*)/)
  },
  start({ core }) {
    return PeerProcess.start(core, (_, port) => ({
      command: [findProgram('nats-server')!, '--config', 'nats.conf'],
      files: { 'nats.conf': CONFIG(port) },
    }))
  },
}

const CONNECT = 'CONNECT {"verbose":false,"pedantic":false,"echo":true,"protocol":1}\r\n'
const LINE_END = Buffer.from('\r\n')

export const createDialect: CreateDialect = ({ textBytes }) => {
  const post = new Shape(textBytes, (room, text) => `PUB ${room} ${textBytes}\r\n${text}\r\n`)
  // The subscription's id is the room's name, too, so that a message says it twice.
  const event = new Shape(
    textBytes,
    (room, text) => `MSG ${room} ${room} ${textBytes}\r\n${text}\r\n`,
  )

  /** One call for all that follow each other in a room: under load a frame holds many. */
  const readEvents = (wire: Wire, bytes: Buffer, start: number, end: number): number => {
    const room = event.room(bytes, start)
    const first = event.number(bytes, start)
    let last = first
    let at = start + event.length
    while (event.fits(bytes, at, end) && event.room(bytes, at) === room) {
      if (event.number(bytes, at) !== last + 1) break
      last += 1
      at += event.length
    }
    wire.delivered(room, first, last)
    return at
  }

  const converse = (wire: Wire, line: string): void => {
    if (line.startsWith('INFO ')) {
      const subscribe = wire.rooms.map(roomName).map((room) => `SUB ${room} ${room}\r\n`)
      wire.send(encodeFrame(OPCODE.binary, Buffer.from(`${CONNECT}${subscribe.join('')}PING\r\n`)))
    } else if (line === 'PONG') {
      for (const room of wire.rooms) wire.joinedRoom(room, 0)
      wire.joined()
    } else if (line === 'PING') wire.send(encodeFrame(OPCODE.binary, Buffer.from('PONG\r\n')))
    else throw new Error(`A line that nobody awaits: ${line.slice(0, 200)}`)
  }

  return {
    upgrade: () => ({ path: '/', headers: {} }),
    opened() {
      // The server speaks first.
    },
    received: receiveStream((wire, bytes, start, end) => {
      if (event.fits(bytes, start, end)) return readEvents(wire, bytes, start, end)
      const lineEnd = bytes.indexOf(LINE_END, start)
      if (lineEnd === -1 || lineEnd >= end) return start
      const line = bytes.toString('latin1', start, lineEnd)
      // A message that is cut within its text has a whole first line, too.
      if (line.startsWith('MSG ') && end - start < event.length) return start
      converse(wire, line)
      return lineEnd + LINE_END.length
    }),
    post: post.frame(OPCODE.binary),
  }
}
