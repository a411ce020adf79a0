/**
 * socket.io as its guide has it: a client joins rooms, and what it posts to one goes to all there.
 * Only the WebSocket transport, as the generator speaks no other. Runs on Node.
 */
import { createServer } from 'node:http'
import { Server } from 'socket.io'

const http = createServer()
// The generator answers no heartbeats of its own protocol; ten minutes outlast every run.
const io = new Server(http, {
  transports: ['websocket'],
  serveClient: false,
  pingInterval: 600_000,
})

io.on('connection', (socket) => {
  socket.on('join', (rooms, done) => {
    socket.join(rooms)
    done()
  })
  socket.on('post', (room, text) => io.to(room).emit('message', room, text))
})

http.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4_096 })
