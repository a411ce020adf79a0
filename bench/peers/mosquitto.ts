/** mosquitto: MQTT 3.1.1 over WebSocket with QoS 0, a topic for each room. */
import type { CreateDialect, Wire } from '../generator/dialect.ts'
import { encodeFrame, OPCODE } from '../generator/websocket.ts'
import { type Peer, roomName } from './peer.ts'
import { findProgram, PeerProcess, readVersion } from './process.ts'
import { Shape } from './shape.ts'
import { receiveStream } from './stream.ts'

/**
 * As root it would become another user, who cannot read the scratch folder. With no other listener
 * than a WebSocket's, 2.0.11 ends at once: so there is one that nobody uses.
 */
const CONFIG = (port: number): string => `
user root
listener 0 mqtt.socket
listener ${port} 127.0.0.1
socket_domain ipv4
protocol websockets
allow_anonymous true
persistence false
log_type error
log_type warning
max_queued_messages 0
set_tcp_nodelay true
`

export const mosquitto: Peer = {
  name: 'mosquitto',
  title: 'mosquitto',
  install: 'apt-get install mosquitto',
  durable: 'memory only',
  ordered: 'in order for each topic, at most once (QoS 0)',
  dialect: import.meta.path,
  roomName,
  find() {
    const program = findProgram('mosquitto')
    return program && readVersion([program, '-h'], /mosquitto version (\S+)/)
  },
  start({ core }) {
    return PeerProcess.start(core, (_, port) => ({
      command: [findProgram('mosquitto')!, '-c', 'mosquitto.conf'],
      files: { 'mosquitto.conf': CONFIG(port) },
    }))
  },
}

/** Types of packets, the upper half of their first byte. */
const CONNACK = 2
const SUBACK = 9

/** The remaining length takes at most four bytes. */
const LENGTH_BYTES_MAX = 4

export const createDialect: CreateDialect = ({ textBytes }) => {
  const publish = new Shape(textBytes, (room, text) => packet(0x30, `${mqttString(room)}${text}`))

  const converse = (wire: Wire, type: number, code: number): void => {
    if (type === CONNACK && code === 0) {
      const topics = wire.rooms.map((room) => `${mqttString(roomName(room))}\0`)
      wire.send(encodeFrame(OPCODE.binary, latin1(packet(0x82, `\0\x01${topics.join('')}`))))
    } else if (type === SUBACK) {
      for (const room of wire.rooms) wire.joinedRoom(room, 0)
      wire.joined()
    } else throw new Error(`A packet that nobody awaits: type ${type}, code ${code}`)
  }

  return {
    upgrade: () => ({ path: '/mqtt', headers: { 'Sec-WebSocket-Protocol': 'mqtt' } }),
    opened(wire) {
      // A clean session without a keep-alive.
      const hello = `${mqttString('MQTT')}\x04\x02\0\0${mqttString(`reader-${wire.index}`)}`
      wire.send(encodeFrame(OPCODE.binary, latin1(packet(0x10, hello))))
    },
    received: receiveStream((wire, bytes, start, end) => {
      if (publish.fits(bytes, start, end)) {
        const n = publish.number(bytes, start)
        wire.delivered(publish.room(bytes, start), n, n)
        return start + publish.length
      }
      const next = packetEnd(bytes, start, end)
      if (next > end) return start
      converse(wire, bytes[start]! >> 4, bytes[start + 3]!)
      return next
    }),
    post: publish.frame(OPCODE.binary),
  }
}

/** Seven bits a byte, the lowest first; the eighth says that more follow. */
function packet(first: number, rest: string): string {
  const length: number[] = []
  for (let left = rest.length; length.length === 0 || left > 0; left >>= 7)
    length.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0))
  return String.fromCharCode(first, ...length) + rest
}

/** Where the packet at `start` ends; past `end` if it is not whole yet. */
function packetEnd(bytes: Buffer, start: number, end: number): number {
  let length = 0
  for (let i = 0; i < LENGTH_BYTES_MAX && start + 1 + i < end; i++) {
    const byte = bytes[start + 1 + i]!
    length |= (byte & 0x7f) << (7 * i)
    if (byte < 0x80) return start + 2 + i + length
  }
  return end + 1
}

function mqttString(text: string): string {
  return String.fromCharCode(text.length >> 8, text.length & 0xff) + text
}

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}
