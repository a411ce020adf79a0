/**
 * A chat server as it is usually written on Node with `ws`: a set of sockets for each room, and
 * each event goes to each of them at once. Parley's wire shapes, so that one dialect speaks to
 * both; nothing is stored, nobody signs in, nothing is checked. Runs on Node.
 */
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const FROM = { id: 'u0', name: 'ada' }
/** By id: `{ seq, readers }`. A room begins with whoever names it first. */
const rooms = new Map()

function roomOf(id) {
  let room = rooms.get(id)
  if (room === undefined) rooms.set(id, (room = { seq: 0, readers: new Set() }))
  return room
}

const operations = {
  auth: () => ({ user: FROM }),
  ping: () => ({}),
  subscribe(socket, { room: id }) {
    const room = roomOf(id)
    room.readers.add(socket)
    socket.once('close', () => room.readers.delete(socket))
    return { timeline: id, epoch: 'e0', head: room.seq, recovered: true }
  },
  post(_socket, { room: id, text }) {
    const room = roomOf(id)
    const at = new Date().toISOString()
    const event = { seq: ++room.seq, type: 'message', from: FROM, at, text }
    // Encoded once; `ws` frames it for each.
    const frame = Buffer.from(JSON.stringify({ timeline: id, events: [event] }))
    for (const reader of room.readers) reader.send(frame, { binary: false })
    return { timeline: id, seq: event.seq, at }
  },
}

const http = createServer()
const server = new WebSocketServer({
  server: http,
  perMessageDeflate: false,
  clientTracking: false,
})

server.on('connection', (socket) => {
  socket.on('message', (data) => {
    const frame = JSON.parse(data)
    const ok = operations[frame.op](socket, frame)
    socket.send(JSON.stringify({ re: frame.id, ok }))
  })
})

http.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4_096 })
