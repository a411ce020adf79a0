/**
 * nginx with nchan: a channel for each room. A reader's connection follows all its channels, and
 * publishes to the first of them; so the text says which room it is for.
 */
import type { CreateDialect } from '../generator/dialect.ts'
import { OPCODE } from '../generator/websocket.ts'
import { type Peer, type PeerOptions, roomName } from './peer.ts'
import { findProgram, PeerProcess, readVersion } from './process.ts'
import { Shape } from './shape.ts'

const MODULE = '/usr/lib/nginx/modules/ngx_nchan_module.so'

const CONFIG = (port: number, folder: string, connections: number): string => `
load_module ${MODULE};
user root;
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections ${connections + 1_000}; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  nchan_shared_memory_size 512M;
  nchan_message_buffer_length 5000;
  nchan_message_timeout 5m;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /rooms {
      nchan_pubsub websocket;
      nchan_channel_id_split_delimiter ",";
      nchan_subscriber_channel_id $arg_read;
      nchan_publisher_channel_id $arg_post;
      nchan_subscriber_first_message newest;
    }
  }
}
`

export const nchan: Peer = {
  name: 'nchan',
  title: 'nginx + nchan',
  install: 'apt-get install nginx libnginx-mod-nchan',
  durable: 'memory only',
  ordered: 'in order for each channel, resumable within the buffer',
  dialect: import.meta.path,
  roomName,
  find() {
    const nginx = findProgram('nginx')
    if (nginx === undefined) return undefined
    const query = ['dpkg-query', '--show', 'libnginx-mod-nchan']
    const version = readVersion(query, /\s(?:\d+:)?([\d.]+)/)
    return version && `${version}, nginx ${readVersion([nginx, '-v'], /nginx\/(\S+)/)}`
  },
  start({ core, connections }: PeerOptions) {
    return PeerProcess.start(core, (folder, port) => ({
      command: [findProgram('nginx')!, '-p', folder, '-c', 'nginx.conf', '-e', 'stderr'],
      files: { 'nginx.conf': CONFIG(port, folder, connections) },
    }))
  },
}

export const createDialect: CreateDialect = ({ textBytes }) => {
  const message = new Shape(textBytes, (room, text) => `${room} ${text}`)
  return {
    upgrade(_connection, rooms) {
      const names = rooms.map(roomName)
      return { path: `/rooms?read=${names.join(',')}&post=${names[0]}`, headers: {} }
    },
    opened(wire) {
      for (const room of wire.rooms) wire.joinedRoom(room, 0)
      wire.joined()
    },
    received(wire, _opcode, bytes, start, end) {
      if (end - start === message.length && message.fits(bytes, start, end)) {
        const n = message.number(bytes, start)
        wire.delivered(message.room(bytes, start), n, n)
      } else throw new Error(`Nobody posted this: ${bytes.toString('latin1', start, end)}`)
    },
    post: message.frame(OPCODE.text),
  }
}
